"""One simulated cluster for the module, a service on it, and a web process of each kind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from permissions.models import User
from tests.common.sockets import serving
from tests.common.sockets.serving import Server
from tests.simulators.kubernetes_rig import Rig

from .ground import NAMESPACE, Ground, ground
from .typist import Typist

# Fixtures on a shared database that is not flushed between tests.
open_database, _django_db_helper = serving.open_database, serving._django_db_helper
call = sync_to_async(thread_sensitive=False)


@pytest.fixture(scope="module", params=serving.KINDS)
def server(request: pytest.FixtureRequest, open_database: None) -> Iterator[Server]:
    """A real web process of each kind on the test's database, which has all the time that a busy machine may need: what it
    does it does because it was told, and not because it asked again. (`test_impatient` has another.)"""
    yield from serving.running(request.param, FDD_SOCKET_PATIENCE_S="600", FDD_SOCKET_RECHECK_S="600")


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Rig() as made:
        made.namespace(NAMESPACE)
        yield made


@pytest.fixture
def shop(open_database: None, rig: Rig) -> Iterator[Ground]:
    """A service with two instances on a test machine."""
    with ground(rig) as made:
        yield made


@pytest.fixture
def live(open_database: None, rig: Rig) -> Iterator[Ground]:
    """A service with one instance on a production machine."""
    with ground(rig, environment="production", replicas=1) as made:
        yield made


@pytest.fixture
async def opened(server: Server) -> AsyncIterator[Callable[..., Any]]:
    """Opens sockets as a person, and leaves them at the end."""
    sockets: list[Any] = []

    async def make(path: str, user: User | None, **options: Any) -> Any:
        socket = await (await call(server.socket)(path, user, **options))
        sockets.append(socket)
        return socket

    yield make
    for socket in sockets:
        await socket.close()


@pytest.fixture
def terminal(opened: Callable[..., Any]) -> Callable[..., Any]:
    """Opens a terminal in a service's instance."""

    async def make(at: Ground, user: User | None, query: str = "", *, acks: bool = True, **options: Any) -> Typist:
        return Typist(await opened(f"/ws/services/{at.service.pk}/terminal/?{query}", user, **options), acks=acks)

    return make
