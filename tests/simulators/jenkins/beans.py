"""What Jenkins exports as JSON: objects whose properties are more or less visible, cut to shape by `depth` or `tree`.

The rules are Stapler's: without `tree` a property shows while its visibility reaches its depth; with `tree` exactly the
named ones show, `*` stands for any, `{from,to}` cuts a list. `_class` always shows where the class is not evident.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

NESTED = 2
"""Visibility of what still shows in an object named by another one."""
DEEP = 3
"""The same, one level further down."""
TREE_ONLY = -1_000_000
"""Shown only when a tree names it."""
INLINE = 0
"""Always shown, and what is within as if it stood one level higher."""


class BadTree(Exception):
    """A `tree` that cannot be read (Jenkins answers 500)."""


class Bean:
    """One exported object. A property is `(visibility, value)`; a callable value is asked only when it shows.

    `lasting`: it is thrown away whenever something in it changes, so what was once rendered for a tree may be kept."""

    __slots__ = ("cls", "memo", "properties")

    def __init__(self, cls: str, properties: Mapping[str, tuple[int, Any]], *, lasting: bool = False) -> None:
        self.cls = cls
        self.properties = properties
        self.memo: dict[int, tuple[Tree, str]] | None = {} if lasting else None


@dataclass(frozen=True, slots=True)
class Depth:
    """Shows what is visible at this depth."""

    level: int

    def accept(self, name: str, visibility: int) -> Depth | None:
        if visibility == INLINE:
            return self
        return Depth(self.level + 1) if visibility >= self.level else None

    def cut(self, items: Any) -> Any:
        return items


@dataclass(eq=False, slots=True)
class Tree:
    """One node of a parsed `tree`."""

    children: dict[str, Tree] = field(default_factory=dict)
    span: slice | None = None

    def accept(self, name: str, visibility: int) -> Tree | None:
        return self.children.get(name) or self.children.get("*")

    def cut(self, items: Any) -> Any:
        return items if self.span is None else items[self.span]


def render(value: Any, shape: Depth | Tree) -> str:
    """`value` as JSON. Written as text at once, so that what has not changed is not written again."""
    if isinstance(value, Bean):
        return _render_bean(value, shape)
    if isinstance(value, list | tuple):
        return f"[{','.join([render(item, shape) for item in shape.cut(value)])}]"
    if isinstance(value, dict):
        return f"{{{','.join([f'{_text(name)}:{render(item, shape)}' for name, item in value.items()])}}}"
    return _text(value)


def _render_bean(bean: Bean, shape: Depth | Tree) -> str:
    kept = bean.memo if isinstance(shape, Tree) else None
    if kept is not None and id(shape) in kept:
        return kept[id(shape)][1]
    parts = [f'"_class":{_text(bean.cls)}'] if bean.cls else []
    for name, (visibility, value) in bean.properties.items():
        inner = shape.accept(name, visibility)
        if inner is not None:
            parts.append(f'"{name}":{render(value() if callable(value) else value, inner)}')
    shown = f"{{{','.join(parts)}}}"
    if kept is not None and isinstance(shape, Tree):
        kept[id(shape)] = (shape, shown)  # with the tree itself, so that its id stays its own
    return shown


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def shape_of(tree: str, depth: str) -> Depth | Tree:
    """What a request asks for. Raises BadTree (also for a depth that is no number)."""
    if tree:
        return parse_tree(tree)
    try:
        return Depth(1 - int(depth or 0))
    except ValueError:
        raise BadTree(depth) from None


@lru_cache(maxsize=200)
def parse_tree(text: str) -> Tree:
    """`a,b[c,d[e]]{0,10}` as nodes."""
    reader = _Reader(text)
    root = reader.names()
    if reader.at < len(text):
        raise BadTree(text)
    return root


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def names(self) -> Tree:
        node = Tree()
        while True:
            name = self._name()
            inner = Tree()
            if self._took("["):
                inner = self.names()
                self._need("]")
            if self._took("{"):
                inner.span = self._span()
            node.children[name] = inner
            if not self._took(","):
                return node

    def _name(self) -> str:
        start = self.at
        while self.at < len(self.text) and self.text[self.at] not in "[]{},":
            self.at += 1
        name = self.text[start : self.at].strip()
        if not name:
            raise BadTree(self.text)
        return name

    def _span(self) -> slice:
        end = self.text.find("}", self.at)
        if end < 0:
            raise BadTree(self.text)
        inside, self.at = self.text[self.at : end], end + 1
        first, comma, last = (part.strip() for part in inside.partition(","))
        try:
            if not comma:
                return slice(int(first), int(first) + 1)
            return slice(int(first or 0), int(last) if last else None)
        except ValueError:
            raise BadTree(self.text) from None

    def _took(self, sign: str) -> bool:
        if not self.text.startswith(sign, self.at):
            return False
        self.at += 1
        return True

    def _need(self, sign: str) -> None:
        if not self._took(sign):
            raise BadTree(self.text)
