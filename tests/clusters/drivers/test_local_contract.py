"""The local runtime keeps the contract of its family."""

from __future__ import annotations

from tests.clusters.drivers.conftest import Place
from tests.clusters.drivers.runtime_contract import RuntimeContract


class TestLocal(RuntimeContract):
    """The fixture `place` of this folder is a local runtime behind a real Traefik."""

    def test_exec_begins_in_the_folder_of_its_instance(self, place: Place) -> None:
        place.deploy("one")
        name = place.instances().instances[0].name
        done = place.runtime.exec(place.service, name, ["sh", "-c", "cat VERSION; echo; echo $FDD_INSTANCE"])
        assert done.stdout.split() == [b"one", name.encode()]
