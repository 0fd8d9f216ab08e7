"""Where config sources keep what they know: rows. Drivers are handed these and know no models.

`Rows` holds the revisions of the embedded source; `Sightings` what the portal saw of a key elsewhere, since Consul keeps
no history; texts that were pinned or seen are kept once, by their content.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import F, OuterRef, Subquery
from django.utils import timezone

from clusters.drivers.config.base import Document, Revision, sha256_of
from clusters.drivers.config.database import Entry
from clusters.models import ConfigRevision, ConfigSeen, ConfigSighting, ConfigText
from fangduoduo_release.common.models import Connection

KEPT = 100  # sightings of a key
LONGEST_NOTE = 300


class Rows:
    """Revisions of the embedded source."""

    def entry(self, key: str, number: int | None = None) -> Entry | None:
        rows = ConfigRevision.objects.filter(key=key).order_by("-number")
        row = (rows if number is None else rows.filter(number=number)).first()
        return None if row is None else _entry(row, row.text)

    def keys(self, prefix: str) -> Sequence[str]:
        newest = ConfigRevision.objects.filter(key=OuterRef("key")).order_by("-number").values("number")[:1]
        rows = ConfigRevision.objects.filter(key__startswith=prefix, number=Subquery(newest), deleted=False)
        # SQLite's LIKE knows no case; a key does.
        return sorted(key for key in rows.values_list("key", flat=True) if key.startswith(prefix))

    def history(self, key: str) -> Sequence[Entry]:
        rows = ConfigRevision.objects.filter(key=key).order_by("-number").defer("text")
        return [_entry(row, "") for row in rows]

    def add(self, key: str, entry: Entry) -> bool:
        try:
            with transaction.atomic():
                ConfigRevision.objects.create(
                    key=key,
                    number=entry.number,
                    text=entry.text,
                    sha256=entry.sha256,
                    author=entry.author[:150],
                    note=entry.note[:LONGEST_NOTE],
                    deleted=entry.deleted,
                )
        except IntegrityError:
            return False
        return True


class Sightings:
    """What was seen of the keys behind one connection, and what the portal put there itself."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def saw(self, document: Document, *, author: str = "", note: str = "") -> None:
        keep_texts([document.text])
        self._row(document.key, document.revision, document.sha256, author, note)

    def missed(self, key: str, revision: str) -> None:
        """The key was gone."""
        self._row(key, revision, "", "", "")

    def history(self, key: str) -> Sequence[Revision]:
        rows = ConfigSighting.objects.filter(connection=self._connection, key=key).order_by("-id")[:KEPT]
        return [Revision(r.revision, r.sha256, r.author, r.at, r.note, deleted=not r.sha256) for r in rows]

    def recall(self, key: str, revision: str) -> Document | None:
        row = ConfigSighting.objects.filter(connection=self._connection, key=key, revision=revision).first()
        text = text_of(row.sha256) if row is not None and row.sha256 else None
        return None if row is None or text is None else Document(key, text, revision, row.sha256)

    def _row(self, key: str, revision: str, sha256: str, author: str, note: str) -> None:
        """The watch and whoever puts a text may see it at the same moment; who put it is worth more."""
        known = {"sha256": sha256, "at": timezone.now()}
        told = {"author": author[:150], "note": note[:LONGEST_NOTE]} if author else {}
        of_revision = ConfigSighting.objects.filter(connection=self._connection, key=key, revision=revision)
        if of_revision.update(**told) if told else of_revision.exists():
            return
        _row, made = ConfigSighting.objects.get_or_create(
            connection=self._connection, key=key, revision=revision, defaults={**known, **told}
        )
        if not made and told:
            of_revision.update(**told)
        old = ConfigSighting.objects.filter(connection=self._connection, key=key).order_by("-id")
        ConfigSighting.objects.filter(pk__in=list(old.values_list("pk", flat=True)[KEPT : KEPT + 50])).delete()


def see(
    connection: Connection, key: str, document: Document | None, index: int = 0, *, before: datetime | None = None
) -> bool:
    """Write down what a key says at this moment; True when it is not what it said. None: it is not there, as of `index`.

    `before`: only when nobody has looked since that moment, because what they saw is newer.
    """
    now = timezone.now()
    sha256, text = (document.sha256, document.text) if document else ("", "")
    rows = ConfigSeen.objects.filter(connection=connection, key=key)
    if before is not None and rows.filter(seen_at__gt=before).exists():
        return False
    known = {"revision": document.revision if document else "", "seen_at": now, "trouble": None}
    if rows.filter(sha256=sha256).exclude(seen_at=None).update(**known):
        return False
    _row, first = ConfigSeen.objects.update_or_create(
        connection=connection, key=key, defaults={**known, "sha256": sha256, "text": text, "changed_at": now}
    )
    sightings = Sightings(connection)
    if document is not None:
        sightings.saw(document)
    elif not first:
        sightings.missed(key, str(index))
    return True


def keep_texts(texts: Iterable[str]) -> None:
    """Keep them by their content; those that are there already cost nothing."""
    rows = {sha256_of(text): text for text in texts}
    there = set(ConfigText.objects.filter(sha256__in=rows).values_list("sha256", flat=True))
    ConfigText.objects.bulk_create(
        [ConfigText(sha256=sha, text=text) for sha, text in rows.items() if sha not in there], ignore_conflicts=True
    )


def text_of(sha256: str) -> str | None:
    """The text of that content, or None when it is not kept."""
    return ConfigText.objects.filter(sha256=sha256).values_list("text", flat=True).first()


def newest(keys: Iterable[str]) -> dict[str, ConfigRevision]:
    """The newest revisions of these keys of the embedded source, also those that take the key away."""
    latest = ConfigRevision.objects.filter(key=OuterRef("key")).order_by("-number").values("number")[:1]
    rows = ConfigRevision.objects.filter(key__in=list(keys)).annotate(newest=Subquery(latest))
    return {row.key: row for row in rows.filter(number=F("newest"))}


def _entry(row: ConfigRevision, text: str) -> Entry:
    return Entry(row.number, text, row.sha256, row.author, row.note, row.deleted, row.created_at)
