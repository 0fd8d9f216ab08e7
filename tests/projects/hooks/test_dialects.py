"""What each kind of server sends is read as its documentation has it, and nothing that is not signed counts."""

from __future__ import annotations

import base64
import contextlib
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projects.drivers.source.base import ZERO, PatchSet, PushEvent, RepositoryNews
from projects.hooks.dialects import DIALECTS, of_connection
from projects.hooks.dialects.base import WINDOW_S, Unreadable

from . import letters
from .letters import NEW, OLD, SECRET, lower

ASCII = "only-plain-letters"
KEY = b"0123456789abcdef0123456789abcdef"
TOKEN = f"whsec_{base64.b64encode(KEY).decode()}"
Sent = tuple[dict[str, str], bytes]
SIGNERS: dict[str, tuple[str, Callable[..., Sent]]] = {
    "github": ("github", letters.github),
    "gitlab": ("gitlab", letters.gitlab),
    "gitea": ("gitea", letters.gitea),
    "generic": ("generic", letters.ours),
    "gerrit, signed": ("gerrit", letters.ours),
    "gerrit, basic": ("gerrit", letters.basic),
}
BODIES = [b'{"ref": "x"}', b"", "ünïcode 密".encode(), b"\xff\xfe\x00 no text at all", b"x" * 300_000]
each_signer = pytest.mark.parametrize(("kind", "sign"), SIGNERS.values(), ids=SIGNERS)


def verdict(kind: str, sent: Sent, *secrets: str, now: float | None = None) -> str:
    """Why it is refused; "" when it is let in."""
    headers, body = sent
    refusal = DIALECTS[kind].verify(lower(headers), body, secrets, time.time() if now is None else now)
    return str(refusal.why) if refusal else ""


# -- proofs -----------------------------------------------------------------------------------------------------------
@each_signer
@pytest.mark.parametrize("body", BODIES, ids=["json", "empty", "unicode", "bytes", "large"])
def test_the_right_secret_lets_in_and_any_other_does_not(kind: str, sign: Callable[..., Sent], body: bytes) -> None:
    assert verdict(kind, sign(body, ASCII), ASCII) == ""
    assert "not made with" in verdict(kind, sign(body, ASCII), "another")
    assert "not made with" in verdict(kind, sign(body, f"{ASCII}x"), ASCII)


@each_signer
def test_while_a_secret_is_changed_the_new_and_the_old_one_count(kind: str, sign: Callable[..., Sent]) -> None:
    for used in ("new", "old"):
        assert verdict(kind, sign(b"{}", used), "new", "old") == ""
    assert verdict(kind, sign(b"{}", "oldest"), "new", "old")


@pytest.mark.parametrize("name", SIGNERS)
def test_a_secret_may_have_any_letters(name: str) -> None:
    kind, sign = SIGNERS[name]
    headers, body = sign(b"{}", SECRET)
    on_the_wire = {name: value.encode().decode("latin-1") for name, value in headers.items()}
    assert verdict(kind, (on_the_wire, body), SECRET) == ""


@pytest.mark.parametrize("kind", DIALECTS)
def test_what_is_not_signed_is_refused_and_so_is_an_empty_signature(kind: str) -> None:
    nothing = {"content-type": "application/json"}
    assert verdict(kind, (nothing, b"{}"), ASCII) == "It was not signed."
    empty = dict.fromkeys(
        ("x-hub-signature-256", "x-gitea-signature", "x-gitlab-token", "webhook-signature", "x-fdd-signature"), ""
    )
    assert verdict(kind, (empty, b"{}"), ASCII) == "It was not signed."


@pytest.mark.parametrize("name", ["github", "gitea", "generic", "gerrit, signed"])
def test_a_changed_body_is_refused(name: str) -> None:
    kind, sign = SIGNERS[name]
    headers, body = sign(b'{"ref": "a"}', ASCII)
    assert verdict(kind, (headers, body.replace(b"a", b"b")), ASCII)


@pytest.mark.parametrize("header", ["X-Hub-Signature-256", "X-Gogs-Signature", "X-Forgejo-Signature"])
def test_gitea_and_its_kin_sign_under_several_names(header: str) -> None:
    signature = letters.mac(ASCII, b"{}")
    value = f"sha256={signature}" if "Hub" in header else signature
    assert verdict("gitea", ({header: value}, b"{}"), ASCII) == ""
    assert verdict("gitea", ({header: value}, b"{ }"), ASCII)


