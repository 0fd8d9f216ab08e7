"""Terminals of services on real servers, with real programs: who may, what is shown, what is written down, what is bounded."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from asgiref.sync import sync_to_async
from websockets.exceptions import ConnectionClosed, InvalidStatus

from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.actor import SYSTEM
from permissions.models import User
from projects.actions import set_member
from tests import world
from tests.common.sockets.serving import Server, bearer

from .ground import Ground

pytestmark = pytest.mark.django_db(transaction=True)
call = sync_to_async(thread_sensitive=False)
Open = Callable[..., Any]
MIB = 1024 * 1024


@pytest.fixture
def dev(shop: Ground) -> User:
    return shop.member("developer")


def entries(service: int, verb: str) -> list[AuditEntry]:
    rows = AuditEntry.objects.filter(verb=verb, object_kind="deployments.service", object_id=str(service))
    return list(rows.order_by("pk"))


async def test_a_shell_answers_and_its_exit_code_is_told(terminal: Open, shop: Ground, dev: User) -> None:
    at = await terminal(shop, dev, f"instance={shop.pods[0]}&container=app&cols=100&rows=30")
    await at.until(lambda: at.state == "open")
    assert at.statuses[0] == {"state": "open", "instance": shop.pods[0], "container": "app"}
    await at.type("stty size; echo $((6*7))-$HOSTNAME\r")
    await at.sees(b"30 100")
    await at.sees(f"42-{shop.pods[0]}".encode())
    await at.resize(80, 24)
    await at.type("stty size\r")
    await at.sees(b"24 80")
    await at.type("exit 3\r")
    assert await at.code() == 1000
    assert at.statuses[-1] == {"state": "ended", "exit_code": 3, "sentence": ""}


async def test_without_names_it_is_an_instance_that_is_ready_and_its_main_container(
    terminal: Open, shop: Ground, dev: User
) -> None:
    at = await terminal(shop, dev)
    await at.until(lambda: at.state == "open")
    assert at.statuses[0]["instance"] in shop.pods
    assert at.statuses[0]["container"] == "app"


async def test_opening_and_closing_stand_in_the_audit_with_what_was_done(
    terminal: Open, shop: Ground, dev: User
) -> None:
    at = await terminal(shop, dev, f"instance={shop.pods[0]}")
    await at.until(lambda: at.state == "open")
    opened = await call(entries)(shop.service.pk, "service.terminal")
    assert [(row.actor, row.after) for row in opened] == [
        (dev.username, {"instance": shop.pods[0], "container": "app"})
    ]
    assert opened[0].address == "127.0.0.1"
    await at.type("exit 7\r")
    assert await at.code() == 1000
    closed: list[AuditEntry] = []
    while not closed:
        closed = await call(entries)(shop.service.pk, "service.terminal_closed")
        await asyncio.sleep(0.05)
    after = closed[0].after
    assert (after["instance"], after["exit_code"], after["typed_bytes"]) == (shop.pods[0], 7, 7)
    assert after["shown_bytes"] > 0
    assert after["seconds"] >= 0
    assert "exit 7" not in json.dumps([row.after for row in (*opened, *closed)])  # never what was typed


async def test_who_may_on_a_test_machine(terminal: Open, shop: Ground) -> None:
    people = {role: await call(shop.member)(role) for role in ("viewer", "developer", "maintainer")}
    stranger = await call(world.person)()
    assert await (await terminal(shop, None)).code() == 4401
    assert await (await terminal(shop, stranger)).code() == 4404
    seen = await terminal(shop, people["viewer"])
    assert await seen.code() == 4403
    assert seen.statuses[-1]["state"] == "refused"
    assert "developer" in seen.statuses[-1]["sentence"]
    assert seen.statuses[-1]["request_url"].startswith("/requests/new/")
    for role in ("developer", "maintainer"):
        at = await terminal(shop, people[role])
        await at.until(lambda at=at: at.state == "open")


async def test_production_is_for_those_who_operate_it(terminal: Open, live: Ground) -> None:
    people = {role: await call(live.member)(role) for role in ("developer", "maintainer")}
    assert await (await terminal(live, people["developer"])).code() == 4403
    at = await terminal(live, people["maintainer"])
    await at.until(lambda: at.state == "open")


async def test_a_right_taken_away_closes_it_at_once(terminal: Open, shop: Ground, dev: User) -> None:
    """The server's next question would come in ten minutes."""
    at = await terminal(shop, dev)
    await at.until(lambda: at.state == "open")
    await call(set_member)(actor=SYSTEM, project=shop.project, user=dev, role=None)
    assert await at.code() == 4403


async def test_tokens_open_it_and_other_origins_do_not(terminal: Open, server: Server, shop: Ground, dev: User) -> None:
    headers = await call(bearer)(dev)
    at = await terminal(shop, None, origin=None, additional_headers=headers)
    await at.until(lambda: at.state == "open")
    for origin in ("http://evil.example", None, f"https://{server.address}.evil.example"):
        with pytest.raises(InvalidStatus):
            await terminal(shop, dev, origin=origin)


@pytest.mark.parametrize(
    "query", ["instance=../x", "container=a%20b", "cols=0", "rows=x", "cols=99999", "instance=" + "a" * 300]
)
async def test_questions_that_cannot_be_are_refused(terminal: Open, shop: Ground, dev: User, query: str) -> None:
    assert await (await terminal(shop, dev, query)).code() == 4400


async def test_an_instance_or_container_that_is_not_there_is_a_sentence(
    terminal: Open, shop: Ground, dev: User
) -> None:
    for query, words in (("instance=shop-gone", "shop-gone"), (f"instance={shop.pods[0]}&container=nope", "nope")):
        at = await terminal(shop, dev, query)
        assert await at.code() == 4404
        assert at.state == "refused"
        assert words in at.statuses[-1]["sentence"]


