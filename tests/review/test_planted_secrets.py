"""Fifty secrets go through everything that takes secrets, in a real portal; none is found in the database, in a log, in
an answer, on a socket or in a file, in no form."""

from __future__ import annotations

import base64
import http.server
import json
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.portal import Portal
from tests.waiting import until

from .planting import Garden, database_texts, file_texts
from .sowing import Person, Rude, Sower

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
# Where secrets are meant to be: keys, what people committed, the first sign-in's words, instances' own orders.
MEANT_FOR = ("secrets/", "repositories/", "demo-credentials.json", "staticfiles/")


@pytest.fixture(scope="module")
def rude() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Rude)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/team/app.git"
    server.shutdown()


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    with tempfile.TemporaryDirectory(prefix="fdd-") as folder, Portal(Path(folder) / "var") as portal:
        yield portal


STARTS = {
    "dev": ["/", "/projects/", "/builds/", "/deployments/", "/machines/", "/me/", "/me/tokens/"],
    "ops": ["/", "/projects/", "/builds/", "/deployments/", "/admin/"],
    "admin": ["/admin/", "/projects/"],
    "guest": ["/", "/projects/", "/search/?q=sample"],
    "": ["/sign-in/", "/metrics", "/readyz", "/healthz"],
}
API_LISTS = [
    "projects", "builds", "deployments", "machines", "clusters", "connections", "audit",
    "projects/sample", "projects/sample/members", "projects/sample/builds", "projects/sample/versions",
    "projects/sample/pipeline", "projects/sample/pipeline/revisions", "projects/sample/credentials",
    "projects/sample/services", "connections/to-git", "projects/bound", "projects/inside0",
]  # fmt: skip


def test_fifty_planted_secrets_are_found_nowhere(portal: Portal, rude: str) -> None:
    garden = Garden()
    answers: list[tuple[str, bytes]] = []
    sower = Sower(portal, rude, garden, answers)
    sower.sow()
    assert len(garden.planted) >= 50
    visited = {name: Person(portal, name, answers).crawl(starts) for name, starts in STARTS.items()}
    assert visited["dev"] > 30, visited
    assert visited["ops"] > 100, visited
    for who in ("dev", "ops", "admin", "guest"):
        for path in API_LISTS:
            sower.api("GET", f"{path}/", None, who)
        for build in sower.api("GET", "builds/", None, who).json()["results"]:
            sower.api("GET", f"builds/{build['id']}/", None, who)
            sower.api("GET", f"builds/{build['id']}/log/", None, who)
    until(lambda: not list((portal.var / "workspaces").glob("*/*.lock")), what="builds to be tidied up")
    portal.stop()
    places = [
        *(("answer", where, data) for where, data in answers),
        *(("database", where, data) for where, data in database_texts(portal.var / "db.sqlite3")),
        *(("file", where, data) for where, data in file_texts(portal.var, MEANT_FOR)),
        ("log", "the portal's output", portal.output.read_bytes()),
    ]
    found = {f"{secret}: {kind} {where}" for kind, where, data in places for secret in garden.found_in(data)}
    assert not found, "\n" + "\n".join(sorted(found))


def test_the_search_finds_each_form() -> None:
    garden = Garden()
    secret = garden.plant("somewhere")
    for text in (
        secret, f"x{secret}y", json.dumps(secret), base64.b64encode(secret.encode()).decode(),
        base64.b64encode(b"ab" + secret.encode()).decode(), base64.urlsafe_b64encode(b"a" + secret.encode()).decode(),
        secret.encode().hex(), urlsplit(httpx.URL("http://h/", params={"q": secret}).__str__()).query,
    ):  # fmt: skip
        assert garden.found_in(text.encode()) == {"somewhere"}, text
    assert garden.found_in(b"nothing") == set()
