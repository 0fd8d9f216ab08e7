"""A secret never leaves, in whichever form it is printed and however the stream is cut."""

from __future__ import annotations

import base64
import html
import json
import random
from urllib.parse import quote, quote_plus

import pytest

from builds.drivers.builder.embedded.mask import MASK, Masker, forms, mask_text

SECRET = "p@ss/w0rd+ä\"'$x y"


def masked(secrets: list[str], data: bytes, size: int) -> bytes:
    masker = Masker(secrets)
    return b"".join(masker.feed(data[i : i + size]) for i in range(0, len(data), size)) + masker.finish()


@pytest.mark.parametrize(
    "leak",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        quote(SECRET, safe="").lower().replace("ä", "%c3%a4"),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        html.escape(SECRET),
        "'" + SECRET.replace("'", "'\\''") + "'",
        "'" + SECRET.replace("'", "'\"'\"'") + "'",
    ],
)
@pytest.mark.parametrize("size", [1, 3, 16, 10_000])
def test_every_written_form_is_masked_across_chunk_borders(leak: str, size: int) -> None:
    out = masked([SECRET], f"before {leak} after\nnext line\n".encode(), size)
    assert MASK in out
    assert b"w0rd" not in out
    assert out.startswith(b"before ")
    assert out.endswith(b" after\nnext line\n")


@pytest.mark.parametrize("before", ["", "u", "us", "user:"])
@pytest.mark.parametrize("after", ["", "!", "!!"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_is_masked_at_every_alignment(before: str, after: str, encode: object) -> None:
    secret = "s3cr3t?value>>"
    encoded = encode((before + secret + after).encode())  # type: ignore[operator]
    out = masked([secret], b"Authorization: Basic " + encoded + b"\n", 5)
    assert MASK in out
    # What is left gives at most the characters next to the secret.
    assert len(out) - len(b"Authorization: Basic ") - len(MASK) <= 12


def test_a_secret_of_several_lines_is_masked_line_by_line_and_as_wrapped_base64() -> None:
    key = "-----BEGIN KEY-----\n" + "\n".join("QmFzZTY0" * 6 + str(i) for i in range(5)) + "\n-----END KEY-----\n"
    for line in key.splitlines():
        assert masked([key], f"  {line}\n".encode(), 9).strip() == MASK
    assert b"BEGIN" not in masked([key], json.dumps({"key": key}).encode(), 50)
    wrapped = base64.encodebytes(key.encode())
    assert set(masked([key], wrapped, 11).replace(MASK, b"").split()) <= {wrapped.splitlines()[-1]}


def test_secrets_that_overlap_or_follow_each_other_leave_no_rest() -> None:
    assert masked(["abcdef", "defghi", "abc"], b"xabcdefghix abcabcdef\n", 4) == b"x****x ********\n"
    assert masked(["aaa"], b"aaaaaaa\n", 2).count(b"a") <= 0


def test_what_is_shorter_than_three_characters_is_no_secret() -> None:
    assert forms("ab") == set()
    assert masked(["ab", "", "x"], b"ab x about\n", 3) == b"ab x about\n"


def test_any_cut_of_any_stream_gives_the_same_text() -> None:
    chance = random.Random(3)
    secrets = ["hunter2hunter2", "tok-0123456789", "Zm9vYmFy+/=="]
    words = [*secrets, "hunter", "tok-", "plain", "\n", "0123", "Zm9v"]
    data = "".join(chance.choice(words) for _ in range(400)).encode()
    whole = masked(secrets, data, len(data))
    for secret in secrets:
        assert secret.encode() not in whole
    for size in (1, 2, 5, 13, 64):
        assert masked(secrets, data, size) == whole


def test_a_secret_learned_later_is_masked_from_then_on() -> None:
    masker = Masker()
    assert masker.feed(b"later-secret\n") == b"later-secret\n"
    masker.add("later-secret")
    assert masker.feed(b"later-secret\n") == b"****\n"


def test_little_is_held_back_so_that_lines_appear_at_once() -> None:
    masker = Masker(["secret-value"])
    assert masker.feed(b"a whole line\n") == b"a whole line\n"
    assert masker.feed(b"x" * 100).startswith(b"x" * 80)


def test_one_text_at_once() -> None:
    assert mask_text("token=abc123xyz;", forms("abc123xyz")) == "token=****;"
