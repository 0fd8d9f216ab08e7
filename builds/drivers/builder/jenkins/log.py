"""A build's log from an offset, as Jenkins' progressive text gives it.

The next offset is `X-Text-Size` exactly: it counts raw bytes, hidden annotations too, so it is not what was sent. A start
beyond the end sends the whole log again: then it was replaced.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from builds.drivers.builder.remote import LogAnswer
from fangduoduo_release.common.errors import Unavailable
from fangduoduo_release.common.sentence import S

from . import failures
from .paths import build_url
from .transport import Transport


@contextmanager
def read(transport: Transport, path: str, number: int, offset: int) -> Iterator[LogAnswer]:
    url = f"{build_url(path, number)}/logText/progressiveText"
    with transport.stream(url, {"start": str(max(offset, 0))}) as stream:
        if stream.status == 404:
            raise failures.build_gone(transport.config, path, number)
        transport.judge(stream.answer, accept=())
        size = stream.headers.get("X-Text-Size", "")
        if not size.isdecimal():
            sentence = S("What answers at “%(host)s” does not speak like a Jenkins.", host=transport.config.host)
            raise Unavailable(sentence, evidence="a log without X-Text-Size", code="not_jenkins")
        yield LogAnswer(
            data=stream.pieces(),
            next_offset=int(size),
            more=stream.headers.get("X-More-Data") == "true",
            restarted=int(size) < offset,
        )
