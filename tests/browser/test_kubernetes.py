"""With a Kubernetes: connected, granted, deployed to, followed live; logs and a terminal; a version that crashes is explained
while the old pods serve; a rollback brings image *and* configuration back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.portal import Portal
from tests.simulators.kubernetes_rig import Pace, Rig
from tests.waiting import until

from .visitor import PATIENCE_S, Visitor

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(1800)]
SLUG, MACHINE, NAMESPACE, KEY = "kube", "kube-test", "kube-test", "kube/app.yaml"
PIPELINE = """pipeline { agent any
 options { skipDefaultCheckout() }
 stages { stage('Image') { steps {
   writeFile file: 'release.json', text: '{"image": "rig.local/app:%s"}'
   archiveArtifacts artifacts: 'release.json'
 } } } }
"""
MANIFEST = """apiVersion: apps/v1
kind: Deployment
metadata: {name: ${PROJECT}}
spec:
  template:
    spec:
      containers:
        - name: app
          env: [{name: GREETING, value: "%s"}]
          ports: [{name: http, containerPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: ${PROJECT}}
spec: {selector: {fangduoduo-release/project: "${PROJECT}"}, ports: [{port: 80, targetPort: http}]}
"""


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Rig(pace=Pace(reaction=0.02, start=0.4, ready=0.1, stop=0.2, backoff=0.3)) as running:
        running.namespace(NAMESPACE)
        yield running


class Told:
    """What the API is told besides what is clicked."""

    def __init__(self, house: Portal) -> None:
        self.dev, self.ops = house.api("dev"), house.api("ops")

    def version(self, tag: str) -> int:
        """Built from a pipeline that says it pushed this image."""
        self.dev.put(f"/api/projects/{SLUG}/pipeline/", json={"text": PIPELINE % tag}).raise_for_status()
        asked = self.dev.post(f"/api/projects/{SLUG}/builds/", json={"ref": "main"})
        build = asked.raise_for_status().json()
        done = until(
            lambda: (b := self.dev.get(f"/api/builds/{build['id']}/").json()) and b["finished_at"] and b,
            timeout=PATIENCE_S,
        )
        return int(done["version"]["number"])

    def write(self, greeting: str) -> None:
        body = {"text": MANIFEST % greeting, "note": greeting}
        self.dev.put(f"/api/projects/{SLUG}/configs/text/{KEY}/", json=body).raise_for_status()


@pytest.fixture(scope="module")
def told(house: Portal) -> Iterator[Told]:
    found = Told(house)
    yield found
    found.dev.close()
    found.ops.close()


def greetings(rig: Rig) -> set[str]:
    """What the pods that stay are configured with."""
    found = set()
    for pod in rig.pods(NAMESPACE):
        if "deletionTimestamp" not in pod["metadata"]:
            env = {one["name"]: one.get("value") for one in pod["spec"]["containers"][0]["env"]}
            image = pod["spec"]["containers"][0]["image"]  # a rollback names it by what the tag meant
            tags = [
                tag for tag in ("v1", "v2") if image.endswith((f":{tag}", rig.images.digest(f"rig.local/app:{tag}")))
            ]
            found.add(f"{env['GREETING']} {' '.join(tags)}")
    return found


def confirm(visitor: Visitor, button: str) -> Any:
    """Open the panel on the board, confirm; ends on the deployment's page."""
    visitor.click(button)
    visitor.click("[data-confirm]")
    visitor.page.wait_for_url("**/deployments/*/")
    return visitor.page


def connect(visitor: Visitor, rig: Rig) -> None:
    """Ops connect the cluster, and make a machine of a namespace."""
    page = visitor.sign_in("ops")
    visitor.open("/admin/common/connection/add/?kind=kubernetes")
    page.fill("[name=name]", "kube-rig")
    page.fill("[name=kubeconfig]", rig.kubeconfig())
    page.click("input[name=_save]")
    page.locator(".messagelist, .alert, main").filter(has_text="Kubernetes 1.33").first.wait_for()
    visitor.open("/admin/clusters/cluster/add/")
    page.fill("[name=name]", "kube-rig")
    page.select_option("[name=kind]", "kubernetes")
    page.select_option("[name=connection]", label="kube-rig")
    page.click("input[name=_save]")
    visitor.open("/admin/clusters/machine/add/")
    page.fill("[name=name]", MACHINE)
    page.select_option("[name=cluster]", label="kube-rig")
    page.fill("[name=namespace]", NAMESPACE)
    page.click("input[name=_save]")
    visitor.open("/clusters/kube-rig/")
    visitor.sees(NAMESPACE)


def test_connect_grant_deploy_live_logs_terminal_crash_and_rollback(
    visit: Callable[..., Visitor], house: Portal, rig: Rig, told: Told
) -> None:
    connect(visit(), rig)
    visitor = visit()
    page = visitor.sign_in()
    spec = {"port": 8080, "replicas": 2, "drain_s": 1, "start_deadline_s": 900}
    body = {"slug": SLUG, "name": "Kube", "source": {"kind": "git"}, "starter": "python-http", "spec": spec}
    told.dev.post("/api/projects/", json=body).raise_for_status()
    told.write("hello")
    bound = {"spec": {**spec, "config": {"source": "database", "key": KEY}}}
    told.dev.patch(f"/api/projects/{SLUG}/", json=bound).raise_for_status()
    asked = told.dev.post(f"/api/projects/{SLUG}/machine-requests/", json={"machine": MACHINE, "reason": "to deploy"})
    told.ops.post(f"/api/requests/{asked.json()['id']}/approve/", json={}).raise_for_status()
    told.version("v1")

    visitor.open(f"/projects/{SLUG}/")
    visitor.counted()
    page = confirm(visitor, "button:has-text('Deploy')")
    page.locator("#deployment .result").wait_for()  # live: nothing is reloaded
    assert visitor.counted() == 2
    assert greetings(rig) == {"hello v1"}
    visitor.sees(KEY, "#deployment")

    told.write("salute")
    told.version("v2")
    visitor.open(f"/projects/{SLUG}/")
    page.locator(f"#m-{MACHINE} [data-config-drift]").wait_for()
    rig.image("rig.local/app:v2", ready=False)  # old and new stand beside each other for as long as it takes to look
    page = confirm(visitor, f"#m-{MACHINE} button:has-text('Deploy')")
    page.locator("#deployment .instance-old").first.wait_for()
    rig.image("rig.local/app:v2", ready=True)
    page.locator("#deployment .result").wait_for()
    assert greetings(rig) == {"salute v2"}

    visitor.open(f"/projects/{SLUG}/")
    visitor.counted()
    visitor.click(f"#m-{MACHINE} a:has-text('Logs')")
    pod = next(p["metadata"]["name"] for p in rig.pods(NAMESPACE) if "deletionTimestamp" not in p["metadata"])
    rig.say(NAMESPACE, pod, ["an order has come in"], "app")
    visitor.sees("an order has come in", "[data-slog-rows]")
    assert visitor.counted() == 1
    visitor.open(f"/projects/{SLUG}/")
    visitor.click(f"#m-{MACHINE} a:has-text('Terminal')")
    page.locator("[data-terminal-status]", has_text=SLUG).wait_for()
    page.keyboard.type("echo I am in''side\n")
    page.locator(".xterm-rows", has_text="I am inside").wait_for()

    told.version("crash")
    visitor.open(f"/projects/{SLUG}/")
    page = confirm(visitor, f"#m-{MACHINE} button:has-text('Deploy')")
    failed = page.locator("#deployment .event").filter(has_text="What ran before is restored.")
    failed.wait_for()
    visitor.sees("It ended with exit code 1.", "#deployment")
    visitor.sees("cannot reach the database", "#deployment")
    until(lambda: greetings(rig) == {"salute v2"}, timeout=PATIENCE_S, what="only the version that ran before")

    visitor.open(f"/projects/{SLUG}/")
    visitor.counted()
    page = confirm(visitor, f"#m-{MACHINE} button:has-text('Roll back')")
    page.locator("#deployment .result").wait_for()
    assert visitor.counted() == 2
    until(lambda: greetings(rig) == {"hello v1"}, timeout=PATIENCE_S, what="image and configuration as they were")
