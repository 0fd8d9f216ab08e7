"""The simulated Gerrit used from outside the process it runs in: by its own door, and started by hand."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncssh
import httpx
import pytest

from tests.simulators.gerrit_ground import Asker
from tests.simulators.gerrit_rig import Rig
from tests.waiting import until

ROOT = Path(__file__).parents[2]


def _tell(rig: Rig, what: str, **given: Any) -> Any:
    answer = httpx.post(f"{rig.url}__sim__/{what}", json=given, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_another_process_may_do_what_a_test_may(asker: Asker) -> None:
    rig = asker.rig
    tip = _tell(rig, "push", project="team/app", ref="topic", files={"a": "1"})
    assert asker.get("projects/team%2Fapp/branches/topic")["revision"] == tip
    number = _tell(rig, "upload", project="team/app")["number"]
    assert _tell(rig, "upload", project="team/app", change=number)["number"] == 1
    assert _tell(rig, "submit", number=1)["number"] == 1
    _tell(rig, "faults/status", status=500, times=1)
    assert asker.send("GET", "projects/").status_code == 500
    assert "GET /a/projects/" in _tell(rig, "requests", pattern="projects/$")
    assert _tell(rig, "events")[-1]["type"] == "change-merged"
    assert _tell(rig, "listeners") == 0
    wrong = httpx.post(f"{rig.url}__sim__/faults/none", json={}, timeout=60)
    assert (wrong.status_code, "error" in wrong.json()) == (400, True)


@pytest.mark.slow
def test_it_runs_by_hand(tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    (tmp_path / "key.pub").write_bytes(key.export_public_key())
    words = [
        "--port",
        "0",
        "--ssh-port",
        "0",
        "--user",
        "me:secret",
        "--key",
        str(tmp_path / "key.pub"),
        "--project",
        "a/b",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.simulators.gerrit", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        said = dict(process.stdout.readline().split(maxsplit=1) for _ in range(3))
        answer = httpx.get(f"{said['url'].strip()}a/projects/a%2Fb", auth=("me", "secret"), timeout=60)
        assert answer.status_code == 200

        async def version() -> object:
            host, _, port = said["ssh"].strip().partition(":")
            hosts = asyncssh.import_known_hosts(said["known_hosts"])
            async with asyncssh.connect(
                host, int(port), username="me", client_keys=[key], known_hosts=hosts
            ) as connection:
                return (await connection.run("gerrit version")).stdout

        assert asyncio.run(version()) == "gerrit version 3.10.2\n"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_events_are_posted_to_webhooks_and_tried_again(asker: Asker, tmp_path: Path) -> None:
    with Rig(tmp_path / "other") as receiver:
        asker.gerrit.webhooks.interval = 0.05
        receiver.gerrit.faults.status(503, "POST", times=1)
        receiver.gerrit.faults.status(202, "POST")
        remote = asker.gerrit.webhooks.add(f"{receiver.url}hooks/gerrit/1/", "ref-updated")
        asker.gerrit.push("team/app")
        asker.gerrit.upload("team/app", "master")
        until(lambda: len(remote.answers) == 4, what="all deliveries")
        assert remote.answers == [503, 202, 202, 202]
        assert receiver.gerrit.requests.count("^POST /hooks/gerrit/1/$") == 4
