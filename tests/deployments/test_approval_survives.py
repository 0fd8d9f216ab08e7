"""A deployment that waits for people loses nothing when the worker is killed: by API only, on a whole portal."""

from __future__ import annotations

from typing import Any

import pytest

from tests.portal import Portal
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def told(answer: Any) -> Any:
    assert answer.is_success, answer.text
    return answer.json()


def test_killed_while_it_waits_it_starts_all_the_same_when_people_agree(portal: Portal) -> None:
    with portal.api("dev") as dev, portal.api("ops") as ops, portal.api("admin") as admin:

        def versions() -> Any:
            return told(dev.get("/api/projects/sample/versions/"))["results"]

        number = until(versions, timeout=600, every=0.3, what="the sample's first version")[0]["number"]
        told(ops.patch("/api/machines/prod/", json={"approval": {"needed": 2}}))
        asked = told(dev.post("/api/projects/sample/deployments/", json={"machine": "prod", "version": number}))
        where = f"/api/deployments/{asked['id']}/"
        assert asked["state"] == "awaiting_approval"
        agreed = {"sha256": asked["approval"]["sha256"]}
        assert dev.post(f"{where}approve/", json=agreed).status_code == 403
        told(ops.post(f"{where}approve/", json=agreed))
        old = portal.kill("worker")
        told(admin.post(f"{where}approve/", json=agreed))
        portal.wait_for_new("worker", old)
        done = until(
            lambda: (found := told(dev.get(where)))["state"] in {"succeeded", "failed", "cancelled"} and found,
            timeout=600, every=0.3, what="the deployment's end",
        )  # fmt: skip
        assert done["state"] == "succeeded", done
        assert [one["by"] for one in done["approval"]["decisions"]] == ["ops", "admin"]
        events = told(dev.get(f"{where}events/"))
        assert [event["data"].get("state") for event in events].count("queued") == 1, "it started once"
