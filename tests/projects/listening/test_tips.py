"""git's own protocol, just far enough: where branches and tags are, of old servers and new ones, and of broken ones."""

from __future__ import annotations

import asyncio

import pytest

from fangduoduo_release.common.errors import AppError, Rejected, Unavailable
from projects.drivers.source.gerrit.tips import ASK, MOST, packet, read_tips

A, B, C = "a" * 40, "b" * 40, "c" * 40
FLUSH = b"0000"


class Wire:
    """What we write."""

    def __init__(self) -> None:
        self.sent = b""

    def write(self, data: bytes) -> None:
        self.sent += data


def read(*parts: bytes) -> tuple[dict[str, str], bytes]:
    async def ask() -> tuple[dict[str, str], bytes]:
        reader, wire = asyncio.StreamReader(), Wire()
        for part in parts:
            reader.feed_data(part)
        reader.feed_eof()
        return await read_tips(reader, wire), wire.sent

    return asyncio.run(ask())


def test_a_new_server_is_asked_for_branches_and_tags_only() -> None:
    tips, sent = read(
        packet("version 2"), packet("ls-refs"), packet("fetch=shallow"), FLUSH,
        packet(f"{A} refs/heads/main"), packet(f"{B} refs/tags/v1 peeled:{C}"), FLUSH,
    )  # fmt: skip
    assert tips == {"refs/heads/main": A, "refs/tags/v1": B}
    assert sent == ASK + FLUSH
    assert b"ref-prefix refs/heads/" in sent
    assert b"refs/changes" not in sent


def test_an_old_servers_list_is_read_past_what_does_not_matter() -> None:
    tips, sent = read(
        packet(f"{A} HEAD\0multi_ack symref=HEAD:refs/heads/main"),
        packet(f"{B} refs/changes/01/1/1"), packet(f"{A} refs/heads/main"), packet(f"{C} refs/meta/config"),
        packet(f"{B} refs/tags/v1"), packet(f"{A} refs/tags/v1^{{}}"), FLUSH,
    )  # fmt: skip
    assert tips == {"refs/heads/main": A, "refs/tags/v1": B}
    assert sent == FLUSH


def test_an_empty_repository_has_none() -> None:
    assert read(packet(f"{'0' * 40} capabilities^{{}}\0agent=JGit"), FLUSH)[0] == {}
    assert read(FLUSH)[0] == {}
    assert read(packet("version 1"), packet(f"{A} refs/heads/main\0agent=x"), FLUSH)[0] == {"refs/heads/main": A}


@pytest.mark.parametrize("noise", [b"hello there, no git here", b"zzzz", b"0003", b"ffff"])
def test_what_is_no_git_is_told(noise: bytes) -> None:
    with pytest.raises((Unavailable, EOFError)):
        read(noise + b" " * 70_000)


def test_a_refusal_is_passed_on() -> None:
    with pytest.raises(Rejected) as caught:
        read(packet("ERR access denied"), FLUSH)
    assert caught.value.evidence == "access denied"


def test_an_end_in_the_middle_is_an_end() -> None:
    with pytest.raises(EOFError):
        read(packet("version 2"), packet("ls-refs"))
    with pytest.raises(EOFError):
        read(packet(f"{A} refs/heads/main\0x"), b"003f")


def test_more_branches_than_anybody_has_are_refused() -> None:
    many = b"".join(packet(f"{A} refs/heads/b{number}") for number in range(MOST + 1))
    with pytest.raises(AppError, match="so many are not followed"):
        read(packet("version 2"), FLUSH, many, FLUSH)
