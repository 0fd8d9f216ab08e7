"""The contract of the API, against the simulator and (marked `live`) against the cluster that the environment names."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters.actions import save_connection, try_connection
from clusters.drivers.runtime.kubernetes.access import from_kubeconfig
from clusters.drivers.runtime.kubernetes.api import Api
from clusters.drivers.runtime.kubernetes.names import NAMESPACES
from fangduoduo_release.common.actor import SYSTEM
from tests.simulators.kubernetes_rig import Rig

from .api_contract import ApiContract
from .ground import granted

LIVE = "FDD_LIVE_KUBECONFIG"  # a path; only the tests read it, the portal takes text
NAMESPACE = "shop-test"


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Rig() as found:
        found.namespace(NAMESPACE)
        yield found


class TestSimulated(ApiContract):
    @pytest.fixture
    def api(self, rig: Rig) -> Iterator[Api]:
        found = Api(from_kubeconfig(rig.kubeconfig()))
        yield found
        found.close()

    @pytest.fixture
    def namespace(self) -> str:
        return NAMESPACE

    @pytest.fixture
    def image(self, rig: Rig) -> str:
        rig.image("registry.example/app:2")
        return "registry.example/app:2"


class TestLeastRights(TestSimulated):
    """The account that `deploy/kubernetes/rbac.yaml` makes."""

    @pytest.fixture
    def api(self, rig: Rig) -> Iterator[Api]:
        rig.user("least", *granted(NAMESPACE))
        found = Api(from_kubeconfig(rig.kubeconfig("least")))
        yield found
        found.close()


@pytest.mark.live
@pytest.mark.skipif(not os.environ.get(LIVE), reason=f"needs {LIVE}")
class TestLive(ApiContract):
    """In a namespace of its own, deleted at the end; or in `FDD_LIVE_NAMESPACE`, of which only our objects are deleted."""

    @pytest.fixture(scope="class")
    def kubeconfig(self) -> str:
        return Path(os.environ[LIVE]).read_text(encoding="utf-8")

    @pytest.fixture(scope="class")
    def made(self, kubeconfig: str) -> Iterator[tuple[Api, str]]:
        api = Api(from_kubeconfig(kubeconfig))
        name = os.environ.get("FDD_LIVE_NAMESPACE", "")
        if name:
            yield api, name
            return
        name = f"fdd-contract-{uuid.uuid4().hex[:8]}"
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        answer = api.ask("POST", NAMESPACES.path(), body=body)
        if not answer.ok:
            pytest.skip(f"the account may make no namespace ({answer.status}): name one in FDD_LIVE_NAMESPACE")
        yield api, name
        api.delete(NAMESPACES, "", name)
        api.close()

    @pytest.fixture
    def api(self, made: tuple[Api, str]) -> Api:
        return made[0]

    @pytest.fixture
    def namespace(self, made: tuple[Api, str]) -> str:
        return made[1]

    @pytest.fixture
    def image(self) -> str:
        return os.environ.get("FDD_LIVE_IMAGE") or pytest.skip("needs FDD_LIVE_IMAGE, one that the cluster can pull")

    @pytest.mark.django_db
    def test_the_connection_is_tried_as_ops_save_it(self, kubeconfig: str) -> None:
        row = save_connection(actor=SYSTEM, name="live", kind="kubernetes", secrets={"kubeconfig": kubeconfig})
        found = try_connection(actor=SYSTEM, connection=row)
        assert found["ok"], found
        assert found["version"]
