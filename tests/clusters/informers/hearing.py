"""Who hears the news of clusters in tests."""

from __future__ import annotations

HEARD: list[set[str]] = []


def hear(keys: set[str]) -> None:
    HEARD.append(set(keys))