def test_github_does_not_take_the_older_weaker_signature() -> None:
    assert verdict("github", ({"X-Hub-Signature": "sha1=" + "0" * 40}, b"{}"), ASCII) == "It was not signed."


@pytest.mark.parametrize("kind", ["generic", "gerrit"])
@pytest.mark.parametrize(("ago", "word"), [(WINDOW_S + 30, "behind our clock"), (-WINDOW_S - 30, "ahead of our clock")])
def test_an_old_or_early_timestamp_is_refused_and_the_difference_told(kind: str, ago: float, word: str) -> None:
    now = 1_800_000_000.0
    said = verdict(kind, letters.ours(b"{}", ASCII, at=now - ago), ASCII, now=now)
    assert word in said
    assert "330" in said
    assert verdict(kind, letters.ours(b"{}", ASCII, at=now - ago * 0.9), ASCII, now=now) == ""


def test_the_clock_is_spoken_of_only_to_who_knows_the_secret() -> None:
    assert "not made with" in verdict("generic", letters.ours(b"{}", "wrong", at=5), ASCII)
    headers, body = letters.ours(b"{}", ASCII)
    assert "not made with" in verdict("generic", ({**headers, "X-FDD-Timestamp": "1"}, body), ASCII)


@pytest.mark.parametrize("stamp", ["nan", "inf", "soon", "1e400", "-", "１７９"])
def test_a_timestamp_that_is_no_number_is_refused_although_signed(stamp: str) -> None:
    signature = f"sha256={letters.mac(ASCII, f'{stamp}.'.encode(), b'{}')}"
    assert verdict("generic", ({"X-FDD-Timestamp": stamp, "X-FDD-Signature": signature}, b"{}"), ASCII)


def test_gitlabs_newer_signature_is_made_with_the_key_that_the_token_stands_for() -> None:
    sent = letters.gitlab_signed(b"{}", KEY)
    assert verdict("gitlab", sent, TOKEN) == ""
    assert verdict("gitlab", sent, "whsec_" + base64.b64encode(b"x" * 32).decode())
    several = {**sent[0], "webhook-signature": f"v1,AAAA {sent[0]['webhook-signature']} v2,zzzz"}
    assert verdict("gitlab", (several, b"{}"), TOKEN) == ""
    assert verdict("gitlab", ({**sent[0], "webhook-id": "other"}, b"{}"), TOKEN)
    assert "behind our clock" in verdict("gitlab", letters.gitlab_signed(b"{}", KEY, at=5), TOKEN)
    assert verdict("gitlab", letters.gitlab_signed(b"{}", b"whsec_%%%"), "whsec_%%%") == ""  # only looks like one


def test_of_gitlabs_token_and_signature_one_suffices() -> None:
    sent = letters.gitlab_signed(b"{}", b"something else")
    assert verdict("gitlab", ({**sent[0], "X-Gitlab-Token": ASCII}, b"{}"), ASCII) == ""
    assert verdict("gitlab", ({**letters.gitlab_signed(b"{}", KEY)[0], "X-Gitlab-Token": "wrong"}, b"{}"), TOKEN) == ""


@pytest.mark.parametrize("header", ["Bearer x", "Basic", "Basic %%%", "Basic " + base64.b64encode(b"alone").decode()])
def test_gerrits_basic_sign_in_needs_a_password(header: str) -> None:
    assert verdict("gerrit", ({"Authorization": header}, b"{}"), ASCII)


# -- news -------------------------------------------------------------------------------------------------------------
def news(kind: str, body: Any, event: str = "push") -> list[Any]:
    return DIALECTS[kind].news(event, letters.as_bytes(body))


def test_a_push_at_github() -> None:
    told = news("github", letters.github_push())
    expected = PushEvent("refs/heads/main", OLD, NEW, actor="octocat", happened_at=1795421933.0)
    assert [one.what for one in told] == [expected]
    assert {"https://github.example/octo/shop.git", "git@github.example:octo/shop.git"} <= told[0].where
    forced = news("github", letters.github_push(forced=True, after="0" * 40, deleted=True))[0].what
    assert forced.forced
    assert forced.new == ZERO


