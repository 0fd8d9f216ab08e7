"""Whatever a server answers, or does not: each question ends in time, with the right error, one sentence, and no secret."""

from __future__ import annotations

import base64
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from fangduoduo_release.common.errors import AppError, Conflict, DriverError, NotFound, Rejected, Unavailable
from projects.drivers.source.base import Repository
from projects.drivers.source.gerrit import GerritConfig, GerritSource
from projects.drivers.source.gerrit.rest import client_of
from tests.projects.gerrit.conftest import config_of, git_config, source_of
from tests.simulators.gerrit_rig import PASSWORD, Rig
from tests.waiting import until

APP = Repository("team/app")
SHA = "d" * 40
VERBS: dict[str, Callable[[GerritSource], Any]] = {
    "exists": lambda source: source.exists(APP),
    "state": lambda source: source.state(APP),
    "branches": lambda source: source.branches(APP),
    "tags": lambda source: source.tags(APP),
    "resolve": lambda source: source.resolve(APP, "master"),
    "read_file": lambda source: source.read_file(APP, SHA, "README.md"),
    "poll": lambda source: source.poll(APP, None),
    "open_changes": lambda source: source.open_changes(APP),
    "patch_set": lambda source: source.patch_set(APP, 1),
    "reviewed": lambda source: source.reviewed(APP, 1, SHA, "x"),
    "may_read": lambda source: source.may_read(APP, "ann"),
    "check": lambda source: source.check(),
    "create": lambda source: source.create_repository(Repository("team/new")),
    "review": lambda source: source.review(APP, 1, SHA, message="x", value=1),
}
WRITES = {"review"}  # its first question already changes something; `create` asks first whether it is there
GERRIT = b")]}'\n"


def judged(error: AppError) -> AppError:
    """One clear sentence, and no secret anywhere."""
    pair = base64.b64encode(f"portal:{PASSWORD}".encode()).decode()
    chain: list[BaseException] = [error]
    while chain[-1].__cause__ or chain[-1].__context__:
        chain.append(chain[-1].__cause__ or chain[-1].__context__)  # type: ignore[arg-type]
    for one in chain:
        for text in (str(one), repr(one), repr(getattr(one, "evidence", ""))):
            assert PASSWORD not in text
            assert pair not in text
    assert str(error).endswith(".")
    assert "\n" not in str(error)
    assert len(str(error)) < 600
    return error


class Stub:
    """A server that gives every request the same bytes; `drip` seconds between any two of them."""

    def __init__(self, answer: bytes, *, drip: float = 0, tls: ssl.SSLContext | None = None) -> None:
        self.answer, self.drip, self.asked = answer, drip, 0
        self._ended = threading.Event()
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while not self._ended.is_set():
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(peer,), daemon=True).start()

    def _answer(self, peer: socket.socket) -> None:
        try:
            if self._tls is not None:
                peer = self._tls.wrap_socket(peer, server_side=True)
            with peer:
                if not _read_request(peer):
                    return
                self.asked += 1
                if not self.drip:
                    peer.sendall(self.answer)
                    return
                for at in range(len(self.answer)):
                    if self._ended.wait(self.drip):
                        return
                    peer.sendall(self.answer[at : at + 1])
        except OSError:
            pass

    def close(self) -> None:
        self._ended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # closing alone does not wake who waits in it
        self._listener.close()


