"""Where a repository's branches and tags are, asked of `git-upload-pack` in its own protocol and nothing more of it.

With protocol version 2 the server is asked for branches and tags only; an older one tells all its refs, which are read
past as they come, so half a million refs of changes cost time but no memory. It must not know what carries the bytes.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Protocol

from fangduoduo_release.common.errors import Rejected, Unavailable
from fangduoduo_release.common.sentence import S
from projects.drivers.source.base import HEADS, TAGS

MOST = 100_000  # branches and tags of one repository
SHA = re.compile(rb"[0-9a-f]{40}")
FLUSH, DELIMITER, LONGEST = 0, 1, 65_520


class Reader(Protocol):
    async def readexactly(self, n: int) -> bytes: ...


class Writer(Protocol):
    def write(self, data: bytes) -> None: ...


def packet(text: str) -> bytes:
    """One line as git frames it: its length in four hex digits, itself included."""
    data = text.encode() + b"\n"
    return b"%04x" % (len(data) + 4) + data


ASK = (
    packet("command=ls-refs")
    + b"0001"
    + packet(f"ref-prefix {HEADS}")
    + packet(f"ref-prefix {TAGS}")
    + b"0000"  # ends the question
)


async def read_tips(reader: Reader, writer: Writer) -> dict[str, str]:
    """Full name -> what it holds (of an annotated tag the tag's object). EOFError when the server ends in the middle."""
    tips: dict[str, str] = {}
    first = await _packet(reader)
    if first is not None and first.startswith(b"version 2"):
        async for _ in _packets(reader):  # what it can do
            pass
        writer.write(ASK)
        async for line in _packets(reader):
            _keep(tips, line)
        writer.write(b"0000")
        return tips
    if first is not None:
        if not first.startswith(b"version "):
            _keep(tips, first)
        async for line in _packets(reader):
            _keep(tips, line)
    writer.write(b"0000")  # nothing is wanted of it
    return tips


def _keep(tips: dict[str, str], line: bytes) -> None:
    if line.startswith(b"ERR "):
        raise Rejected(S("The server does not tell the branches."), evidence=line[4:].decode(errors="replace").strip())
    sha, _, rest = line.partition(b" ")
    name = rest.split(b"\0", 1)[0].split(b" ", 1)[0].rstrip(b"\n").decode(errors="replace")
    if not SHA.fullmatch(sha) or not name.startswith((HEADS, TAGS)) or name.endswith("^{}"):
        return
    if len(tips) >= MOST:
        sentence = S("The repository has more than %(most)s branches and tags; so many are not followed.", most=MOST)
        raise Rejected(sentence, code="too_many_refs")
    tips[name] = sha.decode()


async def _packets(reader: Reader) -> AsyncIterator[bytes]:
    """Up to the next flush."""
    while (line := await _packet(reader)) is not None:
        if line:
            yield line


async def _packet(reader: Reader) -> bytes | None:
    """None: a flush. A delimiter is empty."""
    head = await reader.readexactly(4)
    try:
        size = int(head, 16)
    except ValueError as error:
        raise Unavailable(S("The server does not answer as git does."), evidence=repr(head)) from error
    if size == FLUSH:
        return None
    if size == DELIMITER:
        return b""
    if not 4 <= size <= LONGEST:
        raise Unavailable(S("The server does not answer as git does."), evidence=repr(head))
    return await reader.readexactly(size - 4)