def test_a_push_at_github_in_a_form() -> None:
    body = urlencode({"payload": json.dumps(letters.github_push())}).encode()
    assert news("github", body)[0].what == news("github", letters.github_push())[0].what


@pytest.mark.parametrize("event", ["create", "delete"])
def test_github_tells_of_created_and_deleted_branches_without_commits_so_they_are_worth_a_look(event: str) -> None:
    body = {"ref": "topic", "ref_type": "branch", "repository": letters.github_push()["repository"]}
    assert [one.what for one in news("github", body, event)] == [None]


@pytest.mark.parametrize(("kind", "event"), [("github", "ping"), ("github", "issues"), ("gitea", "release")])
def test_other_events_are_no_news(kind: str, event: str) -> None:
    assert news(kind, {"zen": "Keep it logically awesome.", "hook_id": 1}, event) == []


def test_a_push_at_gitlab_and_a_tag() -> None:
    told = news("gitlab", letters.gitlab_push(), "Push Hook")
    assert told[0].what == PushEvent("refs/heads/main", OLD, NEW, actor="jsmith")
    assert {"http://gitlab.example/team/shop.git", "git@gitlab.example:team/shop.git"} <= told[0].where
    tag = news("gitlab", letters.gitlab_push("tag_push", before="0" * 40), "Tag Push Hook")[0].what
    assert (tag.ref, tag.old) == ("refs/tags/v1", ZERO)
    assert news("gitlab", {"object_kind": "merge_request"}, "Merge Request Hook") == []


def test_a_push_at_gitea() -> None:
    told = news("gitea", letters.gitea_push())
    assert told[0].what == PushEvent("refs/heads/develop", OLD, NEW, actor="gitea")
    assert "ssh://gitea@gitea.example:2222/gitea/webhooks.git" in told[0].where


def test_moves_in_our_own_form_one_or_many() -> None:
    one = {"repository": "team/shop", "ref": "main", "before": OLD, "after": NEW, "actor": "ann"}
    assert news("generic", one)[0].what == PushEvent("refs/heads/main", OLD, NEW, actor="ann")
    many = news("generic", [one, {**one, "before": None}, {**one, "ref": "refs/tags/v1"}])
    assert [one.what and one.what.ref for one in many] == ["refs/heads/main", None, "refs/tags/v1"]
    assert news("generic", one, "ping") == []
    with pytest.raises(Unreadable):
        news("generic", {"ref": "main"})
    with pytest.raises(Unreadable, match="more than"):
        news("generic", [one] * 3000)


def test_events_of_gerrit_one_a_request_or_one_a_line() -> None:
    one = news("gerrit", letters.gerrit_line())
    assert (one[0].where, one[0].what.new) == (frozenset({"demo/app"}), NEW)
    lines = [letters.gerrit_line(), b"", b'{"type": "topic-changed"}', letters.gerrit_line("refs/tags/v1")]
    assert [told.what.ref for told in news("gerrit", b"\n".join(lines))] == ["refs/heads/master", "refs/tags/v1"]
    laid_out = json.dumps(json.loads(letters.gerrit_line()), indent=2).encode()
    assert len(news("gerrit", laid_out)) == 1
    made = news("gerrit", b'{"projectName":"demo/new","type":"project-created"}')
    assert made[0].what == RepositoryNews("demo/new")
    change = {
        "type": "patchset-created",
        "change": {"project": "demo/app", "branch": "master", "number": 1, "id": "I1"},
        "patchSet": {"number": "2", "revision": NEW, "ref": "refs/changes/01/1/2"},
    }
    text = news("gerrit", change)[0].what
    assert isinstance(text, PatchSet)
    assert (text.number, text.patch_set) == (1, 2)


def test_a_line_that_is_cut_off_does_not_take_the_others_with_it() -> None:
    with pytest.raises(Unreadable, match="line 2 of 3") as caught:
        news("gerrit", b"\n".join([letters.gerrit_line(), b'{"type": "ref-up', letters.gerrit_line("refs/tags/v1")]))
    assert len(caught.value.told) == 2


@pytest.mark.parametrize("kind", ["github", "gitlab", "gitea", "generic"])
@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b"\xff", b"[" * 5000, b"payload=%7B", b"NaN", b'"text"'])
def test_what_makes_no_sense_is_unreadable_or_no_news(kind: str, body: bytes) -> None:
    with contextlib.suppress(Unreadable):
        assert news(kind, body) == []


