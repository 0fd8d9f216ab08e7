"""A build survives what is killed around it, or ends with a sentence; nothing happens twice and nothing is left over."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from tests.faults.ground import VICTIMS, Ground
from tests.faults.site import HANG_S, Clone, Site, pipeline, until, waits_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def marks(folder: Path, between: str = "sleep 0.2") -> str:
    """A pipeline that leaves one line per step outside of its workspace, and does this after the first."""
    line = f"sh 'echo {{}} $FDD_BUILD_KEY >> {folder}/effects; {{}}'"
    steps = [line.format("one", between), line.format("two", "true"), "sh 'echo x > x.txt'; archiveArtifacts 'x.txt'"]
    return pipeline(*steps)


def effects(folder: Path, key: str) -> list[str]:
    path = folder / "effects"
    rows = [row.split() for row in path.read_text().splitlines()] if path.exists() else []
    return [word for word, whose in rows if whose == key]


def push(site: Site, clone: Clone, folder: Path, branch: str = "kills", between: str = "sleep 0.2") -> int:
    return site.pushed(clone, {"Jenkinsfile": marks(folder, between)}, branch)


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_running_build_goes_on_whoever_is_killed(
    site: Site, clone: Clone, ground: Ground, tmp_path: Path, victim: str
) -> None:
    gate = tmp_path / "gate"
    pk = push(site, clone, tmp_path, between=waits_for(gate))
    key = site.running(pk)["key"]
    until(lambda: effects(tmp_path, key), what="the first step")
    assert until(lambda: ground.kill(victim), what=f"a {victim} to kill")
    gate.touch()
    done = site.ended(pk)
    assert done["state"] == "succeeded", done
    assert effects(tmp_path, key) == ["one", "two"]
    assert done["version"] is not None


@pytest.mark.parametrize("victim", ["worker", "group", "agents", "web"])
def test_a_build_that_waits_is_not_lost(site: Site, clone: Clone, ground: Ground, tmp_path: Path, victim: str) -> None:
    sha = clone.commit({"Jenkinsfile": marks(tmp_path)})
    clone.push("waits", "--force")
    assert until(lambda: ground.kill(victim), what=f"a {victim} to kill")
    pk = site.build_of(sha)
    done = site.ended(pk)
    assert done["state"] == "succeeded", done
    assert effects(tmp_path, done["key"]) == ["one", "two"]


@pytest.mark.parametrize("with_worker", [False, True])
def test_a_killed_agent_ends_the_build_with_a_sentence(
    site: Site, clone: Clone, ground: Ground, tmp_path: Path, with_worker: bool
) -> None:
    text = pipeline(f"sh 'echo one $FDD_BUILD_KEY >> {tmp_path}/effects; setsid sleep 3000 & sleep 3000'")
    pk = site.pushed(clone, {"Jenkinsfile": text}, "agent")
    build = site.running(pk)
    until(lambda: effects(tmp_path, build["key"]), what="the first step")
    agents = ground.agents(build)
    assert len(agents) == 1
    if with_worker:
        ground.kill("worker")
    os.kill(agents[0], signal.SIGKILL)
    done = site.ended(pk)
    assert done["state"] == "failed"
    assert done["error"]["code"] == "agent_killed"
    assert "Retry it" in done["error"]["sentence"]
    assert all(stage["state"] != "running" for stage in done["stages"])
    assert site.log(pk)
    retried = site.post(f"/api/builds/{pk}/retry/")["id"]
    site.running(retried)
    site.post(f"/api/builds/{retried}/cancel/")
    assert site.ended(retried)["state"] == "cancelled"


def test_the_agent_is_killed_at_any_moment(site: Site, clone: Clone, ground: Ground, tmp_path: Path) -> None:
    """From its first step to the archiving at its end: succeeded, or failed with a sentence; never twice, never stuck."""
    chance = random.Random(2)
    pks = [push(site, clone, tmp_path, f"any{n}") for n in range(4)]
    for pk in pks:
        build = site.running(pk)
        until(lambda b=build: effects(tmp_path, b["key"]) or site.build(b["id"])["state"] != "running")
        time.sleep(chance.uniform(0, 1.2))
        for pid in ground.agents(build):
            with contextlib.suppress(ProcessLookupError):  # it has ended just now
                os.kill(pid, signal.SIGKILL)
    for pk in pks:
        done = site.ended(pk)
        assert done["state"] in {"succeeded", "failed"}
        assert done["state"] == "succeeded" or done["error"]["sentence"]
        assert (done["version"] is not None) == (done["state"] == "succeeded")
        found = effects(tmp_path, done["key"])
        assert found == ["one", "two"][: len(found)]


def test_a_storm_of_kills(site: Site, clone: Clone, ground: Ground, tmp_path: Path) -> None:
    chance = random.Random(20)
    gate = tmp_path / "gate"
    pks = [push(site, clone, tmp_path, f"storm{n}", waits_for(gate)) for n in range(3)]
    for number in range(10):
        if number == 5:  # so that the later ones hit the end of the builds
            gate.touch()
        time.sleep(chance.uniform(0.2, 1.0))
        victims = chance.sample(VICTIMS, len(VICTIMS))  # the first of them that lives at this moment
        assert until(lambda order=victims: any(ground.kill(v) for v in order), what="anybody to kill")
    for pk in pks:
        done = site.ended(pk)
        assert done["state"] == "succeeded", done
        assert effects(tmp_path, done["key"]) == ["one", "two"]
        assert not done["needs_ops"]


def test_all_queued_tasks_are_deleted_and_nothing_is_lost(
    site: Site, clone: Clone, ground: Ground, tmp_path: Path
) -> None:
    sha = clone.commit({"Jenkinsfile": marks(tmp_path)})
    clone.push("deleted", "--force")
    with sqlite3.connect(site.portal.var / "db.sqlite3", timeout=HANG_S) as database:
        for _ in range(30):
            database.execute("DELETE FROM django_q_ormq")
            database.commit()
            time.sleep(0.05)
    done = site.ended(site.build_of(sha))
    assert done["state"] == "succeeded"
    assert effects(tmp_path, done["key"]) == ["one", "two"]
