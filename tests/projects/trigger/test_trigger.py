"""The trigger as a process of its own: what happens on the server reaches the webhook, whatever dies in between."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from projects.trigger.trigger import COMPARE_S, pause_after
from tests.simulators.gerrit_rig import USER, Rig
from tests.simulators.receiver import Post, Reply
from tests.waiting import until

from .ground import SECRET, STARTING_S, Hook, Triggers, genuine

pytestmark = pytest.mark.timeout(900)  # a hang, also where processes start slowly


def listening(triggers: Triggers, rig: Rig) -> None:
    """Until it listens and has compared: from here on nothing may be lost."""
    until(lambda: rig.gerrit.stream.listeners, STARTING_S, what=f"the trigger to listen: {triggers.output}")
    until(lambda: "what moves is told" in triggers.log, what="the first comparison")


def test_it_starts_in_a_production_without_secrets_database_or_folder_and_posts_signed_lines(
    gerrit_rig: Rig, hook: Hook, triggers: Triggers
) -> None:
    triggers.start()
    listening(triggers, gerrit_rig)
    sha = gerrit_rig.gerrit.push("team/app")
    until(lambda: hook.moves() == [sha])
    post = hook.taken[-1]
    assert post.path == "/hooks/gerrit/main/"
    assert post.headers["Content-Type"] == "application/x-ndjson"
    assert not hook.refused
    until(lambda: "the portal takes events" in triggers.log)  # said after the answer came
    assert SECRET not in triggers.log


def test_a_check_says_line_by_line_what_works(gerrit_rig: Rig, hook: Hook, triggers: Triggers) -> None:
    done = triggers.once()
    assert done.returncode == 0, done.stdout + done.stderr
    assert gerrit_rig.gerrit.daemon.key.get_fingerprint("sha256") in done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["ok"] * 5
    assert hook.taken[-1].headers["X-FDD-Event"] == "ping"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("secret", "it answers 401"),
        ("key", "private key cannot be read"),
        ("known_hosts", "No key of"),
        ("stream", "Stream Events"),
        ("server", "refuses connections"),
        ("portal", "cannot be reached"),
    ],
)
def test_a_check_says_what_does_not(gerrit_rig: Rig, hook: Hook, triggers: Triggers, spoil: str, said: str) -> None:
    if spoil in ("secret", "key", "known_hosts"):
        (triggers.folder / spoil).write_text("" if spoil == "known_hosts" else "nonsense")
    elif spoil == "stream":
        gerrit_rig.gerrit.faults.forbid(USER, "streamEvents")
    elif spoil == "server":
        gerrit_rig.gerrit.faults.refuse_ssh()
    else:
        triggers.url = "http://127.0.0.1:9"
    done = triggers.once()
    assert done.returncode == 1
    failed = [line for line in done.stdout.splitlines() if line.startswith("failed")]
    assert any(said in line for line in failed), done.stdout
    assert "nonsense" not in done.stdout + done.stderr


def test_a_wrong_command_line_is_told(triggers: Triggers) -> None:
    triggers.url = "nonsense:"
    done = triggers.once()
    assert done.returncode == 2
    assert "no address" in done.stderr


def test_what_happens_while_the_portal_is_away_arrives_in_order_when_it_is_back(
    gerrit_rig: Rig, hook: Hook, triggers: Triggers
) -> None:
    triggers.start()
    listening(triggers, gerrit_rig)
    hook.status = 503
    shas = [gerrit_rig.gerrit.push("team/app") for _ in range(5)]
    until(lambda: hook.refused)
    assert hook.moves() == []
    hook.status = 202
    until(lambda: hook.moves() == shas)
    assert "the portal does not take events" in triggers.log


def test_a_changed_secret_is_read_without_a_restart(gerrit_rig: Rig, hook: Hook, triggers: Triggers) -> None:
    (triggers.folder / "secret").write_text("an old one")
    triggers.start()
    listening(triggers, gerrit_rig)
    sha = gerrit_rig.gerrit.push("team/app")
    until(lambda: hook.refused and "it answers 401" in triggers.log)  # said only after the answer has come
    (triggers.folder / "secret").write_text(SECRET)
    until(lambda: hook.moves() == [sha])


@pytest.mark.slow
def test_killed_with_events_on_its_disk_it_posts_them_at_its_next_start(
    gerrit_rig: Rig, hook: Hook, triggers: Triggers
) -> None:
    process = triggers.start()
    listening(triggers, gerrit_rig)
    hook.status = 500
    shas = [gerrit_rig.gerrit.push("team/app") for _ in range(5)]
    change = gerrit_rig.gerrit.upload("team/app")
    until(lambda: b"patchset-created" in b"".join(p.read_bytes() for p in triggers.spool.glob("*.lines")))
    triggers.kill(process)
    hook.status = 202
    triggers.start()
    until(lambda: hook.moves() == shas, STARTING_S)
    until(lambda: any(event["type"] == "patchset-created" for event in hook.events))
    assert [event["change"]["number"] for event in hook.events if event["type"] == "patchset-created"] == [
        change.number
    ]


@pytest.mark.slow
def test_pushes_while_it_is_dead_are_found_at_its_next_start(gerrit_rig: Rig, hook: Hook, triggers: Triggers) -> None:
    process = triggers.start()
    listening(triggers, gerrit_rig)
    first = gerrit_rig.gerrit.push("team/app")
    until(lambda: hook.moves() == [first])
    triggers.kill(process)
    gerrit_rig.gerrit.push("team/app")
    last = gerrit_rig.gerrit.push("team/app")
    branch = gerrit_rig.gerrit.push("team/app", "topic")
    gerrit_rig.gerrit.create_project("team/new")
    new = gerrit_rig.gerrit.push("team/new")
    triggers.start()
    until(lambda: {last, branch} <= set(hook.moves()) and new in hook.moves("team/new"), STARTING_S)
    told = [event["refUpdate"] for event in hook.events if event["type"] == "ref-updated"]
    (missed,) = [update for update in told if update["newRev"] == last]
    assert missed["oldRev"] == first
    (made,) = [update for update in told if update["refName"] == "refs/heads/topic"]
    assert made["oldRev"] == "0" * 40


@pytest.mark.slow
def test_killed_again_and_again_while_pushes_come_it_loses_none_of_the_tips(
    gerrit_rig: Rig, hook: Hook, triggers: Triggers
) -> None:
    process = triggers.start()
    listening(triggers, gerrit_rig)
    shas = []
    for number in range(4):
        shas += [gerrit_rig.gerrit.push("team/app", f"branch-{number}-{n}") for n in range(10)]
        triggers.kill(process)
        shas.append(gerrit_rig.gerrit.push("team/app", f"dead-{number}"))
        process = triggers.start()
    until(lambda: set(shas) <= set(hook.moves()), STARTING_S)


def test_repositories_that_cannot_be_read_hold_up_no_other(gerrit_rig: Rig, hook: Hook, triggers: Triggers) -> None:
    gerrit = gerrit_rig.gerrit
    broken = {
        "a/broken": "fatal: 'a/broken': not a git archive\n",
        "y/forbidden": "fatal: upload-pack not permitted on this server\n",
        "z/silent": "",
    }
    for name, said in broken.items():
        gerrit.create_project(name)
        gerrit.faults.refuse_git(name, said)
    first = gerrit.push("team/app")
    process = triggers.start()
    listening(triggers, gerrit_rig)
    triggers.kill(process)
    missed = gerrit.push("team/app")
    triggers.start()
    until(lambda: hook.moves() == [missed], STARTING_S)
    assert first not in hook.moves()
    rounds = gerrit.daemon.commands.count("git-upload-pack 'z/silent'")
    gerrit.faults.lose_output()
    until(lambda: gerrit.daemon.commands.count("git-upload-pack 'z/silent'") > rounds)
    until(lambda: triggers.log.count("what moves is told") == 2)
    for name in broken:
        assert triggers.log.count(f"branches of {name} cannot be compared") == 2, "once by each process"
    assert "upload-pack not permitted on this server" in triggers.log


def test_what_could_not_be_read_at_the_very_start_begins_when_it_can(
    gerrit_rig: Rig, hook: Hook, triggers: Triggers
) -> None:
    gerrit = gerrit_rig.gerrit
    gerrit.create_project("team/late")
    old = gerrit.push("team/late")
    gerrit.faults.refuse_git("team/late", "fatal: internal server error\n")
    triggers.start()
    listening(triggers, gerrit_rig)
    gerrit.daemon.refusals.clear()
    gerrit.stream.hold()
    unheard = gerrit.push("team/app")
    gerrit.stream.forget()
    gerrit.faults.lose_output()
    until(lambda: hook.moves() == [unheard])
    until(lambda: triggers.log.count("what moves is told") == 2, what="the late one to be known too")
    gerrit.faults.drop_events()
    gerrit.faults.refuse_ssh()
    new = gerrit.push("team/late")
    gerrit.faults.accept_ssh()
    until(lambda: new in hook.moves("team/late"))
    assert old not in hook.moves("team/late")


def test_after_rounds_that_fail_it_waits_longer_and_longer() -> None:
    pauses = [pause_after(failures) for failures in range(1, 30)]
    assert pauses[0] < pauses[1] < pauses[2]
    assert pauses == sorted(pauses)
    assert max(pauses) == pause_after(0) == COMPARE_S


def test_a_restart_of_the_server_is_told_and_its_gap_is_found(gerrit_rig: Rig, hook: Hook, triggers: Triggers) -> None:
    triggers.start()
    listening(triggers, gerrit_rig)
    gerrit_rig.gerrit.faults.restart()
    sha = gerrit_rig.gerrit.push("team/app")
    gerrit_rig.gerrit.faults.come_back()
    until(lambda: sha in hook.moves())
    assert "not listening:" in triggers.log
    assert triggers.log.count("listening to 127.0.0.1") == 2


def test_a_changed_host_key_is_refused_with_both_fingerprints_until_it_is_pinned(
    gerrit_rig: Rig, hook: Hook, triggers: Triggers
) -> None:
    old = gerrit_rig.gerrit.daemon.key.get_fingerprint("sha256")
    gerrit_rig.gerrit.faults.change_host_key()
    triggers.start()
    new = gerrit_rig.gerrit.daemon.key.get_fingerprint("sha256")
    until(lambda: old in triggers.log and new in triggers.log, STARTING_S)
    assert not gerrit_rig.gerrit.daemon.commands


def test_what_was_spoiled_on_the_way_is_made_up_for(gerrit_rig: Rig, hook: Hook, triggers: Triggers) -> None:
    triggers.start()
    listening(triggers, gerrit_rig)
    gerrit = gerrit_rig.gerrit
    gerrit.stream.hold()
    sha = gerrit.push("team/app")
    gerrit.stream.forget()
    gerrit.faults.huge_event(3_000_000)
    until(lambda: hook.moves() == [sha])
    assert "an event was lost" in triggers.log


def test_a_line_the_portal_will_never_take_holds_up_no_other(gerrit_rig: Rig, hook: Hook, triggers: Triggers) -> None:
    judge = hook.receiver.judge

    def strict(post: Post) -> Reply:
        return Reply(422) if b"poison" in post.body and hook.status == 202 and genuine(post) else judge(post)

    hook.receiver.judge = strict
    triggers.start()
    listening(triggers, gerrit_rig)
    hook.status = 503
    first = gerrit_rig.gerrit.push("team/app")
    gerrit_rig.emit({"type": "poison"})
    second = gerrit_rig.gerrit.push("team/app")
    until(lambda: hook.refused)
    hook.status = 202
    until(lambda: hook.moves() == [first, second])
    kept = triggers.spool / "refused.lines"
    until(lambda: kept.exists() and kept.read_text().endswith("\n"))
    assert json.loads(kept.read_text()) == {"type": "poison"}


def test_a_spool_that_is_full_is_told_loudly_and_the_gap_is_found_later(
    gerrit_rig: Rig, hook: Hook, triggers: Triggers
) -> None:
    """One megabyte at most, and the portal is away: what no longer fits is found by comparison."""
    hook.status = 503
    triggers.start("--spool-mb", "1")
    listening(triggers, gerrit_rig)
    for _ in range(3):
        gerrit_rig.emit({"type": "comment-added", "comment": "x" * 400_000})
    until(lambda: "cannot be kept" in triggers.log)
    gerrit_rig.emit({"type": "comment-added", "comment": "x" * 200_000})
    sha = gerrit_rig.gerrit.push("team/app")
    hook.status = 202
    until(lambda: sha in hook.moves(), 150)  # it may have begun to wait for half a minute between two posts


def test_it_ends_at_once_when_asked_to_and_two_do_not_share_a_spool(
    gerrit_rig: Rig, hook: Hook, triggers: Triggers
) -> None:
    process = triggers.start()
    listening(triggers, gerrit_rig)
    other = triggers.start()
    assert other.wait(STARTING_S) == 2
    assert "another trigger works in" in triggers.log
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0, "it waits for the end of nothing: its next comparison is in ten minutes"
    assert "Traceback" not in triggers.log


def test_it_runs_without_django_too(gerrit_rig: Rig, hook: Hook, triggers: Triggers, tmp_path: Path) -> None:
    command = triggers.command("--once")
    at = command.index("manage.py")
    command[at : at + 2] = ["-m", "projects.trigger"]
    script = [*command[:1], "-X", "importtime", *command[1:]]
    done = subprocess.run(
        script, cwd=Path(__file__).parents[3], env={"PATH": "/usr/bin"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert not [name for name in imported if name.split(".")[0] == "django"]