def _read_request(peer: socket.socket) -> bool:
    """To its end, so that closing does not reset the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = peer.recv(65536)
        if not chunk:
            return False
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    missing = int(length[1]) - len(body) if length else 0
    while missing > 0:
        missing -= len(peer.recv(65536)) or missing
    return True


def source_at(folder: Path, url: str, **more: Any) -> GerritSource:
    config = {"url": url, "username": "portal", "parent": "All-Projects", **more}
    return GerritSource(GerritConfig.of(config, {"password": PASSWORD}, git_config(folder)))


@contextmanager
def stub(folder: Path, answer: bytes, **how: Any) -> Iterator[tuple[GerritSource, Stub]]:
    server = Stub(answer, drip=how.pop("drip", 0))
    try:
        yield source_at(folder, f"http://127.0.0.1:{server.port}/", **how), server
    finally:
        server.close()


def http(status: str, body: bytes = b"", **headers: str) -> bytes:
    told = {
        "Content-Length": str(len(body)),
        "Connection": "close",
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    return (
        f"HTTP/1.1 {status}\r\n".encode() + b"".join(f"{k}: {v}\r\n".encode() for k, v in told.items()) + b"\r\n" + body
    )


PAGE = b"<html><head><title>x</title><script>var a = 1;</script></head><body><h1>Please sign in</h1></body></html>"
ECHO = f"the password {PASSWORD} was wrong".encode()
ANSWERS: dict[str, tuple[bytes, type[AppError], str]] = {
    "401": (http("401 Unauthorized", b"Unauthorized"), Rejected, "bad_credentials"),
    "401 that echoes": (http("401 Unauthorized", ECHO), Rejected, "bad_credentials"),
    "403": (http("403 Forbidden", b"read not permitted"), Rejected, "no_permission"),
    "429": (http("429 Too Many"), Unavailable, "busy"),
    "500": (http("500 Internal", b"Internal server error"), Unavailable, "server_error"),
    "502": (http("502 Bad Gateway", PAGE), Unavailable, "server_error"),
    "503 page": (http("503 Unavailable", PAGE, Content_Type="text/html"), Unavailable, "starting"),
    "redirect": (http("302 Found", b"", Location="http://169.254.169.254/login"), Unavailable, "redirected"),
    "redirect that stays": (http("301 Moved", b"", Location="/login"), Unavailable, "redirected"),
    "a page": (http("200 OK", PAGE, Content_Type="text/html"), Unavailable, "not_gerrit"),
    "no prefix": (http("200 OK", b"[]", Content_Type="application/json"), Unavailable, "not_gerrit"),
    "broken json": (http("200 OK", GERRIT + b'[{"ref": "refs/he'), Unavailable, "broken_answer"),
    "deep json": (http("200 OK", GERRIT + b"[" * 100_000), Unavailable, "broken_answer"),
    "cut off": (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + GERRIT + b"[]", Unavailable, "broken_answer"),
    "no http": (b"SSH-2.0-GerritCodeReview_3.10.2\r\n", Unavailable, "broken_answer"),
    "nothing": (b"", Unavailable, "broken_answer"),
    "oversize": (http("200 OK", GERRIT + b'"' + b"x" * (9 << 20) + b'"'), Unavailable, "answer_too_large"),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("told", ANSWERS)
def test_every_answer_to_every_verb_is_an_error_people_understand(tmp_path: Path, told: str, verb: str) -> None:
    answer, kind, code = ANSWERS[told]
    with stub(tmp_path, answer) as (source, server):
        if verb == "read_file" and told == "oversize":
            with pytest.raises(AppError) as large:
                VERBS[verb](source)
            assert large.value.code == "file_too_large"
            return
        if verb == "read_file" and told in ("broken json", "deep json"):
            code = "not_gerrit"  # files come in base64, which this does not claim to be
        if verb in WRITES and told in ("cut off", "no http", "nothing"):
            code = "unknown_outcome"
        with pytest.raises(kind) as refused:
            VERBS[verb](source)
        assert judged(refused.value).code == code
        assert server.asked <= 2


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (409, Conflict)])
def test_what_is_not_there_or_in_the_way_is_said_in_the_verbs_own_words(
    tmp_path: Path, status: int, kind: type[AppError], verb: str
) -> None:
    with stub(tmp_path, http(f"{status} X", b"Not found: team/app")) as (source, _):
        if (verb, status) == ("exists", 404):
            assert VERBS[verb](source) is False
            return
        if (verb, status) == ("may_read", 404):
            assert VERBS[verb](source) is False
            return
        kinds = (kind, DriverError) if verb in ("review", "check", "create") else kind
        with pytest.raises(kinds) as refused:  # type: ignore[arg-type]
            VERBS[verb](source)
        judged(refused.value)


@pytest.mark.parametrize("verb", ["state", "poll", "branches", "tags", "resolve"])
def test_a_project_that_is_gone_is_named_and_so_is_renaming(
    source: GerritSource, gerrit_rig: Rig, app: Repository, verb: str
) -> None:
    gerrit_rig.gerrit.rename("team/app", "team/shop")
    with pytest.raises(NotFound) as refused:
        VERBS[verb](source)
    assert refused.value.code == "no_repository"
    assert "renamed" in str(judged(refused.value))


def all_given_up(folder: Path, answer: bytes, drip: float) -> dict[str, str]:
    """How every verb ends, all asked at once, with a patience in which a slow machine can at least ask."""

    def ask(verb: str) -> str:
        with stub(folder, answer, drip=drip, timeout_s=10) as (source, _), pytest.raises(Unavailable) as refused:
            VERBS[verb](source)
        return judged(refused.value).code

    with ThreadPoolExecutor(len(VERBS)) as hands:
        return dict(zip(VERBS, hands.map(ask, VERBS), strict=True))


GIVEN_UP = {verb: "unknown_outcome" if verb in WRITES else "no_answer" for verb in VERBS}


def test_a_server_that_drips_does_not_hold_anybody(tmp_path: Path) -> None:
    began = time.monotonic()
    assert all_given_up(tmp_path, http("200 OK", GERRIT + b"[]" * 5000), drip=0.05) == GIVEN_UP
    assert time.monotonic() - began < 120  # of the eight minutes that one answer takes


def test_a_silent_server_does_not_hold_anybody(tmp_path: Path) -> None:
    began = time.monotonic()
    assert all_given_up(tmp_path, b"x", drip=600) == GIVEN_UP
    assert time.monotonic() - began < 120


@pytest.mark.parametrize("verb", VERBS)
def test_a_closed_port_is_unreachable(tmp_path: Path, verb: str) -> None:
    with socket.socket() as taken:  # bound, so that nobody else listens there meanwhile
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable) as refused:
            VERBS[verb](source_at(tmp_path, f"http://127.0.0.1:{taken.getsockname()[1]}/"))
    assert judged(refused.value).code == "unreachable"


@pytest.mark.parametrize("host", ["169.254.169.254", "100.100.100.200", "0.0.0.0"])
def test_addresses_of_clouds_are_never_asked(tmp_path: Path, host: str) -> None:
    with pytest.raises(Rejected) as refused:
        source_at(tmp_path, f"http://{host}/").state(APP)
    assert judged(refused.value).code == "forbidden_address"


def test_an_unknown_host_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as refused:
        source_at(tmp_path, "http://no-such-host.invalid/").state(APP)
    assert judged(refused.value).code == "unreachable"


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    other = Stub(http("200 OK", GERRIT + b'"refs/heads/main"'))
    away = http("302 Found", b"", Location=f"http://127.0.0.1:{other.port}/a/projects/team%2Fapp/HEAD")
    with stub(tmp_path, away) as (source, _), pytest.raises(Unavailable):
        source.state(APP)
    assert other.asked == 0
    other.close()


class TestTls:
    def test_a_certificate_nobody_vouches_for_is_refused(self, tmp_path: Path) -> None:
        key, pem = self_signed(tmp_path)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pem, key)
        server = Stub(http("200 OK", GERRIT + b'"3.10.2"'), tls=context)
        url = f"https://localhost:{server.port}/"
        with pytest.raises(Unavailable) as refused:
            source_at(tmp_path, url).exists(APP)
        assert judged(refused.value).code == "bad_certificate"
        assert source_at(tmp_path, url, ca=pem.read_text()).exists(APP)
        with pytest.raises(Unavailable) as named:
            source_at(tmp_path, f"https://127.0.0.1:{server.port}/", ca=pem.read_text()).exists(APP)
        assert named.value.code == "bad_certificate", "the name in it is another one"
        server.close()


def self_signed(folder: Path) -> tuple[Path, Path]:
    import subprocess

    key, pem = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(pem), "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, pem


class TestConnections:
    def test_one_kept_connection_serves_many_questions(
        self, source: GerritSource, gerrit_rig: Rig, app: Repository
    ) -> None:
        source.state(app)
        pool = source.rest._pool
        for _ in range(5):
            source.poll(app, None)
        assert len(pool.connections) == 1

    def test_a_poll_of_a_quiet_project_asks_twice_and_runs_no_git(
        self, source: GerritSource, gerrit_rig: Rig, app: Repository
    ) -> None:
        tips = source.poll(app, None).tips
        before = len(gerrit_rig.gerrit.requests.lines(""))
        assert source.poll(app, tips).events == ()
        assert len(gerrit_rig.gerrit.requests.lines("")) - before == 2
        assert not source.path(app).exists(), "no mirror was needed"

    def test_a_connection_that_the_server_closed_is_opened_anew(
        self, source: GerritSource, gerrit_rig: Rig, app: Repository
    ) -> None:
        source.state(app)
        gerrit_rig.gerrit.faults.reset("HEAD", times=1)
        assert source.state(app).default_branch == "master"

    def test_a_question_that_changes_something_is_never_asked_twice(
        self, source: GerritSource, gerrit_rig: Rig, app: Repository
    ) -> None:
        change = gerrit_rig.gerrit.upload(app.name)
        gerrit_rig.gerrit.faults.reset("review", times=1, after_effect=True)
        with pytest.raises(Unavailable) as refused:
            source.review(app, change.number, change.current.revision, message="once", value=1)
        assert refused.value.code == "unknown_outcome"
        assert len(gerrit_rig.gerrit.requests.lines("review")) == 1
        assert source.reviewed(app, change.number, change.current.revision, "once"), "and one can ask what became of it"

    def test_threads_share_a_client(self, source: GerritSource, app: Repository) -> None:
        found: list[str] = []
        threads = [threading.Thread(target=lambda: found.append(source.state(app).default_branch)) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == ["master"] * 12
        assert len(source.rest._pool.connections) <= 8

    def test_a_new_password_is_a_new_client(self, gerrit_rig: Rig, tmp_path: Path) -> None:
        one = config_of(gerrit_rig, tmp_path)
        assert client_of(one) is client_of(config_of(gerrit_rig, tmp_path))
        assert client_of(one) is not client_of(config_of(gerrit_rig, tmp_path, password="another-one"))

    def test_a_forked_process_opens_its_own(self, source: GerritSource, app: Repository) -> None:
        import os

        source.state(app)
        mine = id(source.rest)
        child = os.fork()
        if not child:
            os._exit(0 if id(source.rest) != mine and source.state(app).default_branch == "master" else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert source.state(app).default_branch == "master"

    def test_a_restart_is_unavailable_and_then_over(
        self, source: GerritSource, gerrit_rig: Rig, app: Repository
    ) -> None:
        gerrit_rig.gerrit.faults.restart()
        with pytest.raises(Unavailable) as refused:
            source.state(app)
        assert refused.value.code == "starting"
        gerrit_rig.gerrit.faults.come_back()
        assert until(lambda: source.exists(app), what="the server is back")


class TestCheck:
    def test_it_tells_who_and_what(self, source: GerritSource) -> None:
        facts = source.check()
        assert (facts.version, facts.user, facts.missing) == ("3.10.2", "portal", ())

    def test_missing_capabilities_are_named(self, source: GerritSource, gerrit_rig: Rig, tmp_path: Path) -> None:
        gerrit_rig.gerrit.faults.forbid("portal", "createProject")
        gerrit_rig.gerrit.faults.forbid("portal", "streamEvents")
        assert source.check().missing == ("createProject", "streamEvents")
        assert source_of(gerrit_rig, tmp_path, ssh_host="").check().missing == ("createProject",)

    @pytest.mark.parametrize("seconds", [-3600, 0, 90])
    def test_a_clock_that_goes_wrong_is_noticed(self, source: GerritSource, gerrit_rig: Rig, seconds: int) -> None:
        gerrit_rig.gerrit.faults.skew(seconds)
        began = time.monotonic()
        skew = source.check().skew_s
        took = time.monotonic() - began  # the server looked at its clock at some time of it
        assert skew is not None
        assert abs(skew - seconds) <= 1 + took

    def test_ssh_is_tried_where_there_is_one(self, source: GerritSource, gerrit_rig: Rig, tmp_path: Path) -> None:
        heard = source.look_ssh()
        assert heard is not None
        assert heard.streams
        assert source_of(gerrit_rig, tmp_path, ssh_host="").look_ssh() is None

    def test_a_wrong_password_is_said(self, gerrit_rig: Rig, tmp_path: Path) -> None:
        with pytest.raises(Rejected) as refused:
            source_of(gerrit_rig, tmp_path, password="wrong-password").check()
        assert judged(refused.value).code == "bad_credentials"
        assert "portal" in str(refused.value)