@pytest.mark.parametrize("kind", ["github", "gitea"])
def test_a_push_that_lacks_its_commits_is_worth_a_look(kind: str) -> None:
    body = letters.github_push(before=None, after={"id": 1})
    assert [one.what for one in news(kind, body)] == [None]


# -- names ------------------------------------------------------------------------------------------------------------
def ident(kind: str, sent: Sent) -> str:
    return DIALECTS[kind].delivery(lower(sent[0]), sent[1])


def test_deliveries_go_by_the_name_their_server_gives_them() -> None:
    assert ident("github", letters.github({})) == "72d3162e-cc78"
    assert ident("gitlab", letters.gitlab({})) == "f5e5f430"
    assert ident("gitlab", letters.gitlab_signed({}, KEY, ident="msg_7")) == "msg_7"
    assert ident("gitea", letters.gitea({})) == "f6266f16"
    assert ident("generic", letters.ours({}, **{"X-FDD-Delivery": "d1"})) == "d1"
    assert ident("generic", letters.ours({"delivery": 7})) == "7"
    assert ident("gerrit", letters.basic(b"{}")) == ""


def test_without_a_name_the_same_time_and_body_are_the_same_delivery() -> None:
    assert ident("generic", letters.ours({}, at=1)) == ident("generic", letters.ours({}, at=1))
    assert ident("generic", letters.ours({}, at=1)) != ident("generic", letters.ours({}, at=2))
    older = {"X-Gitlab-Event-UUID": "u"}  # of what led to it: one thing may lead to several
    assert ident("gitlab", (older, b"a")) != ident("gitlab", (older, b"b"))


def test_every_kind_of_connection_has_its_dialects() -> None:
    assert {one.kind for one in of_connection("git")} == {"github", "gitlab", "gitea", "generic"}
    assert {one.kind for one in of_connection("gerrit")} == {"gerrit"}
    assert of_connection("jenkins") == []


# -- whatever strangers send ------------------------------------------------------------------------------------------
texts = st.text(st.characters(max_codepoint=255), max_size=60)
names = st.sampled_from(
    [
        "x-hub-signature-256",
        "x-github-delivery",
        "x-github-event",
        "x-gitlab-token",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "x-gitlab-event-uuid",
        "x-gitea-signature",
        "x-fdd-timestamp",
        "x-fdd-signature",
        "x-fdd-delivery",
        "authorization",
    ]
)
fields = st.sampled_from(
    [
        "ref",
        "before",
        "after",
        "repository",
        "project",
        "object_kind",
        "event_name",
        "clone_url",
        "git_http_url",
        "url",
        "sender",
        "login",
        "forced",
        "pushed_at",
        "type",
        "refUpdate",
        "change",
        "patchSet",
        "delivery",
    ]
)
words = st.sampled_from(["push", "tag_push", OLD, "refs/heads/x", "https://x/y", "ref-updated"])
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(fields, inner | words, max_size=8),
    max_leaves=25,
)
bodies = documents.map(lambda one: json.dumps(one).encode()) | st.binary(max_size=80)


@pytest.mark.parametrize("kind", DIALECTS)
@settings(max_examples=120, deadline=None)
@given(headers=st.dictionaries(names, texts, max_size=8), body=st.binary(max_size=200))
def test_no_headers_and_no_bytes_make_a_dialect_stumble(kind: str, headers: dict[str, str], body: bytes) -> None:
    dialect = DIALECTS[kind]
    assert dialect.verify(headers, body, (ASCII, "other"), time.time()) is not None
    assert isinstance(dialect.event(headers), str)
    assert isinstance(dialect.delivery(headers, body), str)


@pytest.mark.parametrize("kind", DIALECTS)
@settings(max_examples=150, deadline=None)
@given(body=bodies, event=st.sampled_from(["push", "create", "ping", ""]))
def test_news_are_told_or_unreadable_whatever_the_body(kind: str, body: bytes, event: str) -> None:
    try:
        told = DIALECTS[kind].news(event, body)
    except Unreadable as error:
        told = error.told
    for one in told:
        assert one.where
        assert all(isinstance(where, str) and where for where in one.where)
        if isinstance(one.what, PushEvent):
            assert len(one.what.old) in {40, 64}
            assert len(one.what.new) in {40, 64}
