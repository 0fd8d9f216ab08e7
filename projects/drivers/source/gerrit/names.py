"""Names on a Gerrit: which there can be, how they stand in an address (whole, `team%2Fapp`), and what their mirror is called."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import quote

from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S
from fangduoduo_release.common.storable import storable

from ..git_names import check_slug

LONGEST = 400
_REFUSED = re.compile(r'[\\?%*:<>|"~\x00-\x1f\x7f]')


def is_name(name: str) -> bool:
    """Whether Gerrit could have a project of this name, and it can be written in an address."""
    parts = name.split("/")
    return (
        0 < len(name) <= LONGEST
        and storable(name) == name
        and name.strip() == name
        and not _REFUSED.search(name)
        and not any(part in ("", ".", "..") or part.endswith(".git") for part in parts)
        and not name.startswith("-")
    )


def check_name(name: str) -> str:
    """Raises Invalid."""
    if not is_name(name):
        sentence = S("“%(name)s” cannot be the name of a project in Gerrit.", name=storable(name[:100]))
        raise Invalid(sentence, code="bad_name", fields={"repository": [sentence]})
    return name


def project_url(name: str) -> str:
    """Where a project is in REST. Raises Invalid."""
    return f"projects/{encoded(check_name(name))}"


def encoded(text: str) -> str:
    """One segment of a path, slashes included."""
    return quote(text, safe="")


def mirror_name(base: str, name: str) -> str:
    """The mirror's folder: readable, and another one for another server or another letter case. No project's slug can be
    the same, as those hold no dot."""
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60].strip("-") or "repository"
    mark = hashlib.sha256(f"{base}\n{name}".encode()).hexdigest()[:16]
    return check_slug(f"{readable}.{mark}")
