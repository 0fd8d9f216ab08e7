"""What tests of the simulated cluster share: a manifest, and somebody who asks its API."""

from __future__ import annotations

import copy
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import httpx
import yaml

from tests.simulators.kubernetes_rig import ADMIN, Rig
from tests.waiting import until

Object = dict[str, Any]
APPLY = "application/apply-patch+yaml"
SPACE = "shop-test"
DEPLOYMENT = f"/apis/apps/v1/namespaces/{SPACE}/deployments/web"
PODS = f"/api/v1/namespaces/{SPACE}/pods"


def deployment(image: str = "rig.local/app:v1", replicas: int = 2, name: str = "web", **spec: Any) -> Object:
    container = {"name": "app", "image": image, "ports": [{"containerPort": 80}]}
    return copy.deepcopy(
        {
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": SPACE, "labels": {"app": name}},
            "spec": {
                "replicas": replicas, "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
                },
                **spec,
            },
        }
    )  # fmt: skip


def container_of(obj: Object) -> Object:
    found: Object = obj["spec"]["template"]["spec"]["containers"][0]
    return found


class Caller:
    """Asks as one account."""

    def __init__(self, rig: Rig, user: str = ADMIN) -> None:
        self.rig = rig
        self.http = httpx.Client(
            base_url=rig.url, verify=ssl.create_default_context(cadata=rig.ca), timeout=60,
            headers={"Authorization": f"Bearer {rig.users.named[user].token}"},
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def get(self, path: str, **query: Any) -> Any:
        answer = self.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, method: str, path: str, body: Any = None, **more: Any) -> Object:
        answer = self.http.request(method, path, json=body, **more)
        assert answer.status_code >= 400, answer.text
        found: Object = answer.json()
        assert found["code"] == answer.status_code
        return found

    def apply(self, obj: Object, path: str = DEPLOYMENT, manager: str = "portal", **query: Any) -> httpx.Response:
        return self.http.patch(
            path,
            params={"fieldManager": manager, **query},
            content=yaml.safe_dump(obj),
            headers={"Content-Type": APPLY},
        )

    def applied(self, obj: Object, path: str = DEPLOYMENT, manager: str = "portal", **query: Any) -> Object:
        answer = self.apply(obj, path, manager, **query)
        assert answer.status_code in (200, 201), answer.text
        found: Object = answer.json()
        return found

    @contextmanager
    def watching(self, path: str = PODS, **query: Any) -> Iterator[Watched]:
        watched = Watched(self, path, {"watch": "1", "resourceVersion": str(self.rig.revision()), **query})
        try:
            yield watched
        finally:
            watched.stop()


class Watched:
    """Collects what a watch says, in a thread; `error` is how the stream broke, if it did."""

    def __init__(self, caller: Caller, path: str, query: dict[str, str]) -> None:
        self.events: list[Object] = []
        self.rest = ""
        self.error: Exception | None = None
        self.ended = threading.Event()
        self._stop = threading.Event()
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._listen, args=(caller, path, query), daemon=True)
        self._thread.start()
        assert self._begun.wait(60)

    def _listen(self, caller: Caller, path: str, query: dict[str, str]) -> None:
        try:
            with caller.http.stream("GET", path, params=query) as stream:
                self._begun.set()
                for text in stream.iter_text():
                    self.rest += text
                    *lines, self.rest = self.rest.split("\n")
                    self.events += [json.loads(line) for line in lines if line]
                    if self._stop.is_set():
                        return
        except httpx.HTTPError as broken:
            self.error = broken
        finally:
            self._begun.set()
            self.ended.set()

    def stop(self) -> None:
        self._stop.set()

    def said(self, type_: str, name: str = "") -> Object:
        """Until there was such an event."""

        def found() -> Object | None:
            return next(
                (e for e in self.events if e["type"] == type_ and name in ("", e["object"]["metadata"].get("name"))),
                None,
            )

        return until(found, what=f"{type_} {name} among {[e['type'] for e in self.events]}")
