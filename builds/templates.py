"""The template library: what ships with the portal, brought into the database, and how a template is found there.

The files are `builds/library/<slug>/Jenkinsfile` and `about.toml`. A shipped text becomes a revision without an author
once; ops' own revision of a shipped template stays the newest when an upgrade brings another shipped text.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.db import IntegrityError, transaction

from builds.library_words import FROM_THE_PORTAL, STILL_OURS
from builds.models import Template, TemplateRevision
from fangduoduo_release.audit import trail
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import NotFound
from fangduoduo_release.common.sentence import S

LIBRARY = Path(__file__).parent / "library"


@dataclass(frozen=True, slots=True)
class Shipped:
    """One template as its files say it."""

    slug: str
    name: str
    description: str
    language: str
    text: str


@cache
def shipped(folder: Path = LIBRARY) -> tuple[Shipped, ...]:
    """Every template that came with this portal, by slug."""
    found = []
    for path in sorted(folder.glob("*/Jenkinsfile")):
        about = tomllib.loads((path.parent / "about.toml").read_text(encoding="utf-8"))
        text = path.read_text(encoding="utf-8")
        found.append(Shipped(path.parent.name, about["name"], about["description"], about["language"], text))
    return tuple(found)


def sync_library(folder: Path = LIBRARY) -> list[TemplateRevision]:
    """Bring shipped texts into the database; the revisions that this made. Safe to repeat, and for two at once."""
    made: list[TemplateRevision] = []
    for one in shipped(folder):
        try:
            with transaction.atomic():
                made += _sync(one)
        except IntegrityError:  # somebody else brings the same just now
            continue
    return made


def _sync(one: Shipped) -> list[TemplateRevision]:
    facts = {"name": one.name, "description": one.description, "language": one.language, "builtin": True}
    Template.objects.get_or_create(slug=one.slug, defaults=facts)
    template = Template.objects.select_for_update().get(slug=one.slug)
    if not template.builtin:
        return []  # ops had a template of that name before one was shipped: it is theirs
    changed = [name for name, value in facts.items() if getattr(template, name) != value]
    if changed:
        for name in changed:
            setattr(template, name, facts[name])
        template.save(update_fields=changed)
    latest, last_shipped = template.latest, template.revisions.filter(author="").order_by("-number").first()
    if last_shipped is not None and last_shipped.sha256 == sha256_of(one.text):
        return []
    made = [add_revision(template, one.text, author="", note=FROM_THE_PORTAL)]
    if latest is not None and latest.author:
        made.append(add_revision(template, latest.text, author=latest.author, note=STILL_OURS))
    trail.record(SYSTEM, "template.save", template, after={"revision": made[-1].number, "sha256": made[-1].sha256})
    return made


def add_revision(template: Template, text: str, *, author: str, note: str = "") -> TemplateRevision:
    """The next revision; the caller holds the template's row."""
    latest = template.latest
    return TemplateRevision.objects.create(
        template=template,
        number=(latest.number if latest else 0) + 1,
        text=text,
        sha256=sha256_of(text),
        note=note[:200],
        author=author,
    )


def sha256_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def have_library() -> None:
    """For a portal that nobody has prepared yet: the first who asks brings the library in."""
    if not Template.objects.exists():
        sync_library()


def template_called(slug: str) -> Template:
    """Raises NotFound."""
    found = Template.objects.filter(slug=slug).first()
    if found is None:
        raise NotFound(S("There is no template called “%(name)s”.", name=slug[:80]))
    return found


def revision_of(template: Template, number: int | None = None) -> TemplateRevision:
    """That revision, or the newest. Raises NotFound."""
    rows = template.revisions.order_by("-number")
    found = (rows.filter(number=number) if number is not None else rows).first()
    if found is None:
        raise NotFound(S("The template %(name)s has no revision %(number)s.", name=template.slug, number=number or 1))
    return found


def newer_than(revision: TemplateRevision) -> int:
    """How many revisions its template got since."""
    return TemplateRevision.objects.filter(template=revision.template_id, number__gt=revision.number).count()
