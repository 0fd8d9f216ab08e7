"""The simulator's events are those that Gerrit's own classes write, field by field: each recorded line is made to happen
by somebody pushing with git, and what comes out of `gerrit stream-events` is compared."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.simulators.gerrit_ground import commit, listening
from tests.simulators.gerrit_rig import Rig

RECORDED = Path(__file__).parent.parent / "recordings" / "gerrit" / "stream-events.jsonl.txt"
ZERO = "0" * 40
CHANGE_ID = "I4857e9b43918243af66cc09ff352619595c081c9"
Event = dict[str, Any]


def recordings() -> dict[str, Event]:
    """By the comment above each line."""
    found: dict[str, Event] = {}
    name = ""
    for line in RECORDED.read_text().splitlines():
        if line.startswith("# "):
            name = line[2:]
        else:
            found[name] = json.loads(line)
    return found


ALL = recordings()


def plain(value: Any, key: str = "") -> Any:
    """Without what differs from run to run: hashes (but not the one that means «nothing»), times, ports."""
    if isinstance(value, dict):
        return {name: plain(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if key in ("createdOn", "eventCreatedOn"):
        assert isinstance(value, int)
        assert 1_000_000_000 < value < 10_000_000_000, "seconds, not milliseconds"
        return "a time"
    if isinstance(value, str) and re.fullmatch("[0-9a-f]{40}", value) and value != ZERO:
        return "a commit"
    return re.sub(r"127\.0\.0\.1:\d+", "HOST", value) if isinstance(value, str) else value


def _play(rig: Rig, folder: Path) -> None:
    """As the administrator, with git."""
    gerrit = rig.gerrit
    gerrit.admin.password = "secret"
    gerrit.create_project("demo/app")
    url = f"{rig.url.replace('://', '://admin:secret@')}a/demo/app"
    rig.git("clone", "-q", url, str(folder))
    who = ("-c", "user.name=Administrator", "-c", "user.email=admin@example.com")
    commit(rig, folder, {"first": "1\n"}, "First")
    rig.git("push", "-q", "origin", "HEAD:refs/heads/master", folder=folder)
    rig.git("push", "-q", "origin", "HEAD:refs/heads/topic", folder=folder)
    rig.git("push", "-q", "origin", ":refs/heads/topic", folder=folder)
    rig.git("tag", "v1", folder=folder)
    rig.git("push", "-q", "origin", "v1", folder=folder)
    (folder / "file").write_text("one line\n")
    rig.git("add", "file", folder=folder)
    author = "Administrator <admin@example.com>"
    rig.git(*who, "commit", "-q", "--author", author, "-m", f"Add file\n\nChange-Id: {CHANGE_ID}", folder=folder)
    rig.git("push", "-q", "origin", "HEAD:refs/for/master", folder=folder)
    gerrit.submit(1)
    rig.git("fetch", "-q", "origin", "refs/meta/config", folder=folder)
    rig.git("checkout", "-q", "FETCH_HEAD", folder=folder)
    commit(rig, folder, {"groups": "# none\n"}, "Change the configuration")
    rig.git("push", "-q", "origin", "HEAD:refs/meta/config", folder=folder)
    rig.emit({"type": "the-end"})


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    """Everything that came over SSH while the play ran."""
    folder = tmp_path_factory.mktemp("gerrit")

    async def listen(rig: Rig) -> list[Event]:
        async with listening(rig) as process:
            play = asyncio.create_task(asyncio.to_thread(_play, rig, folder / "work"))
            found: list[Event] = []
            async for line in process.stdout:
                found.append(json.loads(line))
                if found[-1]["type"] == "the-end":
                    break
            await play
            return found[:-1]

    with Rig(folder / "server") as rig:
        return asyncio.run(listen(rig))


def test_the_recording_has_what_the_play_makes() -> None:
    assert len(ALL) == 10
    assert {event["type"] for event in ALL.values()} == {
        "ref-updated",
        "patchset-created",
        "change-merged",
        "project-created",
    }


@pytest.mark.parametrize("name", ALL)
def test_each_recorded_event_happens_exactly_so(name: str, heard: list[Event]) -> None:
    wanted = plain(ALL[name])
    alike = [plain(event) for event in heard if event["type"] == wanted["type"]]
    assert wanted in alike, alike


def test_no_event_has_a_field_that_was_not_recorded(heard: list[Event]) -> None:
    shapes = {event["type"]: set(_paths(event)) for event in ALL.values()}
    for event in heard:
        assert set(_paths(event)) <= shapes[event["type"]], event


def test_a_push_for_review_tells_of_the_change_after_its_refs(heard: list[Event]) -> None:
    at = next(number for number, event in enumerate(heard) if event["type"] == "patchset-created")
    assert [event["refUpdate"]["refName"] for event in heard[at - 2 : at]] == [
        "refs/changes/01/1/meta",
        "refs/changes/01/1/1",
    ]


def test_a_submit_moves_the_branch_before_it_tells_of_the_merge(heard: list[Event]) -> None:
    at = next(number for number, event in enumerate(heard) if event["type"] == "change-merged")
    assert [event["refUpdate"]["refName"] for event in heard[at - 2 : at]] == [
        "refs/heads/master",
        "refs/changes/01/1/meta",
    ]
    assert heard[at]["newRev"] == heard[at - 2]["refUpdate"]["newRev"]


def _paths(value: Any, above: str = "") -> list[str]:
    if isinstance(value, dict):
        return [path for key, each in value.items() for path in _paths(each, f"{above}/{key}")]
    return [above]
