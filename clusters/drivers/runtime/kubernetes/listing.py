"""Raw lists, page by page, from an event loop; and what an answer that is no list means. Django-free."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
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
ITEMS, END, METADATA = b'"items":[', b"]}", b'"metadata":{'
LONGEST_OPENING = 200  # of an object before its metadata: its kind and apiVersion, where they are said


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


async def pages(api: AsyncApi, path: str, page: int = PAGE) -> AsyncIterator[tuple[Iterable[Any], str]]:
    """Each page's items and the resourceVersion of the whole. Raises Expired (begin again), Refused, Unavailable.

    Items are parsed as they are asked for, so an Unavailable may come among them; and one may come twice.
    """
    limit, more, first = page, "", True
    while first or more:
        query: dict[str, str | int] = {"limit": limit} if limit else {}
        try:
            body = await _page(api, path, query | ({"continue": more} if more else {}), in_the_middle=bool(more))
        except TooLarge:
            if limit <= FEWEST:
                raise Unavailable(
                    S("A list of the API server is larger than %(mib)s MiB.", mib=MOST_BYTES >> 20)
                ) from None
            limit = max(FEWEST, limit // 5)
            continue
        found, items = taken_apart(body)
        metadata = found.get("metadata")
        more = str(metadata.get("continue") or "") if isinstance(metadata, dict) else ""
        first = False
        yield items, version_of(found)


async def _page(api: AsyncApi, path: str, query: dict[str, str | int], in_the_middle: bool) -> bytes:
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
    return b"".join(chunks)


def taken_apart(body: bytes) -> tuple[dict[str, Any], Iterable[Any]]:
    """A list, and its items one by one. Raises Unavailable, also among the items.

    Parsed as a whole, a page is a hundred thousand objects that are all alive at once, and costs half as much again. As
    API servers write lists, items begin alike. That their texts were cut in the right places needs no trust: a frame with one
    list of items, and items that each are JSON, are put together again the same JSON in one way only.
    """
    head, _, rest = body.partition(ITEMS)
    rest = rest.rstrip()
    opening, mark, _ = rest.partition(METADATA)
    if rest == END:
        texts = []
    elif rest.endswith(END) and mark and len(opening) <= LONGEST_OPENING:
        texts = rest[: -len(END)].split(b"}," + opening + mark)
    else:
        return _as_a_whole(body)
    try:
        frame = orjson.loads(head + ITEMS + END)
    except ValueError:
        return _as_a_whole(body)
    if not isinstance(frame, dict) or frame.get("items") != [] or not version_of(frame):
        return _as_a_whole(body)
    return frame, _each(texts, opening + mark, body)


def _each(texts: list[bytes], opening: bytes, body: bytes) -> Iterator[Any]:
    last = len(texts) - 1
    for number, text in enumerate(texts):
        try:
            item = orjson.loads(b"%b%b%b" % (opening if number else b"", text, b"}" if number < last else b""))
        except ValueError:  # something within an item begins as items do: all of them again
            yield from _as_a_whole(body)[1]
            return
        yield item


def _as_a_whole(body: bytes) -> tuple[dict[str, Any], list[Any]]:
    try:
        found = orjson.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not version_of(found):
        raise Unavailable(S("The API server answered with something that is not an object of Kubernetes."))
    items = found.get("items")
    return found, items if isinstance(items, list) else []


async def whole(
    api: AsyncApi, resource: Resource, namespace: str, page: int
) -> AsyncIterator[tuple[Iterable[Any], str]]:
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
