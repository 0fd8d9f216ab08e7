"""Every way in which the simulated Gerrit goes wrong, each seen by a client."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from email.utils import parsedate_to_datetime

import asyncssh
import httpx
import pytest

from tests.simulators.gerrit_ground import Asker, connected, event, listening
from tests.simulators.gerrit_rig import USER, Rig
from tests.waiting import until

# -- over HTTP ----------------------------------------------------------------------------------------------------------


def test_a_rule_holds_for_its_pattern_its_times_and_until_it_is_lifted(asker: Asker) -> None:
    faults = asker.gerrit.faults
    rule = faults.status(500, "GET /a/projects/team/app", times=2)
    where = "projects/team%2Fapp"
    assert [asker.send("GET", where).status_code for _ in range(3)] == [500, 500, 200]
    assert rule.hits == 2
    with faults.starting():
        answer = asker.send("GET", where)
        assert answer.status_code == 503
        assert answer.headers["Content-Type"].startswith("text/html")
    assert asker.send("GET", where).status_code == 200
    faults.status(500)
    faults.clear()
    assert asker.send("GET", where).status_code == 200


@pytest.mark.parametrize("status", [401, 403, 404, 409, 429, 500, 502])
def test_any_status_may_be_answered_in_plain_text(asker: Asker, status: int) -> None:
    asker.gerrit.faults.status(status, "/projects", times=1, text="because")
    answered, text = asker.refusal("GET", "projects/")
    assert (answered, text) == (status, "Unauthorized" if status == 401 else "because")


def test_a_refused_request_has_no_effect_and_a_lost_answer_has(asker: Asker) -> None:
    faults = asker.gerrit.faults
    faults.reset("PUT /a/projects/one")
    faults.reset("PUT /a/projects/two", after_effect=True)
    for name in ("one", "two"):
        with pytest.raises(httpx.TransportError):
            asker.send("PUT", f"projects/{name}", {})
    assert (asker.gerrit.projects.named("one"), bool(asker.gerrit.projects.named("two"))) == (None, True)


def test_an_answer_may_come_late_or_by_half(asker: Asker) -> None:
    asker.gerrit.faults.late(0.3, "/version")
    begun = time.monotonic()
    assert asker.get("config/server/version") == "3.10.2"
    assert time.monotonic() - begun >= 0.3
    with asker.gerrit.faults.truncated("/projects"), pytest.raises(json.JSONDecodeError):
        json.loads(asker.send("GET", "projects/").text.partition("\n")[2])


def test_an_answer_may_be_held_until_it_is_let_go(asker: Asker) -> None:
    held = asker.gerrit.faults.held("/version", times=1)
    with ThreadPoolExecutor(1) as hands:
        answer = hands.submit(asker.get, "config/server/version")
        until(lambda: held.hits, what="the question")
        assert asker.get("config/server/version") == "3.10.2", "others are answered"
        assert not answer.done()
        held.lift()
        assert answer.result(60) == "3.10.2"


def test_git_fails_where_http_fails(asker: Asker) -> None:
    with asker.gerrit.faults.status(500, "/info/refs"):
        assert asker.rig.git("ls-remote", asker.rig.git_url("team/app"), check=False).returncode == 128
    assert asker.rig.git("ls-remote", asker.rig.git_url("team/app")).returncode == 0


@pytest.mark.parametrize(("status", "text"), [(404, "Not found: master"), (403, "read reflog not permitted")])
def test_reflogs_may_be_out_of_reach(asker: Asker, status: int, text: str) -> None:
    asker.gerrit.faults.reflog_off(status)
    assert asker.refusal("GET", "projects/team%2Fapp/branches/master/reflog") == (status, text)
    asker.gerrit.faults.clear()
    assert asker.get("projects/team%2Fapp/branches/master/reflog")


def test_pages_of_branches_may_overlap(asker: Asker) -> None:
    asker.gerrit.push("team/app", "topic")
    asker.gerrit.faults.overlap_pages()
    pages = [asker.get(f"projects/team%2Fapp/branches/?n=2&S={start}") for start in (0, 2, 4)]
    assert [[one["ref"] for one in page] for page in pages] == [
        ["refs/heads/master", "refs/heads/topic"],
        ["HEAD", "refs/heads/topic"],
        ["refs/meta/config"],
    ]


def test_what_is_asked_is_counted(asker: Asker) -> None:
    asker.get("projects/team%2Fapp")
    assert asker.gerrit.requests.lines("^GET") == ["GET /a/projects/team/app"]


def test_the_clock_may_be_wrong(asker: Asker) -> None:
    asker.gerrit.faults.skew(-3600)
    asker.gerrit.push("team/app")
    date = parsedate_to_datetime(asker.send("GET", "config/server/version").headers["date"]).timestamp()
    made = asker.gerrit.stream.past[-1]["eventCreatedOn"]
    assert [round((time.time() - seen) / 3600) for seen in (date, made)] == [1, 1]


def test_a_project_may_have_refs_by_the_thousand(asker: Asker) -> None:
    asker.gerrit.tag("team/app", "v1", message="annotated")
    asker.gerrit.faults.many_refs("team/app", 5000)
    asker.gerrit.faults.many_refs("team/app", 5000, "refs/changes/99")
    told = asker.rig.git("ls-remote", asker.rig.git_url("team/app")).stdout
    assert told.count("refs/heads/many/") == told.count("refs/changes/99/") == 5000
    assert told.count("refs/tags/v1^{}") == 1
    assert len(asker.get("projects/team%2Fapp/branches/?m=many/")) == 5000
    asker.gerrit.push("team/app")


# -- in events ----------------------------------------------------------------------------------------------------------


async def test_connections_may_end_in_the_middle_of_a_line(asker: Asker) -> None:
    async with connected(asker.rig) as connection:
        process = await connection.create_process("gerrit stream-events", stdin=asyncssh.DEVNULL)
        asker.rig.listening()
        asker.gerrit.faults.drop_events()
        rest = ""
        with suppress(asyncssh.Error, OSError):
            while more := await process.stdout.read(1000):
                rest += more
        await connection.wait_closed()
        assert rest.startswith('{"projectName"')
        assert not rest.endswith("\n")
    until(lambda: not asker.gerrit.stream.listeners, what="no listener")


async def test_silence_is_not_even_an_answer_to_a_keepalive(asker: Asker) -> None:
    async with listening(asker.rig, keepalive_interval=0.3, keepalive_count_max=4) as process:
        asker.gerrit.push("team/app")
        await event(process)
        await asyncio.sleep(1.6)  # were keepalives not answered meanwhile, the connection would end
        asker.gerrit.push("team/app")
        await event(process)
        asker.gerrit.faults.fall_silent()
        asker.gerrit.push("team/app")
        assert not asker.gerrit.daemon.connections[0].is_closed()
        with suppress(asyncssh.Error):
            assert await asyncio.wait_for(process.stdout.readline(), 60) == "", (
                "nothing comes before the client gives up"
            )


async def test_silence_without_keepalives_lasts(asker: Asker) -> None:
    async with connected(asker.rig) as connection:
        process = await connection.create_process("gerrit stream-events", stdin=asyncssh.DEVNULL)
        asker.rig.listening()
        asker.gerrit.faults.fall_silent(new_too=True)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(process.stdout.readline(), 0.5)
        with pytest.raises((TimeoutError, asyncssh.Error, OSError)):
            async with connected(asker.rig, login_timeout=0.5):
                pass
        asker.gerrit.faults.speak_again()
        async with listening(asker.rig):
            pass
        connection.abort()


async def test_events_come_twice_late_and_out_of_order(asker: Asker) -> None:
    async with listening(asker.rig) as process:
        asker.gerrit.stream.twice()
        one = asker.gerrit.push("team/app")
        assert [(await event(process))["refUpdate"]["newRev"] for _ in range(2)] == [one, one]
        asker.gerrit.stream.hold()
        two, three = (asker.gerrit.push("team/app") for _ in range(2))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(process.stdout.readline(), 0.2)
        assert asker.gerrit.stream.release() == 2
        assert [(await event(process))["refUpdate"]["newRev"] for _ in range(2)] == [three, two]
        asker.gerrit.stream.hold()
        asker.gerrit.push("team/app")
        assert asker.gerrit.stream.forget() == 1
        four = asker.gerrit.push("team/app")
        assert (await event(process))["refUpdate"]["newRev"] == four


async def test_lines_may_be_no_json_or_ten_megabytes(asker: Asker) -> None:
    async with connected(asker.rig) as connection:
        process = await connection.create_process("gerrit stream-events", stdin=asyncssh.DEVNULL)
        asker.rig.listening()
        asker.gerrit.faults.garbage()
        with pytest.raises(json.JSONDecodeError):
            await event(process)
        asker.gerrit.faults.huge_event()
        read = 0
        while not (await process.stdout.read(65536)).endswith("\n"):
            read += 1
        assert read > 100
        asker.gerrit.faults.lose_output()
        assert (await event(process))["type"] == "dropped-output"


async def test_who_reads_too_slowly_is_told_that_something_is_missing(asker: Asker) -> None:
    asker.gerrit.daemon.output_limit = 10_000
    async with connected(asker.rig) as connection:
        process = await connection.create_process("gerrit stream-events", stdin=asyncssh.DEVNULL, window=20_000)
        asker.rig.listening()
        await asyncio.to_thread(asker.rig.flood, 10_000, 0.1)  # while it does not read, but answers keep being taken
        kinds = []
        while "dropped-output" not in kinds:
            kinds.append((await event(process))["type"])
            asker.rig.emit({"type": "ref-updated"})
        assert 10 < kinds.count("ref-updated") < 1000


# -- in SSH -------------------------------------------------------------------------------------------------------------


async def test_another_host_key_is_not_believed(asker: Asker) -> None:
    pinned, port = asker.rig.known_hosts, asker.rig.ssh_port
    asker.gerrit.faults.change_host_key()
    assert (asker.rig.ssh_port, asker.rig.known_hosts == pinned) == (port, False)
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        async with connected(asker.rig, known_hosts=asyncssh.import_known_hosts(pinned)):
            pass
    async with connected(asker.rig):
        pass


async def test_a_revoked_key_comes_in_no_more(asker: Asker) -> None:
    async with listening(asker.rig) as process:
        asker.gerrit.faults.revoke_keys(USER)
        with pytest.raises(asyncssh.PermissionDenied):
            async with connected(asker.rig):
                pass
        asker.gerrit.push("team/app")
        assert (await event(process))["type"] == "ref-updated"
    asker.gerrit.faults.authorize(USER, asker.rig.public_key)
    async with connected(asker.rig):
        pass


async def test_what_happens_while_it_restarts_is_never_heard_of(asker: Asker) -> None:
    async with connected(asker.rig) as connection:
        await connection.create_process("gerrit stream-events", stdin=asyncssh.DEVNULL)
        asker.rig.listening()
        asker.gerrit.faults.restart()
        await connection.wait_closed()
    with pytest.raises(OSError):
        async with connected(asker.rig):
            pass
    assert asker.send("GET", "projects/").status_code == 503
    asker.gerrit.push("team/app")
    asker.gerrit.faults.come_back()
    assert asker.send("GET", "projects/").status_code == 200
    async with listening(asker.rig) as process:
        tip = asker.gerrit.push("team/app")
        assert (await event(process))["refUpdate"]["newRev"] == tip


async def test_it_comes_back_by_itself(asker: Asker) -> None:
    async with connected(asker.rig) as connection:
        asker.gerrit.faults.restart(0.2)
        await connection.wait_closed()  # it was away; that HTTP is so too, until it is back, is looked at above
    until(lambda: asker.send("GET", "projects/").status_code == 200, what="Gerrit to come back")
    async with connected(asker.rig):
        pass


@pytest.mark.slow
async def test_a_listener_keeps_up_with_a_thousand_events_a_second(gerrit_rig: Rig) -> None:
    async with listening(gerrit_rig) as process:
        flood = asyncio.create_task(asyncio.to_thread(gerrit_rig.flood, 1000, 3))
        numbers = [int((await event(process))["refUpdate"]["newRev"], 16) for _ in range(3000)]
        assert await flood == 3000
    assert numbers == list(range(1, 3001))
