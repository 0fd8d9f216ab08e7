"""The signed webhook against a real receiver, and where a posted address may lead."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from fangduoduo_release.common.errors import Invalid, Rejected, Unavailable
from fangduoduo_release.notifications.drivers.base import Later, Notifier
from fangduoduo_release.notifications.drivers.posting import LONGEST_WAIT_S, READ, Target, post
from fangduoduo_release.notifications.drivers.webhook import Webhook, WebhookConfig
from tests.portal import free_port
from tests.simulators.receiver import Post, Receiver, Reply

from .notifier_contract import AT_LAST_S, MESSAGE, NotifierContract, allow, refused

SECRET = "hook-secret-7f31aa90"
PATH_KEY = "path-key-55c1e0"


def signed(post: Post) -> bool:
    """As a receiver checks it, from our documentation."""
    parts = dict(part.split("=", 1) for part in post.headers["X-FDD-Signature"].split(","))
    expected = hmac.new(SECRET.encode(), parts["t"].encode() + b"." + post.body, hashlib.sha256).hexdigest()
    return abs(time.time() - int(parts["t"])) < 300 and hmac.compare_digest(parts["v1"], expected)


class TestWebhook(NotifierContract):
    SECRETS = (SECRET, PATH_KEY)

    @pytest.fixture
    def notifier(self) -> Iterator[Notifier]:
        self.taken: list[Post] = []

        def judge(post: Post) -> Reply:
            if self.receiver.reply.status == 200 and not signed(post):
                return Reply(401, b'{"error": "signature"}')
            if self.receiver.reply.status == 200 and not self.receiver.reply.silent:
                self.taken.append(post)
            return self.receiver.reply

        self.receiver = Receiver(judge)
        with self.receiver.serving():
            url = f"{self.receiver.url}/hooks/{PATH_KEY}"
            self.config = WebhookConfig(url, SECRET, allow_private=True, allow_http=True)
            yield Webhook(self.config)

    def heard(self) -> list[str]:
        return [post.body.decode() for post in self.taken]

    def make_busy(self) -> None:
        self.receiver.reply = Reply(503, f"overloaded, says {SECRET}".encode(), {"Retry-After": "120"})

    def make_refuse(self) -> None:
        self.receiver.reply = Reply(410, f"gone from /hooks/{self.config.url}".encode())

    def make_silent(self) -> None:
        self.receiver.reply = Reply(silent=True)

    def away(self) -> Notifier:
        return Webhook(replace(self.config, url=f"http://127.0.0.1:{free_port()}/{PATH_KEY}"))

    def stranger(self) -> Notifier:
        return Webhook(replace(self.config, secret="another-secret-all-wrong"))

    def test_a_receiver_gets_facts_a_signature_and_the_id(self, notifier: Notifier) -> None:
        notifier.send(MESSAGE)
        (post,) = self.taken
        assert post.headers["X-FDD-Delivery"] == post.json["id"] == MESSAGE.id
        assert post.headers["X-FDD-Event"] == "build.failed"
        assert set(post.json) == {"id", "event", "at", "title", "text", "link", "project", "data"}
        assert post.json["at"] == "2026-11-01T03:00:00+00:00"
        assert post.json["data"] == {"number": 7, "project": "shop"}

    def test_how_long_to_wait_is_taken_from_the_answer(self, notifier: Notifier) -> None:
        for header, seconds in (("120", 120), ("999999", LONGEST_WAIT_S), ("nonsense", 0), ("-5", 0)):
            self.receiver.reply = Reply(503, b"busy", {"Retry-After": header})
            with pytest.raises(Later) as raised:
                notifier.send(MESSAGE)
            assert raised.value.after_s == seconds
        self.receiver.reply = Reply(503, b"busy", {"Retry-After": "Wed, 21 Oct 2065 07:28:00 GMT"})
        with pytest.raises(Later) as raised:
            notifier.send(MESSAGE)
        assert raised.value.after_s == LONGEST_WAIT_S

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_a_redirect_is_not_followed(self, notifier: Notifier, status: int) -> None:
        self.receiver.reply = Reply(status, b"", {"Location": f"{self.receiver.url}/secret-place"})
        with pytest.raises(Rejected) as raised:
            notifier.send(MESSAGE)
        assert raised.value.code == "redirect"
        assert [post.path for post in self.receiver.posts] == [f"/hooks/{PATH_KEY}"]

    @pytest.mark.parametrize(("status", "error"), [(500, Later), (429, Later), (408, Later), (404, Rejected)])
    def test_what_passes_and_what_does_not(self, notifier: Notifier, status: int, error: type[Exception]) -> None:
        self.receiver.reply = Reply(status, b"why")
        with pytest.raises(error):
            notifier.send(MESSAGE)

    def test_a_torn_answer_is_tried_again(self, notifier: Notifier) -> None:
        self.receiver.reply = Reply(torn=True)
        with pytest.raises(Unavailable):
            notifier.send(MESSAGE)

    def test_an_answer_that_never_ends_is_cut(self, notifier: Notifier, monkeypatch: pytest.MonkeyPatch) -> None:
        allow(monkeypatch, connect_s=60.0, call_s=63.0)  # what is left is for the answer
        self.receiver.reply = Reply(drip=0.5)
        began = time.monotonic()
        notifier.send(MESSAGE)  # it said 200 before it began to drip
        assert time.monotonic() - began < AT_LAST_S

    def test_no_more_of_an_answer_is_read_than_needed(self, notifier: Notifier) -> None:
        self.receiver.reply = Reply(500, b"x" * (4 * READ))
        answer = post(self.config.target(), b"{}", {})
        assert len(answer.body) == READ


GOOD = "https://hooks.example.org/x"


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.org/x", "ftp://hooks.example.org/x", "file:///etc/passwd", "gopher://x/", "", "hooks",
        "https://user:secret@hooks.example.org/", "https://hooks.example.org/#x", "https:///x", "https://exa mple.org/",
        "https://hooks.example.org\\@evil.example/", "https://x:99999/", "https://127.0.0.1/", "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data", "https://[::1]/", "https://[::ffff:169.254.169.254]/",
        "https://100.100.100.200/", "https://192.168.0.1:8443/x", "https://0.0.0.0/",
    ],
)  # fmt: skip
def test_an_address_that_leads_astray_is_refused_when_it_is_given(url: str) -> None:
    error = refused(WebhookConfig, url=url, secret=SECRET)
    assert error.code.startswith("bad_url")


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f000001"])
def test_a_name_that_leads_inside_is_refused_when_something_is_sent(host: str) -> None:
    config = WebhookConfig(f"https://{host}:{free_port()}/x", SECRET)
    with pytest.raises(Invalid) as raised:
        Webhook(config).send(MESSAGE)
    assert raised.value.code == "bad_url_private"


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "100.100.100.200"])
def test_metadata_is_never_reached_also_where_private_networks_are(host: str) -> None:
    assert refused(Target, url=f"http://{host}/", allow_private=True, allow_http=True).code == "bad_url_address"


def test_a_name_nobody_knows_is_tried_again() -> None:
    with pytest.raises(Unavailable) as raised:
        Webhook(WebhookConfig("https://no-such-host.invalid/x", SECRET)).send(MESSAGE)
    assert raised.value.code == "unknown_host"


def test_the_connection_goes_to_the_address_that_was_judged() -> None:
    """The Host header is the name's; nobody resolves it a second time."""
    receiver = Receiver()
    with receiver.serving():
        port = receiver.url.rpartition(":")[2]
        post(Target(f"http://localhost:{port}/a?b=c", allow_private=True, allow_http=True), b"{}", {})
    assert receiver.posts[0].headers["Host"] == f"localhost:{port}"
    assert (receiver.posts[0].path, receiver.posts[0].query) == ("/a", {"b": ["c"]})


@pytest.mark.parametrize("secret", ["", "short", "x" * 201])
def test_a_secret_that_protects_nothing_is_refused(secret: str) -> None:
    assert "secret" in refused(WebhookConfig, url=GOOD, secret=secret).fields


def test_a_body_is_json_in_plain_utf8() -> None:
    receiver = Receiver()
    with receiver.serving():
        config = WebhookConfig(receiver.url, SECRET, allow_private=True, allow_http=True)
        Webhook(config).send(MESSAGE)
    (got,) = receiver.posts
    assert "修复登录".encode() in got.body
    assert json.loads(got.body)["text"] == MESSAGE.text
    assert got.headers["Content-Type"].startswith("application/json")
