"""Sockets and git on a real server × everybody who may come. A socket or a room beside Django without a line fails."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.management import call_command
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from fangduoduo_release import asgi
from permissions.models import ApiToken
from tests.common.sockets.serving import Server, running, session_of

from .matrix import ROLES, SIGNED_IN
from .matrix_doors import GIT, HOOKS, OPEN, SOCKETS, UNSEEN, Git, Socket
from .stage import Stage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.timeout(900)]
OWN_CODE = ("builds", "clusters", "deployments", "fangduoduo_release", "permissions", "projects")
NO_DOOR = 403  # a handshake is refused with it
STAYS_S = 0.3  # so long one that is to stay open is watched
REFUSED_S = 120.0  # so long one that is to be refused is waited for


def plain(path: str) -> str:
    """A path with its parameters as `<>`."""
    return re.sub(r"\{\w+\}|\(\??[^)]*\)(?:\{[^}]*\})?", "<>", path)


def test_every_socket_and_room_has_a_line_and_every_line_is_there() -> None:
    known = {"/ws/home/", *(f"/ws/{kind}/<>/" for kind in settings.SOCKET_TOPICS)}
    for name, module in list(sys.modules.items()):
        path = getattr(module, "PATH", None) if name.partition(".")[0] in OWN_CODE else None
        if isinstance(path, re.Pattern) and isinstance(path.pattern, str) and path.pattern.startswith("/ws/"):
            known.add(plain(path.pattern))
    told = {plain(socket.path) for socket in SOCKETS}
    assert sorted(known - told) == [], "say in matrix_doors.py who may listen"
    assert sorted(told - known) == []
    assert set(asgi.HTTP_ROOMS) == {"/git/", "/hooks/"}, "a room beside Django needs lines in matrix_doors.py"


@pytest.fixture(scope="module")
def stage(django_db_setup: None, django_db_blocker: Any) -> Iterator[Stage]:
    """Committed, so that another process sees it; taken away at the end."""
    with django_db_blocker.unblock():
        yield Stage("doors")
        call_command("flush", verbosity=0, interactive=False, reset_sequences=False)


@pytest.fixture
def _django_db_helper(stage: Stage) -> None:
    """In the place of pytest-django's own, which flushes."""


@pytest.fixture(scope="module")
def server(stage: Stage) -> Iterator[Server]:
    yield from running("daphne")


AT_ONCE = 16  # a server gives a handshake five seconds; a busy machine does not make a hundred at a time in those


async def closed_with(server: Server, stage: Stage, socket: Socket, role: str) -> int:
    """The code it is closed with, 0 when it stays open; the status when there is no such socket."""
    path, user = socket.path.format(**stage.values), stage.people.get(role)
    for attempt in range(3):
        if role == "token":
            opening = server.socket(path, origin=None, additional_headers={"Authorization": f"Bearer {stage.token}"})
        else:
            opening = await sync_to_async(server.socket, thread_sensitive=False)(path, user)
        try:
            connection = await opening
            break
        except InvalidStatus as error:
            return error.response.status_code
        except (
            InvalidMessage
        ):  # hung up without a word: the server had no time for the handshake, and says nothing of rights
            if attempt == 2:
                raise
    async with connection:
        try:
            async with asyncio.timeout(STAYS_S if socket.expected(role) == OPEN else REFUSED_S):
                while True:
                    await connection.recv()
        except ConnectionClosed:
            return int(connection.close_code)
        except TimeoutError:
            return OPEN


async def test_everybody_hears_what_the_matrix_says(server: Server, stage: Stage) -> None:
    cells = [(socket, role) for socket in SOCKETS for role in ROLES]
    turns = asyncio.Semaphore(AT_ONCE)

    async def in_turn(socket: Socket, role: str) -> int:
        async with turns:
            return await closed_with(server, stage, socket, role)

    found = await asyncio.gather(*(in_turn(*cell) for cell in cells))
    wrong = [
        f"{role}: {socket.path} -> {code}, expected {socket.expected(role)}"
        for (socket, role), code in zip(cells, found, strict=True)
        if code != socket.expected(role)
    ]
    assert not wrong, "\n" + "\n".join(wrong)


