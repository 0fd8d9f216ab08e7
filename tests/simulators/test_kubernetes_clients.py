"""Real clients at the simulated cluster: kubectl, the official Python client; and the cluster started by hand."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import kubernetes
import pytest
import yaml

from tests.waiting import until

from .kubernetes_ground import SPACE, Caller, deployment
from .kubernetes_rig import ADMIN, Pace, Rig, Rule

ROOT = Path(__file__).parents[2]
KUBECTL = shutil.which("kubectl")
needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")


class Kubectl:
    def __init__(self, folder: Path, config: str) -> None:
        self.file = folder / "kubeconfig"
        self.file.write_text(config)
        self.folder = folder

    def __call__(self, *words: str, given: str = "", code: int = 0) -> str:
        assert KUBECTL is not None
        done = subprocess.run(
            [KUBECTL, "--kubeconfig", str(self.file), "--cache-dir", str(self.folder / "cache"), "-n", SPACE, *words],
            input=given, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def kubectl(caller: Caller, tmp_path: Path) -> Kubectl:
    return Kubectl(tmp_path, caller.rig.kubeconfig())


@needs_kubectl
def test_kubectl_deploys_and_looks(caller: Caller, kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", given=yaml.safe_dump(deployment()))
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/web")
    assert len(kubectl("get", "pods", "-o", "name", "-l", "app=web").split()) == 2
    kubectl("set", "image", "deployment/web", "app=rig.local/app:v2")
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/web")
    kubectl("rollout", "undo", "deployment/web")
    caller.rig.rolled_out(SPACE, "web")
    assert "REVISION" in kubectl("rollout", "history", "deployment/web")
    kubectl("scale", "deployment/web", "--replicas=1")
    assert "ScalingReplicaSet" in kubectl("describe", "deployment", "web")
    assert "conflict with" in kubectl("apply", "--server-side", "-f", "-", given=yaml.safe_dump(deployment()), code=1)
    assert "deleted" in kubectl("delete", "deployment", "web")
    assert "not found" in kubectl("get", "deployment", "web", code=1)


@needs_kubectl
def test_kubectl_reads_logs_and_runs_commands(caller: Caller, kubectl: Kubectl) -> None:
    caller.applied(deployment(replicas=1))
    caller.rig.rolled_out(SPACE, "web")
    pod = caller.rig.pods(SPACE)[0]["metadata"]["name"]
    caller.rig.say(SPACE, pod, ["hello"])
    assert kubectl("logs", pod) == "hello\n"
    assert kubectl("exec", pod, "--", "echo", "hi") == "hi\n"
    assert "exit code 3" in kubectl("exec", pod, "--", "sh", "-c", "exit 3", code=3)
    assert kubectl("exec", "-i", pod, "--", "cat", given="through\n") == "through\n"


@needs_kubectl
def test_kubectl_by_certificate_and_as_somebody_less(caller: Caller, tmp_path: Path) -> None:
    by_certificate = Kubectl(tmp_path, caller.rig.kubeconfig(ADMIN, certificate_login=True))
    assert "node1" in by_certificate("get", "nodes")
    caller.rig.user("reader", Rule(("get", "list"), ("pods",), ("",), (SPACE,)))
    reader = Kubectl(tmp_path, caller.rig.kubeconfig("reader"))
    assert "No resources found" in reader("get", "pods")
    assert "Forbidden" in reader("get", "nodes", code=1)


def test_the_official_client_lists_and_watches(caller: Caller) -> None:
    caller.applied(deployment())
    caller.rig.rolled_out(SPACE, "web")
    config = kubernetes.config.new_client_from_config_dict(yaml.safe_load(caller.rig.kubeconfig()))
    with config as client:
        pods = kubernetes.client.CoreV1Api(client).list_namespaced_pod(SPACE, label_selector="app=web")
        assert [pod.status.phase for pod in pods.items] == ["Running", "Running"]
        caller.rig.faults.edit("deployments", SPACE, "web", {"spec": {"replicas": 3}})
        watch = kubernetes.watch.Watch()
        events = watch.stream(
            kubernetes.client.CoreV1Api(client).list_namespaced_pod, SPACE,
            resource_version=pods.metadata.resource_version, timeout_seconds=60,
        )  # fmt: skip
        for event in events:
            if event["type"] == "ADDED":
                break
        else:
            pytest.fail("no third pod")
        watch.stop()
        review = kubernetes.client.AuthorizationV1Api(client).create_self_subject_access_review(
            {"spec": {"resourceAttributes": {"verb": "list", "resource": "pods"}}}
        )
        assert review.status.allowed
        assert kubernetes.client.VersionApi(client).get_code().minor == "33"


@pytest.mark.slow
def test_it_runs_by_hand(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    words = ["--port", "0", "--kubeconfig-out", str(file), "--namespace", SPACE, "--fast", "--fill", f"{SPACE}:2:5"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.simulators.kubernetes", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("url")
        with kubernetes.config.new_client_from_config(str(file)) as client:
            pods = kubernetes.client.CoreV1Api(client).list_namespaced_pod(SPACE)
        assert len(pods.items) == 10
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


@pytest.mark.slow
@pytest.mark.parametrize("pause", [0, 2])
def test_real_pods_lose_requests_only_without_a_pause_before_their_end(pause: int) -> None:
    from .kubernetes_load import Load, roll

    # What goes unannounced is believed to be there for long enough to be asked, what waits is forgotten long before.
    pace = Pace(propagation=(0.05, 0.2) if pause else (1.0, 1.5))
    with Rig(processes=True, pace=pace) as rig, Load(rig, pause) as load:
        roll(rig, load)
        until(lambda: load.versions >= {"v1", "v2"}, what="an answer of the new version")
        assert (load.failed > 0) == (pause == 0)
        assert not rig.failures
