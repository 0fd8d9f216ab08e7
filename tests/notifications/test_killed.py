"""A whole portal whose worker is killed between sending and writing it down: told at least once, under the same id."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.portal import Portal
from tests.simulators.receiver import Post, Receiver, Reply
from tests.waiting import until

pytestmark = pytest.mark.slow


def test_killed_between_sending_and_writing_it_down(portals: Callable[..., Portal]) -> None:
    portal = portals(env={"FDD_LEASE_S": "3"}).start()
    killed: list[int] = []

    def judge(post: Post) -> Reply:
        if not killed and post.headers["X-FDD-Event"] == "test":
            killed.extend(portal.tree("worker"))
            for pid in killed:  # whoever waits for this answer is gone before it comes
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        return Reply()

    receiver = Receiver(judge)
    with receiver.serving(), portal.api("dev") as dev:
        given = {"kind": "webhook", "name": "ci", "address": f"{receiver.url}/hook"}
        channel = dev.post("/api/me/channels/", json=given).json()["id"]
        assert dev.post(f"/api/me/channels/{channel}/test/").status_code == 202

        def sent() -> list[dict[str, Any]]:
            rows: list[dict[str, Any]] = dev.get("/api/me/deliveries/", params={"event": "test"}).json()["results"]
            return [row for row in rows if row["state"] == "sent"]

        (row,) = until(sent, timeout=240, what="the message to be sent after the kill")
        # What the killed worker was at work on may be told as well.
        ids = [post.headers["X-FDD-Delivery"] for post in receiver.posts if post.headers["X-FDD-Event"] == "test"]
        assert killed
        assert len(ids) >= 2
        assert set(ids) == {row["key"]}
