"""Raw lists, page by page, from an event loop; and what an answer that is no list means. Django-free."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import orjson

from fangduoduo_release.common.errors import AppError, Unavailable
from fangduoduo_release.common.sentence import S, Sentence

from .api import Answer, judge
from .async_api import AsyncApi, Response
from .names import Resource
from .seen import version_of

PAGE = 500
FEWEST = 10  # objects of a page, however large they are
MOST_BYTES = 64 << 20  # of a page; then fewer objects are asked for
MOST_OF_AN_ERROR = 64 << 10
LONGEST_RETRY_S = 300.0


class Expired(Exception):
    """The server has forgotten what we wanted to go on from (410)."""


class Refused(Exception):
    """The server answered, and not with what was asked for. `retry_s`: when it wants to be asked again; 0: it does not say."""

    def __init__(self, status: int, sentence: Sentence, retry_s: float = 0.0) -> None:
        super().__init__(f"{status}: {sentence}")
        self.status, self.sentence, self.retry_s = status, sentence, retry_s


class TooLarge(Exception):
    """A page of too many bytes."""


async def refused(response: Response) -> Refused:
    """What an answer that is no success says."""
    body = b""
    async for chunk in response.content.iter_chunked(16 << 10):
        body += chunk
        if len(body) >= MOST_OF_AN_ERROR:
            break
    headers = {name.lower(): value for name, value in response.headers.items()}
    error: AppError = judge(Answer(response.status, headers, body))
    return Refused(response.status, error.sentence, retry_after(headers.get("retry-after", "")))


def retry_after(text: str) -> float:
    """Seconds, as Kubernetes says it; 0 for anything else."""
    return min(LONGEST_RETRY_S, float(text)) if text.isascii() and text.isdecimal() else 0.0


async def pages(api: AsyncApi, path: str, page: int = PAGE) -> AsyncIterator[tuple[list[Any], str]]:
    """Each page's items and the resourceVersion of the whole. Raises Expired (begin again), Refused, Unavailable."""
    limit, more, first = page, "", True
    while first or more:
        query: dict[str, str | int] = {"limit": limit} if limit else {}
        try:
            found = await _page(api, path, query | ({"continue": more} if more else {}), in_the_middle=bool(more))
        except TooLarge:
            if limit <= FEWEST:
                raise Unavailable(
                    S("A list of the API server is larger than %(mib)s MiB.", mib=MOST_BYTES >> 20)
                ) from None
            limit = max(FEWEST, limit // 5)
            continue
        items, metadata = found.get("items"), found.get("metadata")
        more = str(metadata.get("continue") or "") if isinstance(metadata, dict) else ""
        first = False
        yield items if isinstance(items, list) else [], version_of(found)


async def _page(api: AsyncApi, path: str, query: dict[str, str | int], in_the_middle: bool) -> dict[str, Any]:
    async with api.open(path, query) as response:
        if response.status == 410 or (response.status == 400 and in_the_middle):
            raise Expired
        if response.status != 200:
            raise await refused(response)
        chunks, size = [], 0
        async for chunk in response.content.iter_any():
            chunks.append(chunk)
            size += len(chunk)
            if size > MOST_BYTES:
                raise TooLarge
    await asyncio.sleep(0)
    found = _parsed(b"".join(chunks))
    if not isinstance(found, dict) or not version_of(found):
        raise Unavailable(S("The API server answered with something that is not an object of Kubernetes."))
    return found


def _parsed(body: bytes) -> Any:
    """Without looking for garbage meanwhile: a hundred thousand new objects that all are needed cost twice the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        return orjson.loads(body)
    except ValueError:
        return None
    finally:
        if was_on:
            gc.enable()


async def whole(api: AsyncApi, resource: Resource, namespace: str, page: int) -> AsyncIterator[tuple[list[Any], str]]:
    """As `pages`. One that expires on the way begins again; when that expires too, all is asked for in one answer.

    So an object may come twice, and the last version is the one that counts. Yields ([], "") where it begins again.
    """
    path = resource.path(namespace)
    for limit in (page, page, 0):
        try:
            async for found in pages(api, path, limit):
                yield found
        except Expired:
            yield [], ""
            continue
        return
    raise Unavailable(S("The API server forgets a list before it is read."))