async def test_a_sentence_comes_in_the_readers_language(opened: Open, shop: Ground) -> None:
    viewer = await call(shop.member)("viewer")
    socket = await opened(
        f"/ws/services/{shop.service.pk}/terminal/", viewer, additional_headers={"Accept-Language": "zh-CN"}
    )
    message = await asyncio.wait_for(socket.recv(), 60)
    assert re.search(r"[\u4e00-\u9fff]", json.loads(message[1:])["sentence"])


async def test_ten_megabytes_of_output_arrive_whole(terminal: Open, shop: Ground, dev: User, tmp_path: Any) -> None:
    file = tmp_path / "big"
    line = b"0123456789abcdef" * 4
    file.write_bytes((line + b"\n") * (10 * MIB // 65))
    at = await terminal(shop, dev)
    await at.type(f"stty -onlcr; cat {file}; echo do''ne\r")
    await at.sees(b"do''ne")
    pieces = [at.text]
    at.text = b""
    while b"\ndone" not in at.text[-100:]:
        await at.one()
        if len(at.text) > MIB:
            pieces.append(at.text)
            at.text = b""
    whole = b"".join([*pieces, at.text])
    assert whole.count(line) == 10 * MIB // 65


async def test_only_the_window_is_sent_to_who_acknowledges_nothing(terminal: Open, shop: Ground, dev: User) -> None:
    at = await terminal(shop, dev, acks=False)
    await at.until(lambda: at.state == "open")
    await at.type("yes\r")
    await at.until(lambda: at.shown >= 256 * 1024)
    with contextlib.suppress(TimeoutError):
        while True:  # whatever else is on its way
            await at.one(timeout=3)
    assert at.shown <= 256 * 1024 + 64 * 1024
    before = at.shown
    await at.ack()
    await at.until(lambda: at.shown > before)


async def test_a_paste_larger_than_the_window_goes_in_pieces_as_it_is_taken(
    terminal: Open, shop: Ground, dev: User
) -> None:
    at = await terminal(shop, dev)
    await at.until(lambda: at.state == "open")
    command = "stty raw -echo; echo ra''w; head -c 1000000 | md5sum; stty sane\r"
    await at.type(command)
    await at.sees(b"raw\n")  # what comes before stty would be echoed and cut
    typed = len(command)
    sent = 0
    while sent < 1_000_000:
        piece = min(16_000, 1_000_000 - sent)
        await at.type("x" * piece)
        sent += piece
        await at.until(lambda sent=sent: sent + typed - at.taken <= 64 * 1024)
    await at.sees(hashlib.md5(b"x" * 1_000_000).hexdigest().encode())


async def test_typing_into_a_program_that_takes_nothing_is_bounded(terminal: Open, shop: Ground, dev: User) -> None:
    at = await terminal(shop, dev)
    await at.type("stty raw -echo; echo ra''w; sleep 3000\r")
    await at.sees(b"raw\n")
    with contextlib.suppress(ConnectionClosed):
        for _ in range(1000):
            await at.type("x" * 60_000)
    assert await at.code() == 4413


async def test_rubbish_from_a_browser_cannot_hurt(terminal: Open, shop: Ground, dev: User) -> None:
    at = await terminal(shop, dev)
    for rubbish in (
        b"",
        b"\x04{",
        b"\x04[]",
        b'\x04{"cols": -1, "rows": 5}',
        b"\x05null",
        b'\x05{"ack": 99999999}',
        b"\x09x",
        "text",
    ):
        await at.socket.send(rubbish)
    await at.type("echo o''k\r")
    await at.sees(b"ok\r\n")
    await at.socket.send(b"\x00" + b"x" * 70_000)
    assert await at.code() == 4413


async def test_a_browser_that_goes_leaves_no_program_behind(terminal: Open, shop: Ground, dev: User) -> None:
    at = await terminal(shop, dev)
    number = f"{9_000_000_000 + os.getpid()}"  # another worker's sleeper is none of ours
    await at.type(f"sleep {number}\r")
    await at.sees(number.encode())

    def sleepers() -> int:
        found = 0
        for process in psutil.process_iter(["cmdline"]):
            found += (process.info["cmdline"] or [])[-1:] == [number]
        return found

    while not sleepers():
        await asyncio.sleep(0.05)
    at.socket.transport.abort()
    async with asyncio.timeout(60):
        while sleepers():
            await asyncio.sleep(0.1)
        while not await call(entries)(shop.service.pk, "service.terminal_closed"):
            await asyncio.sleep(0.05)


async def test_a_pod_that_is_deleted_ends_its_terminal_with_a_sentence(terminal: Open, shop: Ground, dev: User) -> None:
    pod = shop.pods[0]
    at = await terminal(shop, dev, f"instance={pod}")
    await at.until(lambda: at.state == "open")
    await call(shop.rig.delete)("pods", "shop-test", pod)
    assert await at.code() == 1000
    assert at.state == "ended"


async def test_a_cluster_that_is_away_is_a_sentence(terminal: Open, shop: Ground, dev: User) -> None:
    def break_it() -> None:
        connection = shop.cluster.connection
        connection.secrets = {
            "kubeconfig": connection.secrets["kubeconfig"].replace(shop.rig.url, "https://127.0.0.1:9")
        }
        connection.save()

    await call(break_it)()
    at = await terminal(shop, dev)
    assert await at.code() == 4502
    assert at.state == "refused"
    closed = await call(entries)(shop.service.pk, "service.terminal_closed")
    assert "does not answer" in closed[-1].after["reason"]
