"""The whole way in a real portal: a build that fails is told by the real worker; a mail server that was dead comes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.portal import Portal, free_port
from tests.simulators.mailserver import mail_server
from tests.simulators.receiver import Receiver
from tests.waiting import until

pytestmark = pytest.mark.slow
FAILS = "pipeline { agent any\n stages { stage('a') { steps { sh 'exit 3' } } } }"


def states(client: httpx.Client) -> list[str]:
    rows: list[dict[str, Any]] = client.get("/api/me/deliveries/").json()["results"]
    return [row["state"] for row in rows]


def test_a_failed_build_is_told_to_the_project_and_to_whoever_started_it(
    portals: Callable[..., Portal], tmp_path: Path
) -> None:
    port = free_port()
    mail = {"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": str(port), "EMAIL_SECURITY": "none"}
    portal = portals(env={**mail, "EMAIL_FROM": "release@example.org"}).start()
    code = "from permissions.models import User; User.objects.filter(username='dev').update(email='dev@example.org')"
    portal.manage("shell", "-c", code)
    receiver = Receiver()
    with receiver.serving(), portal.api("dev") as dev:
        given = {"kind": "webhook", "name": "group", "address": f"{receiver.url}/hook"}
        assert dev.post("/api/projects/sample/channels/", json=given).status_code == 201
        assert dev.put("/api/projects/sample/pipeline/", json={"text": FAILS}).status_code == 200
        build = dev.post("/api/projects/sample/builds/", json={}).json()

        # The mail server is dead; the project's program hears of it all the same, and the build ends.
        until(lambda: receiver.posts, timeout=240, what="the webhook to be told")
        heard = receiver.posts[0].json
        assert (heard["event"], heard["project"]) == ("build.failed", "sample")
        assert heard["link"] == f"{portal.url}/builds/{build['id']}/"
        assert dev.get(f"/api/builds/{build['id']}/").json()["state"] == "failed"
        assert states(dev) == ["queued"]

        with mail_server(tmp_path, port=port) as server:
            until(lambda: server.letters, timeout=240, what="the letter to arrive once the mail server is back")
            until(lambda: states(dev) == ["sent"], what="the message to be written down as sent")
            (letter,) = server.letters
        assert letter["To"] == "dev@example.org"
        assert heard["link"] in letter.get_body(("plain",)).get_content()
        assert len(receiver.posts) == 1
