"""Open sockets of whoever may not any more close at once, in another process, with and without news of anything else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from guardian.shortcuts import assign_perm
from websockets.exceptions import ConnectionClosed

from builds.logs.store import LogWriter
from builds.models import Build
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.models import Event
from permissions import actions, revocation
from permissions.models import ApiToken, SignedIn, User
from projects import grants
from projects.models import Project
from tests.common.sockets import serving
from tests.common.sockets.serving import Server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]
# Fixtures on a shared database that is not flushed between tests.
build, guest, project = serving.build, serving.guest, serving.project
open_database, _django_db_helper = serving.open_database, serving._django_db_helper
call = sync_to_async(thread_sensitive=False)
TURN_S = 3600  # the regular turn: what closes before it was told
SOON_S = 60.0  # usual is a fifth of a second
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module", params=serving.KINDS)
def server(request: pytest.FixtureRequest, open_database: None) -> Iterator[Server]:
    yield from serving.running(request.param, FDD_SOCKET_RECHECK_S=str(TURN_S))


@pytest.fixture
def dev(project: Project) -> User:
    """Developer on the project, by a grant."""
    user = User.objects.create_user(f"dev-{project.slug}")
    grants.set_role(project, user, "developer", granted_by="test")
    return user


def wake(build: Build) -> str:
    return f"/ws/builds/{build.pk}/"


def log(build: Build) -> str:
    return f"/ws/builds/{build.pk}/log/"


async def opened(server: Server, where: str, user: User | None, **options: Any) -> Any:
    return await (await call(server.socket)(where, user, **options))


async def closes(socket: Any, within: float = SOON_S) -> int:
    """Reads until the server closes; its code."""

    async def drain() -> None:
        while True:
            await socket.recv()

    with pytest.raises(ConnectionClosed):
        await asyncio.wait_for(drain(), within)
    return int(socket.close_code)


async def stays(socket: Any, seconds: float = 1.0) -> bool:
    try:
        async with asyncio.timeout(seconds):
            while True:
                await socket.recv()
    except TimeoutError:
        return True


def some_log(build: Build) -> None:
    writer = LogWriter(build.pk)
    writer.append(b"one line\n", stage="s", step=1)
    writer.close()


def role_removed(user: User, project: Project) -> None:
    with transaction.atomic():
        grants.set_role(project, user, None, granted_by="test")


def session_ended(user: User, project: Project) -> None:
    actions.sign_out_everywhere(actor=user, user=user)


def deactivated(user: User, project: Project) -> None:
    actions.set_active(actor=SYSTEM, user=user, active=False)


TAKEN: list[Callable[[User, Project], None]] = [role_removed, session_ended, deactivated]


@pytest.mark.parametrize("take", TAKEN)
async def test_what_is_taken_away_closes_wake_ups_and_log_streams_at_once(
    server: Server, build: Build, dev: User, project: Project, take: Callable[[User, Project], None]
) -> None:
    await call(some_log)(build)
    sockets = [await opened(server, where, dev) for where in (wake(build), log(build), wake(build))]
    assert all(await asyncio.gather(*(stays(socket, 0.5) for socket in sockets)))
    began = time.monotonic()
    await call(take)(dev, project)
    assert await asyncio.gather(*(closes(socket) for socket in sockets)) == [4403] * 3
    assert time.monotonic() - began < SOON_S


async def test_nobody_else_is_hurt(server: Server, build: Build, dev: User, project: Project) -> None:
    other = await call(User.objects.create_user)(f"other-{project.slug}")
    await call(assign_perm)("view_project", other, project)
    hers = await opened(server, wake(build), other)
    his = await opened(server, wake(build), dev)
    await call(role_removed)(dev, project)
    assert await closes(his) == 4403
    assert await stays(hers)
    await hers.close()


async def test_a_change_that_leaves_the_right_closes_nothing(
    server: Server, build: Build, dev: User, project: Project
) -> None:
    socket = await opened(server, wake(build), dev)

    def weaker() -> None:
        with transaction.atomic():
            grants.set_role(project, dev, "viewer", granted_by="test")

    await call(weaker)()
    assert await stays(socket, 2)
    await socket.close()


async def test_a_team_left_closes_what_the_team_gave(server: Server, build: Build, project: Project) -> None:
    def make() -> tuple[Group, User, User]:
        team = Group.objects.create(name=f"team-{project.slug}")
        stays_in, leaves = (User.objects.create_user(f"{name}-{project.slug}") for name in ("stays", "leaves"))
        team.user_set.add(stays_in, leaves)
        with transaction.atomic():
            grants.set_role(project, team, "viewer", granted_by="test")
        return team, stays_in, leaves

    team, stays_in, leaves = await call(make)()
    kept, closed = await opened(server, wake(build), stays_in), await opened(server, wake(build), leaves)

    def leave_in_the_admin() -> None:
        root = User.objects.create_superuser(f"root-{project.slug}", password=None)
        client = Client()
        client.force_login(root)
        form = {"name": team.name, "members": [stays_in.pk]}
        answer = client.post(reverse("admin:auth_group_change", args=[team.pk]), form)
        assert answer.status_code == 302, answer.content

    await call(leave_in_the_admin)()
    assert await closes(closed) == 4403
    assert await stays(kept)

    def role_of_the_team_removed() -> None:
        with transaction.atomic():
            grants.set_role(project, team, None, granted_by="test")

    await call(role_of_the_team_removed)()
    assert await closes(kept) == 4403


async def test_a_revoked_token_closes_its_own_sockets_only(
    server: Server, build: Build, dev: User, project: Project
) -> None:
    def two() -> list[tuple[ApiToken, str]]:
        return [ApiToken.make(dev, name) for name in ("one", "two")]

    (one, first), (_, second) = await call(two)()
    by_token = [
        await opened(server, wake(build), None, origin=None, additional_headers={"Authorization": f"Bearer {text}"})
        for text in (first, second)
    ]
    by_session = await opened(server, log(build), dev)
    await call(actions.revoke_token)(actor=dev, token=one)
    assert await closes(by_token[0]) == 4403
    assert await stays(by_token[1])
    assert await stays(by_session, 0.5)
    for socket in (by_token[1], by_session):
        await socket.close()


async def test_a_token_without_the_scope_is_not_let_in(server: Server, build: Build, dev: User) -> None:
    def tokens() -> list[str]:
        return [ApiToken.make(dev, "t", scopes=scopes)[1] for scopes in (["read"], ["from-the-future"])]

    fine, none = await call(tokens)()
    good = await opened(server, wake(build), None, origin=None, additional_headers={"Authorization": f"Bearer {fine}"})
    assert await stays(good, 0.5)
    await good.close()
    refused = await opened(
        server, wake(build), None, origin=None, additional_headers={"Authorization": f"Bearer {none}"}
    )
    assert await closes(refused) == 4404


async def test_one_ended_session_closes_its_own_sockets_only(server: Server, build: Build, dev: User) -> None:
    def browsers() -> list[Client]:
        made = [Client(), Client()]
        for client in made:
            client.force_login(dev)
            assert client.get("/me/").status_code == 200
        return made

    def cookie(client: Client) -> dict[str, str]:
        return {"Cookie": f"sessionid={client.cookies['sessionid'].value}"}

    one, other = await call(browsers)()
    mine = await opened(server, wake(build), None, additional_headers=cookie(one))
    theirs = await opened(server, wake(build), None, additional_headers=cookie(other))

    def end() -> None:
        row = SignedIn.objects.get(key=one.cookies["sessionid"].value)
        actions.end_session(actor=dev, row=row)

    await call(end)()
    assert await closes(mine) == 4403
    assert await stays(theirs)

    def sign_out() -> None:
        other.post("/sign-out/")

    await call(sign_out)()
    assert await closes(theirs) == 4403


async def test_a_new_password_closes_sockets_from_before(server: Server, build: Build, dev: User) -> None:
    socket = await opened(server, wake(build), dev)

    def change() -> None:
        with transaction.atomic():
            dev.set_password("another-battery-staple")
            dev.save(update_fields=["password"])
            actions.password_was_set(actor=SYSTEM, user=dev)

    await call(change)()
    assert await closes(socket) == 4403


async def test_a_superusers_form_that_takes_a_person_out_wakes_them(
    server: Server, build: Build, dev: User, project: Project
) -> None:
    socket = await opened(server, wake(build), dev)

    def uncheck() -> None:
        client = Client()
        client.force_login(User.objects.create_superuser(f"root-{project.slug}", password=None))
        form = {"username": dev.username, "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}  # not active
        assert client.post(reverse("admin:permissions_user_change", args=[dev.pk]), form).status_code == 302

    await call(uncheck)()
    assert await closes(socket) == 4403


async def test_a_change_just_before_it_listens_is_not_missed(
    server: Server, build: Build, dev: User, project: Project
) -> None:
    """The right goes while the socket is being opened: whichever comes first, it does not stay open."""
    for _ in range(3):
        await call(grant_again)(dev, project)
        opening = asyncio.ensure_future(opened(server, wake(build), dev))
        await call(role_removed)(dev, project)
        assert await closes(await opening) in (4403, 4404)


def grant_again(user: User, project: Project) -> None:
    with transaction.atomic():
        grants.set_role(project, user, "viewer", granted_by="test")


# --- the bell itself --------------------------------------------------------------------------------------------------
def test_a_large_team_costs_as_many_statements_as_a_small_one(open_database: None) -> None:
    people = [User.objects.create_user(f"many-{number}") for number in range(60)]

    def cost(users: list[User]) -> int:
        with CaptureQueriesContext(connection) as asked, transaction.atomic():
            revocation.access_changed(*users)
        return len(asked)

    assert cost(people) == cost(people[:2])
    assert Event.objects.filter(topic=f"people/{people[0].pk}").count() == 2
    assert [event.seq for event in Event.objects.filter(topic=people[0].topic).order_by("seq")] == [1, 2]


def test_what_is_rolled_back_wakes_nobody(open_database: None) -> None:
    ann = User.objects.create_user("rolled-back")
    with transaction.atomic():
        revocation.access_changed(ann)
        transaction.set_rollback(True)
    assert not Event.objects.filter(topic=ann.topic).exists()
    revocation.access_changed()
    revocation.access_changed(ann, ann)
    assert Event.objects.filter(topic=ann.topic).count() == 1


async def test_many_short_log_streams_end_at_once(server: Server, build: Build, dev: User) -> None:
    """The stream is over just when its guard begins to listen: the guard lets go, whatever it was about to do."""

    def finished() -> None:
        writer = LogWriter(build.pk)
        writer.append(b"one line\n", stage="s", step=1)
        writer.finish()

    await call(finished)()
    for _ in range(25):
        socket = await opened(server, f"{log(build)}?offset=9", dev)
        assert await closes(socket) == 1000
