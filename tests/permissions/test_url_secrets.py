"""A token in an address opens nothing at any door, is answered with one sentence, and is in no log."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from django.test import Client
from websockets.exceptions import InvalidStatus

from fangduoduo_release.common.logs import JsonFormatter, PlainFormatter
from fangduoduo_release.common.secrets_in_text import given_away, without_secrets
from permissions import jwts
from permissions.models import ApiToken, User
from tests import world
from tests.portal import Portal

pytestmark = pytest.mark.django_db
TOKEN = "fdd_0123456789_abcDEF-ghi_JKLmnoPQRstuVWXyz0123456789"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.c2lnbmF0dXJlLW9mLWl0"
SENTENCE = "A token in an address is a token given away"


@pytest.mark.parametrize(
    "query",
    [f"token={TOKEN}", f"access_token={TOKEN}", f"api_key={TOKEN}", f"a=b&token={TOKEN}", f"anything={TOKEN}",
     f"q=x{TOKEN}", f"token={JWT}", f"access_token={JWT}", f"API_KEY={JWT}", f"token={quote(TOKEN).replace('_', '%5F')}",
     f"%74oken={JWT}", f"token=Bearer+{TOKEN}", f"authorization=Bearer%20{JWT}"],
)  # fmt: skip
def test_it_is_seen(query: str) -> None:
    assert given_away(query)


@pytest.mark.parametrize(
    "query",
    ["", "a=b", "token=", "token=abc", "q=fdd_", "q=fdd_0123456789", f"code={JWT}", f"id_token={JWT}", "state=eyJ",
     "project=shop&state=running", "q=%E5%8F%91%E5%B8%83", "%", "%zz=%", "&&&=", "q=" + "a" * 5000],
)  # fmt: skip
def test_and_nothing_else_is_taken_for_it(query: str) -> None:
    assert not given_away(query)


@pytest.mark.parametrize("name", ["token", "access_token", "api_key"])
@pytest.mark.parametrize("path", ["/api/projects/", "/", "/me/", "/sign-in/", "/healthz", "/admin/", "/no/such/page/"])
def test_every_door_answers_400_with_one_sentence(name: str, path: str) -> None:
    ann = world.person("ann")
    text = ApiToken.make(ann, "t")[1]
    for secret in (text, jwts.start(ann)["access"]):
        answer = Client().get(path, {name: secret})
        assert answer.status_code == 400, (path, answer.status_code)
        shown = answer.json()["detail"] if path.startswith("/api/") else answer.content.decode()
        assert SENTENCE in shown
        assert secret not in answer.content.decode()
    assert ApiToken.objects.get().last_used_at is None, "it was not even looked at"


def test_also_of_somebody_who_is_signed_in_and_with_a_good_header() -> None:
    ann = world.person("ann")
    text = ApiToken.make(ann, "t")[1]
    client = Client(headers={"Authorization": f"Bearer {text}"})
    assert client.get("/api/projects/").status_code == 200
    answer = client.get("/api/projects/", {"token": text})
    assert (answer.status_code, answer.json()["code"]) == (400, "token_in_address")
    assert answer["Content-Type"] == "application/problem+json"
    browser = Client()
    browser.force_login(ann)
    assert browser.post(f"/me/tokens/?token={text}", {"name": "mine"}).status_code == 400
    assert ApiToken.objects.count() == 1


@pytest.mark.parametrize("name", ["token", "access_token", "api_key", "key"])
def test_a_short_word_under_such_a_name_authenticates_nobody_either(name: str) -> None:
    assert Client().get("/api/projects/", {name: "abc"}).status_code == 401


def test_log_lines_show_none() -> None:
    for secret in (TOKEN, JWT, TOKEN.replace("_", "%5F")):
        record = logging.LogRecord("x", logging.INFO, "f", 1, "GET %s took %d", (f"/api/?token={secret}", 3), None)
        for formatter in (JsonFormatter(), PlainFormatter("%(message)s")):
            line = formatter.format(record)
            assert secret not in line
            assert "[token]" in line
    try:
        raise ValueError(f"cannot use {TOKEN}")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "broken", (), sys.exc_info())
        for formatter in (JsonFormatter(), PlainFormatter("%(message)s")):
            assert TOKEN not in formatter.format(record)
    assert without_secrets("nothing here") == "nothing here"
    assert without_secrets("/a?b=%E5%8F%91") == "/a?b=%E5%8F%91"


# --- whole servers: pages, git, sockets and their access logs -----------------------------------------------------------
@pytest.fixture(params=["daphne", "uvicorn"])
def logged(request: pytest.FixtureRequest, tmp_path: Any, transactional_db: None) -> Iterator[tuple[Any, Any]]:
    """A web process that writes an access log, and what it wrote."""
    import os
    import subprocess

    from django.conf import settings

    from tests.common.sockets.serving import ROOT, database_url
    from tests.portal import free_port
    from tests.waiting import until

    port = str(free_port())
    application = "fangduoduo_release.asgi:application"
    command = {
        "daphne": ["-m", "projects.git_http.daphne_server", "-v", "1", "-p", port, "--access-log", "-", application],
        "uvicorn": ["-m", "uvicorn", "--port", port, application],
    }[request.param]
    output = tmp_path / "log"
    env = {**os.environ, "FDD_VAR": str(settings.VAR), "DATABASE_URL": database_url(), "LOG_LEVEL": "INFO"}
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, output.read_text()
        try:
            return httpx.get(f"{url}/healthz", timeout=60).status_code == 200
        except httpx.TransportError:
            return False

    try:
        until(answers, timeout=240, what=request.param)
        yield url, output
    finally:
        process.terminate()
        process.wait(120)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_server_writes_one_into_its_access_log(logged: Any) -> None:
    from websockets.asyncio.client import connect

    url, output = logged
    text = ApiToken.make(world.person("ann"), "t")[1]
    pair = jwts.start(User.objects.get())
    secrets = (text, pair["access"], text.replace("_", "%5f"))
    for secret in secrets:
        for path in ("/api/projects/", "/api/me/", "/git/shop.git/info/refs"):
            answer = httpx.get(f"{url}{path}?service=git-upload-pack&token={secret}", timeout=120)
            assert answer.status_code == 400, (path, answer.text)
            assert secret not in answer.text
            assert "A token in an address" in answer.text

        async def knock(secret: str = secret) -> int:
            for path in ("/ws/home/", "/ws/builds/1/log/"):
                where = f"{url.replace('http', 'ws')}{path}?token={secret}"
                with pytest.raises(InvalidStatus) as refused:
                    await connect(where, origin=url, proxy=None, open_timeout=120)
                assert refused.value.response.status_code == 403
            return 0

        asyncio.run(knock())
    httpx.get(f"{url}/the-last-one", timeout=120)

    def written() -> str:
        found: str = output.read_text(errors="replace")
        return found if "/the-last-one" in found else ""

    from tests.waiting import until

    log = until(written, what="the access log")
    assert "/api/projects/" in log
    for secret in secrets:
        assert secret not in log
        assert secret[20:] not in log


def test_the_portals_own_way_of_starting_writes_none() -> None:
    """`make run` and the unit file start daphne without an access log at all."""
    assert Portal is not None
    from pathlib import Path

    for path in ("fangduoduo_release/supervisor.py", "deploy/systemd/fangduoduo-release-web.service"):
        text = Path(path).read_text()
        assert "daphne_server" in text
        assert "--access-log" not in text
