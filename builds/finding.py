"""How a commit is looked for by the beginning of its id. Knows no page and no permission."""

from __future__ import annotations

import re

from django.db.models import Q


def is_commit(text: str) -> bool:
    """Whether it looks like the beginning of a commit's id."""
    return re.fullmatch(r"[0-9a-fA-F]{4,64}", text) is not None


def commit_is(text: str) -> Q:
    """Beginning with these digits: as a range, which every database answers from its index."""
    return Q(commit_sha__gte=text.lower(), commit_sha__lt=text.lower() + "g")
