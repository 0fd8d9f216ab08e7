"""A repository behind a sign-in: the credential opens it, is never shown, and a wrong one gives one sentence."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from builds.drivers.builder.base import Credential

from .ground import Ground

PASSWORD = "p/w+secret-of-git"
LOGIN = {"git": Credential("username_password", {"username": "bot", "password": PASSWORD})}
WRONG = {"git": Credential("username_password", {"username": "bot", "password": "not-the-password"})}


@pytest.fixture
def address(ground: Ground) -> Iterator[str]:
    """The sample repository by git's own http-backend, behind Basic auth."""
    wanted = "Basic " + base64.b64encode(f"bot:{PASSWORD}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Authorization") != wanted:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            url = urlsplit(self.path)
            environment = {
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(ground.repository.bare.parent),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": url.path,
                "QUERY_STRING": url.query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type") or "",
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding") or "",
                "GIT_PROTOCOL": self.headers.get("Git-Protocol") or "",
            }
            done = subprocess.run(
                ["git", "http-backend"], input=body, env=environment, capture_output=True, timeout=120, check=False
            )
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            self.send_response(200)
            for line in head.decode().splitlines():
                name, _, value = line.partition(": ")
                if name != "Status":
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - the name is the base class's

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{ground.repository.bare.name}"
    server.shutdown()
    server.server_close()


CHECKOUT = "pipeline { agent any stages { stage('S') { steps { sh 'test -e README.md; env | grep -c FDD_GIT || true; cat .git/config' } } } }"


def test_the_projects_credential_opens_its_repository(ground: Ground, address: str) -> None:
    ran = ground.run(CHECKOUT, repository=address, repository_credential="git", credentials=LOGIN)
    assert ran.state == "succeeded", ran.text
    assert PASSWORD not in ran.text
    assert "\n0\n" in ran.text  # no step sees git's sign-in
    assert not list((ran.root / "tmp").rglob("askpass"))


def test_the_git_step_takes_a_credential_by_its_id(ground: Ground, address: str) -> None:
    ran = ground.steps(
        f"git(url: '{address}', branch: 'main', credentialsId: 'git')\n sh 'test -e README.md'", credentials=LOGIN
    )
    assert ran.state == "succeeded", ran.text
    ran = ground.steps(
        f"checkout([$class: 'GitSCM', branches: [[name: '*/main']], userRemoteConfigs: [[url: '{address}', credentialsId: 'git']],"
        " extensions: [[$class: 'RelativeTargetDirectory', relativeTargetDir: 'sub']]])\n sh 'test -e sub/README.md'",
        credentials=LOGIN,
    )
    assert ran.state == "succeeded", ran.text


@pytest.mark.parametrize("credentials", [WRONG, {}])
def test_a_wrong_or_missing_sign_in_ends_at_once_with_one_sentence(
    ground: Ground, address: str, credentials: dict[str, Credential]
) -> None:
    ran = ground.run(
        CHECKOUT, repository=address, repository_credential="git" if credentials else "", credentials=credentials
    )
    assert ran.state == "failed"
    assert ran.sentence.startswith(f"Git could not fetch {address}")
    assert "\n" not in ran.sentence
