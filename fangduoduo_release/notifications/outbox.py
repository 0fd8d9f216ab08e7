"""Write down that somebody is to be told something; the worker sends it. Actions call `tell` inside their transaction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fangduoduo_release.common.sentence import Sentence


def tell(
    event: str,
    sentence: Sentence,
    *,
    people: Iterable[Any] = (),
    project: str = "",
    link: str = "",
    once: str = "",
) -> None:
    """`event` names what happened (`events.py`); `people` are users, `project` a slug whose channels hear of it too;
    `link` is a path of the portal; the same non-empty `once` is never told twice."""
