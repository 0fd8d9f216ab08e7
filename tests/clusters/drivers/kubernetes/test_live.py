"""The contract of runtimes on a real cluster: `FDD_LIVE_KUBECONFIG` (a file), `FDD_LIVE_IMAGE` (an image with a shell; two, by a
comma, where versions are to differ). In a namespace of its own, which is deleted at the end."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters.drivers.runtime.kubernetes import access, names
from clusters.drivers.runtime.kubernetes.api import Api
from clusters.drivers.runtime.kubernetes.runtime import KubernetesConfig, KubernetesRuntime
from tests.clusters.drivers.kubernetes.places import KubernetesPlace, nobody
from tests.clusters.drivers.kubernetes.test_runtime import OfAnOrchestrator
from tests.clusters.drivers.runtime_contract import Place

NEEDED = ("FDD_LIVE_KUBECONFIG", "FDD_LIVE_IMAGE")


@pytest.fixture(scope="module")
def live() -> Iterator[Api]:
    missing = [name for name in NEEDED if not os.environ.get(name)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    text = Path(os.environ["FDD_LIVE_KUBECONFIG"]).read_text()
    api = Api(access.from_kubeconfig(text, allow_insecure=True))
    yield api
    api.close()


@pytest.mark.live
class TestLive(OfAnOrchestrator):
    @pytest.fixture
    def place(self, live: Api) -> Iterator[KubernetesPlace]:
        namespace = f"fdd-contract-{uuid.uuid4().hex[:8]}"
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        live.call("POST", names.NAMESPACES.path(), body=body)
        first, _, second = os.environ["FDD_LIVE_IMAGE"].partition(",")
        runtime = KubernetesRuntime(KubernetesConfig("live", b"of this installation"), live, nobody)
        yield KubernetesPlace(runtime, namespace, {"one": first.strip(), "two": (second or first).strip()})
        live.delete(names.NAMESPACES, "", namespace)

    @pytest.mark.skip(reason="nobody can hold a real cluster's controllers still")
    def test_apply_alone_changes_nothing_that_runs(self, place: Place) -> None: ...
