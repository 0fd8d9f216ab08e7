"""Lists, whole or in pieces."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

import orjson

from . import status
from .kinds import Kind
from .selectors import Test
from .store import Key, Store, Stored

if TYPE_CHECKING:
    from collections.abc import Mapping

EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted "
    "between the time the first chunk was returned and now may show up in the list."
)


class Lister:
    """Pieces of one list show the state of its first: what was listed then is kept until it is compacted."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._kept: dict[tuple[Kind, int], list[tuple[Key, Stored]]] = {}
        self.oldest = 0

    def compact(self) -> None:
        self.oldest = self.store.revision
        self._kept.clear()

    def read(self, kind: Kind, namespace: str, test: Test | None, query: Mapping[str, str]) -> bytes:
        limit = int(query.get("limit") or 0)
        revision, after = self.store.revision, None
        if query.get("continue"):
            revision, after = self._continued(query["continue"])
        items = self._items(kind, revision)
        chosen: list[Stored] = []
        left = 0
        last: Key | None = None
        for key, stored in items:
            if (namespace and key[0] != namespace) or (after is not None and key <= after):
                continue
            if test is not None and not test(stored.obj):
                continue
            if limit and len(chosen) >= limit:
                left += 1
                if test is not None:
                    break
                continue
            chosen.append(stored)
            last = key
        metadata: dict[str, object] = {"resourceVersion": str(revision)}
        if left and last is not None:
            self._kept[kind, revision] = items
            while len(self._kept) > 20:
                self._kept.pop(next(iter(self._kept)))
            metadata["continue"] = _token(revision, last, namespace)
            if test is None:
                metadata["remainingItemCount"] = left
        return self._body(kind, metadata, chosen)

    def _items(self, kind: Kind, revision: int) -> list[tuple[Key, Stored]]:
        if revision == self.store.revision:
            table = self.store.tables[kind]
            return [(key, table[key]) for key in self.store.keys(kind)]
        kept = self._kept.get((kind, revision))
        if kept is None:
            raise status.Refused(410, "Expired", EXPIRED)
        return kept

    def _continued(self, token: str) -> tuple[int, Key]:
        try:
            given = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
            start = given["start"].removeprefix("/").removesuffix("\0")
            namespace, _, name = given.get("at", start).partition("/")
            return int(given["rv"]), (namespace, name)
        except (binascii.Error, ValueError, KeyError, TypeError):
            raise status.bad_request(
                "invalid continue token: continue key is not valid: invalid character '\\u0081' looking for beginning of value"
            ) from None

    def _body(self, kind: Kind, metadata: dict[str, object], chosen: list[Stored]) -> bytes:
        head = b'"metadata":%b' % orjson.dumps(metadata)
        of = b'"kind":"%bList","apiVersion":"%b"' % (kind.name.encode(), kind.api_version.encode())
        if not kind.model:
            return b'{"apiVersion":"%b","items":[%b],"kind":"%bList",%b}\n' % (
                kind.api_version.encode(), b",".join(each.raw for each in chosen), kind.name.encode(), head
            )  # fmt: skip
        skipped = len(kind.prefix)
        items = b",".join([b"{" + each.raw[skipped:] for each in chosen])
        return b'{%b,%b,"items":[%b]}\n' % (of, head, items)


def _token(revision: int, last: Key, namespace: str) -> str:
    start = f"/{last[1]}\0" if namespace else f"/{last[0]}/{last[1]}\0"
    given = {"v": "meta.k8s.io/v1", "rv": revision, "start": start, "at": "/".join(last)}
    return base64.urlsafe_b64encode(orjson.dumps(given)).decode().rstrip("=")
