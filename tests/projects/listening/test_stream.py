"""The SSH side of a Gerrit, on real sockets: only a pinned key is believed, and whatever goes wrong is one sentence."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from fangduoduo_release.common.errors import AppError, NotFound, Rejected, Unavailable
from projects.drivers.source.gerrit import host_keys
from projects.drivers.source.gerrit.stream import (
    Half,
    Heard,
    Oversize,
    Patience,
    Session,
    StreamAddress,
    connected,
    look,
)
from tests.simulators.gerrit_rig import USER, Rig
from tests.waiting import until

PATIENT = Patience(connect_s=60, keepalive_s=60, check_s=0.3, answer_s=60, tips_s=120)
"""With a server that is well, however slow the machine is; in silence it is asked soon whether it lives."""


def address(rig: Rig, **more: Any) -> StreamAddress:
    made = StreamAddress.of(*rig.connection_facts())
    return replace(made, **{"patience": PATIENT, **more})


def fingerprint(rig: Rig) -> str:
    return rig.gerrit.daemon.key.get_fingerprint("sha256")


def hear(rig: Rig, then: Callable[[], Any], count: int = 1, where: StreamAddress | None = None) -> list[Heard]:
    """Listen, do something, and return what was heard: `count` pieces, or all up to the end."""

    async def ask() -> list[Heard]:
        found: list[Heard] = []
        async with connected(where or address(rig)) as session:
            await session.begin()
            doing = asyncio.get_running_loop().run_in_executor(None, then)
            async for batch in session.heard():
                found += batch
                if count and len(found) >= count:
                    break
            await doing
        return found

    return asyncio.run(asyncio.wait_for(ask(), 120))


def trouble(rig: Rig, then: Callable[[], Any], where: StreamAddress | None = None) -> tuple[AppError, list[Heard]]:
    """The same up to the end, and what ended it."""
    found: list[Heard] = []

    async def ask() -> None:
        async with connected(where or address(rig)) as session:
            await session.begin()
            doing = asyncio.get_running_loop().run_in_executor(None, then)
            async for batch in session.heard():
                found.extend(batch)
            await doing

    with pytest.raises(AppError) as caught:
        asyncio.run(asyncio.wait_for(ask(), 120))
    return caught.value, found


def ask(rig: Rig, question: Callable[[Session], Coroutine[Any, Any, Any]], where: StreamAddress | None = None) -> Any:
    async def answer() -> Any:
        async with connected(where or address(rig)) as session:
            return await question(session)

    return asyncio.run(asyncio.wait_for(answer(), 120))


def nothing() -> None:
    pass


# -- what goes well ---------------------------------------------------------------------------------------------------


def test_what_is_pushed_after_begin_is_heard(gerrit_rig: Rig) -> None:
    gerrit_rig.gerrit.create_project("team/app")
    (line,) = hear(gerrit_rig, lambda: gerrit_rig.gerrit.push("team/app"))
    assert isinstance(line, bytes)
    event = json.loads(line)
    assert (event["type"], event["refUpdate"]["refName"]) == ("ref-updated", "refs/heads/master")


def test_a_thousand_events_come_in_order_and_each_once(gerrit_rig: Rig) -> None:
    lines = [b'{"number":%d}' % number for number in range(1000)]
    heard = hear(gerrit_rig, lambda: [gerrit_rig.emit(line + b"\n") for line in lines], count=1000)
    assert heard == lines


def test_a_look_tells_version_fingerprint_and_whether_it_may_listen(gerrit_rig: Rig) -> None:
    facts = look(address(gerrit_rig))
    assert (facts.version, facts.streams, facts.fingerprint) == ("3.10.2", True, fingerprint(gerrit_rig))
    gerrit_rig.gerrit.faults.forbid(USER, "streamEvents")
    assert not look(address(gerrit_rig)).streams


def test_the_key_a_server_shows_can_be_pinned_as_it_is_told(gerrit_rig: Rig) -> None:
    line, print_ = host_keys.offered_host_key("127.0.0.1", gerrit_rig.ssh_port)
    assert print_ == fingerprint(gerrit_rig) == host_keys.fingerprint_of("127.0.0.1", gerrit_rig.ssh_port)
    assert look(address(gerrit_rig, known_hosts=line)).version
    assert host_keys.pinned_fingerprints("127.0.0.1", gerrit_rig.ssh_port, line) == print_


# -- who is on the other side -----------------------------------------------------------------------------------------


def test_a_changed_host_key_is_refused_with_both_fingerprints_before_anything_is_sent(gerrit_rig: Rig) -> None:
    where, old = address(gerrit_rig), fingerprint(gerrit_rig)
    gerrit_rig.gerrit.faults.change_host_key()
    error, _ = trouble(gerrit_rig, nothing, where)
    assert isinstance(error, Rejected)
    assert error.code == "host_key"
    assert old in str(error)
    assert fingerprint(gerrit_rig) in str(error)
    assert not gerrit_rig.gerrit.daemon.commands


@pytest.mark.parametrize("pinned", ["", "# nothing\n", "[10.0.0.1]:29418 ssh-ed25519 AAAA"])
def test_an_unknown_host_key_is_never_taken_over(gerrit_rig: Rig, pinned: str) -> None:
    error, _ = trouble(gerrit_rig, nothing, address(gerrit_rig, known_hosts=pinned))
    assert isinstance(error, Rejected)
    if error.code != "known_hosts_unreadable":
        assert error.code == "host_key"
        assert fingerprint(gerrit_rig) in str(error)


def test_a_revoked_key_is_refused_and_a_known_one_let_in_again(gerrit_rig: Rig) -> None:
    gerrit_rig.gerrit.faults.revoke_keys(USER)
    error, _ = trouble(gerrit_rig, nothing)
    assert isinstance(error, Rejected)
    assert error.code == "key_refused"
    assert USER in str(error)
    gerrit_rig.gerrit.faults.authorize(USER, gerrit_rig.public_key)
    assert look(address(gerrit_rig)).streams


def test_a_key_that_cannot_be_read_is_told_without_a_word_of_it(gerrit_rig: Rig) -> None:
    error, _ = trouble(gerrit_rig, nothing, address(gerrit_rig, key="-----BEGIN sEcReT"))
    assert isinstance(error, Rejected)
    assert error.code == "key_unreadable"
    assert "sEcReT" not in f"{error} {error.evidence}"
    assert "sEcReT" not in repr(address(gerrit_rig, key="sEcReT"))


def test_an_account_that_may_not_listen_is_told_which_capability_it_needs(gerrit_rig: Rig) -> None:
    gerrit_rig.gerrit.faults.forbid(USER, "streamEvents")
    error, _ = trouble(gerrit_rig, nothing)
    assert isinstance(error, Rejected)
    assert error.code == "no_stream"
    assert "Stream Events" in str(error)


# -- when it is not there ---------------------------------------------------------------------------------------------


def test_a_server_that_restarts_refuses_connections(gerrit_rig: Rig) -> None:
    where = address(gerrit_rig)
    gerrit_rig.gerrit.faults.restart()
    error, _ = trouble(gerrit_rig, nothing, where)
    assert (type(error), error.code) == (Unavailable, "refused")
    gerrit_rig.gerrit.faults.come_back()
    assert look(where).streams


def test_a_name_that_cannot_be_found_is_told(gerrit_rig: Rig) -> None:
    error, _ = trouble(gerrit_rig, nothing, address(gerrit_rig, host="no-such-host.invalid"))
    assert (type(error), error.code) == (Unavailable, "unknown_host")
    assert "no-such-host.invalid" in str(error)


def test_a_port_that_never_says_a_word_is_given_up(gerrit_rig: Rig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = address(gerrit_rig, port=silent.getsockname()[1], patience=replace(PATIENT, connect_s=0.5))
        begun = time.monotonic()
        error, _ = trouble(gerrit_rig, nothing, where)
    assert (type(error), error.code) == (Unavailable, "silent")
    assert time.monotonic() - begun < 60


def test_a_server_that_falls_silent_is_noticed(gerrit_rig: Rig) -> None:
    """By its keepalives; nothing else would notice it within a minute."""
    where = address(gerrit_rig, patience=replace(PATIENT, keepalive_s=0.3, check_s=60))
    error, _ = trouble(gerrit_rig, gerrit_rig.gerrit.faults.fall_silent, where)
    assert isinstance(error, Unavailable)


def test_a_server_whose_transport_lives_but_does_nothing_is_noticed_too(gerrit_rig: Rig) -> None:
    """Keepalives are answered; commands are not. With the keepalive out of the way only the question can tell."""
    where = address(gerrit_rig, patience=replace(PATIENT, answer_s=1))
    error, _ = trouble(gerrit_rig, gerrit_rig.gerrit.faults.fall_silent, where)
    assert (type(error), error.code) == (Unavailable, "silent")


def test_by_default_silence_is_noticed_within_a_minute() -> None:
    patience = Patience()
    assert patience.keepalive_s * 4 <= 60
    assert patience.check_s + patience.answer_s <= 60


def test_a_quiet_stream_is_kept_and_asked_whether_it_lives(gerrit_rig: Rig) -> None:
    def later() -> None:
        until(lambda: gerrit_rig.gerrit.daemon.commands.count("gerrit version") >= 4)
        gerrit_rig.emit(b"{}\n")

    assert hear(gerrit_rig, later) == [b"{}"]


# -- what is no line --------------------------------------------------------------------------------------------------


def test_a_drop_in_the_middle_of_a_line_leaves_half_of_it_and_a_reason(gerrit_rig: Rig) -> None:
    def spoil() -> None:
        gerrit_rig.emit(b'{"whole":1}\n')
        gerrit_rig.gerrit.stream.line(b'{"half":')
        daemon = gerrit_rig.gerrit.daemon
        daemon.loop.call_soon_threadsafe(daemon.connections[0].abort)  # after the lines, in the same loop

    error, heard = trouble(gerrit_rig, spoil)
    assert isinstance(error, Unavailable)
    assert heard == [b'{"whole":1}', Half(8)]


def test_ten_megabytes_in_one_line_are_left_out_and_the_next_line_is_heard(gerrit_rig: Rig) -> None:
    def spoil() -> None:
        gerrit_rig.gerrit.faults.huge_event(10_000_000)
        gerrit_rig.emit(b'{"next":1}\n')

    first, second = hear(gerrit_rig, spoil, count=2)
    assert isinstance(first, Oversize)
    assert first.size > 10_000_000
    assert second == b'{"next":1}'


# -- where branches are -----------------------------------------------------------------------------------------------


def test_tips_are_those_of_branches_and_tags_and_nothing_else(gerrit_rig: Rig) -> None:
    gerrit = gerrit_rig.gerrit
    gerrit.create_project("team/app")
    head = gerrit.push("team/app")
    other = gerrit.push("team/app", "release/1")
    tag = gerrit.tag("team/app", "v1", message="One")
    gerrit.upload("team/app")
    tips = ask(gerrit_rig, lambda session: session.tips("team/app"))
    assert tips == {"refs/heads/master": head, "refs/heads/release/1": other, "refs/tags/v1": tag}
    assert tag != head


def test_of_a_hundred_thousand_other_refs_only_branches_are_kept(gerrit_rig: Rig) -> None:
    gerrit_rig.gerrit.create_project("team/app")
    head = gerrit_rig.gerrit.push("team/app")
    gerrit_rig.gerrit.faults.many_refs("team/app", 100_000, prefix="refs/changes/01")
    tips = ask(gerrit_rig, lambda session: session.tips("team/app"))
    assert tips == {"refs/heads/master": head}


def test_a_repository_that_is_not_there_is_not_found(gerrit_rig: Rig) -> None:
    for name in ("no/such", "it's", "", "a\nb"):
        with pytest.raises(NotFound):
            ask(gerrit_rig, lambda session, name=name: session.tips(name))


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("fatal: 'team/broken': not a git archive\n", NotFound),
        ("fatal: Project not found: team/broken\n", NotFound),
        ("fatal: upload-pack not permitted on this server\n", Rejected),
        ("fatal: internal server error\n", Rejected),
        ("", Unavailable),
    ],
)
def test_a_repository_that_cannot_be_read_says_nothing_about_the_connection(
    gerrit_rig: Rig, said: str, kind: type[AppError]
) -> None:
    for name in ("team/app", "team/broken"):
        gerrit_rig.gerrit.create_project(name)
    head = gerrit_rig.gerrit.push("team/app")
    gerrit_rig.gerrit.faults.refuse_git("team/broken", said)

    async def question(session: Session) -> dict[str, str]:
        with pytest.raises(AppError) as caught:
            await session.tips("team/broken")
        assert type(caught.value) is kind
        assert not session.lost
        return await session.tips("team/app")

    assert ask(gerrit_rig, question) == {"refs/heads/master": head}


def test_a_session_whose_connection_ended_is_lost(gerrit_rig: Rig) -> None:
    gerrit_rig.gerrit.create_project("team/app")

    async def question(session: Session) -> None:
        gerrit_rig.gerrit.faults.refuse_ssh()
        with pytest.raises(Unavailable):
            await session.tips("team/app")
        assert session.lost

    ask(gerrit_rig, question)


def test_the_repositories_an_account_sees_are_listed(gerrit_rig: Rig) -> None:
    gerrit_rig.gerrit.create_project("team/app")
    assert "team/app" in ask(gerrit_rig, lambda session: session.repositories())