def test_everybody_gets_of_git_what_the_matrix_says(server: Server, stage: Stage) -> None:
    keys = {role: ApiToken.make(user, "git")[1] for role, user in stage.people.items() if role != "token"}
    keys["token"] = stage.token
    wrong = []
    with httpx.Client(base_url=f"http://{server.address}", timeout=120) as client:
        for role in ROLES:
            for line in GIT:
                status = ask_git(client, line, keys.get(role, ""))
                if status != line.expected(role):
                    wrong.append(f"{role}: {line.method} {line.path} -> {status}, expected {line.expected(role)}")
    assert not wrong, "\n" + "\n".join(wrong)


def ask_git(client: httpx.Client, line: Git, key: str) -> int:
    kind = line.path.partition("service=")[2] or line.path
    answer = client.request(
        line.method,
        f"/git/doors.git/{line.path}",
        content=line.body,
        headers={"Content-Type": f"application/x-{kind}-request"} if line.body else {},
        auth=("x", key) if key else None,
    )
    return answer.status_code


def test_webhooks_are_open_to_nobody_whoever_they_are(server: Server, stage: Stage) -> None:
    """Neither a token nor a password nor a session stands for a connection's secret."""
    keys = {role: ApiToken.make(user, "hooks")[1] for role, user in stage.people.items() if role != "token"}
    wrong = []
    with httpx.Client(base_url=f"http://{server.address}", timeout=120) as client:
        for role in ROLES:
            bearer = {"Authorization": f"Bearer {keys[role]}"} if role in keys else {}
            for method, path, expected in HOOKS:
                status = client.request(
                    method, path, headers=bearer, content=b"{}" if method == "POST" else None
                ).status_code
                if status != expected:
                    wrong.append(f"{role}: {method} {path} -> {status}, expected {expected}")
    assert not wrong, "\n" + "\n".join(wrong)


def test_a_session_opens_no_repository(server: Server, stage: Stage) -> None:
    cookie = {settings.SESSION_COOKIE_NAME: session_of(stage.owner)}
    answer = httpx.get(
        f"http://{server.address}/git/doors.git/info/refs?service=git-upload-pack", cookies=cookie, timeout=120
    )
    assert answer.status_code == 401


ABSURD = (
    "0",
    "-1",
    "999999",
    str(10**17),
    str(10**30),
    "1e3",
    "%39%39%39%39",
    "3f2b8c1e-6a55-4a9b-9a4b-1f0f5b7c9d2e",
    "..%2f1",
)


async def test_sockets_of_absurd_ids_open_for_nobody(server: Server, stage: Stage) -> None:
    """What could be an id is unseen; what could not is refused at the door."""
    for pattern in ("/ws/builds/{}/", "/ws/deployments/{}/", "/ws/builds/{}/log/", "/ws/nothing/{}/"):
        for value in ABSURD:
            where = Socket(pattern.format(value), SIGNED_IN)
            assert await closed_with(server, stage, where, "ops") in {UNSEEN, NO_DOOR}, where


def test_git_of_absurd_names_is_not_there(server: Server, stage: Stage) -> None:
    key = ApiToken.make(stage.people["ops"], "absurd")[1]
    for name in ("nobody", "..", "%2e%2e", "doors%00", "-u", "%2Fetc", "doors.git%2F..%2F..", "x" * 2000, "DOORS"):
        for service in ("git-upload-pack", "git-receive-pack"):
            where = f"http://{server.address}/git/{name}.git/info/refs?service={service}"
            answer = httpx.get(where, auth=("x", key), timeout=120)
            assert answer.status_code in {400, 404}, (name, answer.status_code)
