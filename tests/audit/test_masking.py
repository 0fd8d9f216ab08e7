"""What is written down of a change is what differs, readable, bounded, and free of secrets."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from fangduoduo_release.audit.masking import LONGEST_ALL, LONGEST_TEXT, MASK, MOST_ITEMS, clean, difference, is_secret

CANARY = "c4nary-Value"


def test_only_what_differs_is_kept_where_there_are_two_sides() -> None:
    before = {"name": "shop", "replicas": 1, "env": {"A": "1", "B": "2"}, "gone": 1}
    after = {"name": "shop", "replicas": 2, "env": {"A": "1", "B": "3", "C": "4"}, "new": None}
    assert difference(before, after) == (
        {"replicas": 1, "env": {"B": "2"}, "gone": 1},
        {"replicas": 2, "env": {"B": "3", "C": "4"}, "new": None},
    )


def test_one_side_alone_is_kept_whole() -> None:
    assert difference(None, {"a": 1, "b": None}) == (None, {"a": 1, "b": None})
    assert difference({"a": {"b": []}}, None) == ({"a": {"b": []}}, None)
    assert difference(None, None) == (None, None)


def test_nothing_and_false_are_not_taken_for_each_other() -> None:
    assert difference({"a": 0, "b": 1}, {"a": False, "b": True}) == ({"a": 0, "b": 1}, {"a": False, "b": True})


@pytest.mark.parametrize(
    "name",
    [
        "password", "Password", "db_password", "DATABASE_PASSWORD", "passwd", "passphrase", "PWD", "secret", "clientSecret",
        "API_TOKEN", "token", "access-token", "Authorization", "private_key", "privateKey", "ssh_key", "apiKey", "API_KEY",
        "key", "keys", "signingKey", "AWS_SECRET_ACCESS_KEY", "credential", "credentials", "cookie", "session_id",
        "certificate", "client.pem", "bearer", "TOTP_otp", "encryption_keys", "key_material",
    ],
)  # fmt: skip
def test_names_of_secrets_hide_their_values(name: str) -> None:
    assert is_secret(name)
    assert difference({name: "old"}, {name: CANARY}) == ({name: MASK}, {name: MASK})
    assert CANARY not in json.dumps(difference(None, {"deep": [{name: {"er": [CANARY]}}]}))


@pytest.mark.parametrize(
    "name", ["name", "username", "environment", "keyboard", "monkey_count", "replicas", "command", "machine", "compass"]
)
def test_plain_names_stay_readable(name: str) -> None:
    assert not is_secret(name)
    assert difference(None, {name: "x"}) == (None, {name: "x"})


def test_a_mapping_of_secrets_shows_names_and_whether_they_changed_and_nothing_else() -> None:
    before = {"secrets": {"A": "1", "B": "same", "C": CANARY}}
    after = {"secrets": {"A": CANARY, "B": "same", "D": CANARY}}
    old, new = difference(before, after)
    assert old == {"secrets": {"A": MASK, "C": MASK}}
    assert new == {"secrets": {"A": MASK, "D": MASK}}


def test_whether_something_is_set_is_no_secret() -> None:
    assert difference(None, {"password": None, "token": "", "private": True}) == (
        None,
        {"password": None, "token": "", "private": True},
    )
    assert difference({"password": ""}, {"password": CANARY}) == ({"password": ""}, {"password": MASK})


@pytest.mark.parametrize("secret", [CANARY, 1234567, [CANARY], (CANARY,), {"x": CANARY}, {CANARY}, CANARY.encode()])
def test_values_of_every_shape_are_masked(secret: Any) -> None:
    told = json.dumps(difference(None, {"password": secret}))
    assert CANARY not in told
    assert "1234567" not in told


@pytest.mark.parametrize(
    "text",
    [
        f"postgres://user:{CANARY}@db/name",
        f"git clone https://x:{CANARY}@host/a.git && redis://:{CANARY}@r",
        f"Authorization: Bearer {CANARY}",
        f"curl -H 'authorization: basic {CANARY}=='",
        f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{CANARY}",
        f"run --password={CANARY} --x",
        f"token: {CANARY}",
        "fdd_0123456789_" + CANARY,
    ],
)
def test_secrets_that_show_by_their_form_are_masked_in_any_text(text: str) -> None:
    assert CANARY not in clean(text)
    told = json.dumps(difference({"command": [text]}, {"command": [text, "more"], text: 1}))
    assert CANARY not in told


def test_a_change_deep_in_a_masked_address_is_still_seen() -> None:
    old, new = difference({"url": "https://u:one@host/"}, {"url": "https://u:two@host/"})
    assert (old, new) == ({"url": f"https://u:{MASK}@host/"}, {"url": f"https://u:{MASK}@host/"})


def test_what_nobody_would_read_is_cut() -> None:
    _, after = difference(
        None, {"text": "x" * 5_000, "list": list(range(500)), "many": {f"k{n}": n for n in range(500)}}
    )
    assert after["text"].startswith("x" * LONGEST_TEXT)
    assert after["text"].endswith("(5000 characters)")
    assert after["list"][-1] == f"… {500 - MOST_ITEMS} more"
    assert len(after["many"]) == MOST_ITEMS + 1
    _, huge = difference(None, {f"k{n}": "y" * 590 for n in range(55)})
    assert len(json.dumps(huge)) < LONGEST_ALL


def test_a_long_value_that_changed_behind_the_cut_is_still_a_change() -> None:
    old, new = difference({"text": "x" * 5_000}, {"text": "x" * 4_999 + "y"})
    assert "text" in old
    assert "text" in new


def test_depth_ends_somewhere() -> None:
    deep: dict[str, Any] = {}
    deep["again"] = {"x": deep}
    assert "…" in json.dumps(difference(None, deep), ensure_ascii=False)


def test_every_kind_of_value_becomes_json() -> None:
    moment = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
    _, after = difference(
        None, {"at": moment, "day": date(2026, 1, 2), "set": {2, 1}, "raw": b"\x00", "nan": float("nan"), 5: object}
    )
    assert (after["at"], after["day"], after["set"], after["raw"], after["nan"]) == (
        "2026-11-25T03:00:00+00:00", "2026-01-02", [1, 2], "(1 bytes)", "nan",
    )  # fmt: skip
    assert "5" in after


def test_what_no_database_stores_is_replaced() -> None:
    assert difference(None, {"a\x00": "b\x00\ud800"}) == (None, {"a\ufffd": "b\ufffd\ufffd"})
