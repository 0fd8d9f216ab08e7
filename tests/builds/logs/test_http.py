"""The log over HTTP from real servers: a page at the end of a big log, downloads that nobody holds in memory."""

from __future__ import annotations

import gzip
import hashlib

import httpx
import pytest

from builds.logs.store import LogWriter
from builds.models import Build
from permissions.models import User
from tests.common.sockets import serving
from tests.common.sockets.serving import Server, bearer

from .conftest import sha, typical

pytestmark = pytest.mark.django_db(transaction=True)
# Fixtures on a shared database that is not flushed between tests.
build, dev, guest, project = serving.build, serving.dev, serving.guest, serving.project
server, open_database, _django_db_helper = serving.server, serving.open_database, serving._django_db_helper


def written(build: Build, data: bytes, times: int = 1) -> None:
    writer = LogWriter(build.pk)
    for _ in range(times):
        writer.append(data)
    writer.finish()


def browser(server: Server, user: User, **headers: str) -> httpx.Client:
    cookies = {"sessionid": serving.session_of(user)}
    return httpx.Client(base_url=f"http://{server.address}", cookies=cookies, headers=headers, timeout=240)


def test_a_page_reads_the_end_of_a_log(server: Server, build: Build, dev: User) -> None:
    sent = typical(30_000)
    written(build, b"".join(sent))
    with browser(server, dev, Accept="application/json") as client:
        page = client.get(f"/builds/{build.pk}/log/lines/?from=-500&count=500").json()
    assert (page["first"], page["total_lines"], page["complete"]) == (29_501, 30_000, True)
    assert [line[4] for line in page["lines"]] == [line.decode().rstrip() for line in sent[-500:]]


@pytest.mark.parametrize("accepts", ["gzip", "identity"])
def test_a_download_is_the_log(server: Server, build: Build, dev: User, accepts: str) -> None:
    data = b"".join(typical(20_000))
    written(build, data)
    with (
        browser(server, dev) as client,
        client.stream("GET", f"/builds/{build.pk}/log/download/", headers={"Accept-Encoding": accepts}) as answer,
    ):
        raw = b"".join(answer.iter_raw())
    assert int(answer.headers["Content-Length"]) == len(raw)
    assert (gzip.decompress(raw) if accepts == "gzip" else raw) == data


def test_a_script_reads_a_log_to_its_end(server: Server, build: Build, dev: User) -> None:
    data = b"".join(typical(9000))
    written(build, data)
    with httpx.Client(base_url=f"http://{server.address}", headers=bearer(dev), timeout=240) as client:
        got, offset = b"", 0
        while True:
            answer = client.get(f"/api/builds/{build.pk}/log/?offset={offset}&limit=100000")
            assert answer.status_code == 200
            got += answer.content
            offset = int(answer.headers["X-Log-Next-Offset"])
            if answer.headers["X-Log-Complete"] == "true":
                break
        assert got == data
        assert client.get(f"/api/builds/{build.pk}/log/").content == data
        assert client.get("/api/builds/999999999/log/").json()["code"] == "not_found"


@pytest.mark.slow
def test_a_slow_download_of_a_big_log_costs_no_memory(server: Server, build: Build, dev: User) -> None:
    data = b"".join(typical(40_000))
    written(build, data, 35)  # about 100 MB
    url = f"/builds/{build.pk}/log/download/"
    with browser(server, dev, **{"Accept-Encoding": "identity"}) as client:
        client.get(f"/builds/{build.pk}/log/lines/")
        before = highest = server.memory()
        digest = hashlib.sha256()
        with client.stream("GET", url) as answer:
            for number, part in enumerate(answer.iter_raw(64 * 1024)):
                digest.update(part)
                if number % 100 == 0:
                    highest = max(highest, server.memory())
    assert digest.hexdigest() == sha(data * 35)
    assert highest - before < 64
