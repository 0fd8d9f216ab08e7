"""YAML that somebody gave us, read so that no text of any size or cunning costs more than its length.

A few hundred bytes of aliases can stand for gigabytes, and a few thousand brackets end the parser's process. So the events of the
text are counted first (they cost what the text costs), and only then is anything built. What comes out is JSON's kind of
data: objects with text keys, lists, text, numbers, booleans, null; a date stays the text it was. Django-free.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from typing import Any

import yaml

from .errors import Invalid
from .sentence import S, Sentence

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 50
MAX_ALIASES = 100
MAX_MERGES = 50
MAX_NODES = 200_000  # aliases counted as what they stand for
MAX_CHARACTERS = 4 * MAX_BYTES  # likewise
MAX_DOCUMENTS = 100
LARGEST_NUMBER = 2**64
NO_NUMBER = S("The YAML holds a number that is none, or too large.")
_TAG = "tag:yaml.org,2002:"
TAGS = frozenset({None, "!", f"{_TAG}str", f"{_TAG}map", f"{_TAG}seq"})  # the others make what JSON does not know
# As YAML 1.1 has them, without “12:30” as a number to the base of sixty: a mapping of ports is no number.
_INT = re.compile(r"[-+]?(0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)\Z")
_FLOAT = re.compile(
    r"([-+]?[0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)?|\.[0-9][0-9_]*([eE][-+][0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z"
)


class _Loader(yaml.CSafeLoader):
    """The safe loader, without dates, and refusing a key that is given twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is None or key.tag == f"{_TAG}merge":
                continue
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"“{name}” is given twice", key.start_mark)
            seen.add(name)
        found: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return found


def _resolvers(own: dict[Any, list[tuple[str, Any]]]) -> dict[Any, list[tuple[str, Any]]]:
    changed = {f"{_TAG}int": _INT, f"{_TAG}float": _FLOAT}
    return {
        first: [(tag, changed.get(tag, pattern)) for tag, pattern in pairs if tag != f"{_TAG}timestamp"]
        for first, pairs in own.items()
    }


_Loader.yaml_implicit_resolvers = _resolvers(_Loader.yaml_implicit_resolvers)


def load_all(text: str) -> list[Any]:
    """Every document that is not empty. Raises Invalid with what is wrong and where."""
    _count(text)
    try:
        documents = [one for one in yaml.load_all(text, Loader=_Loader) if one is not None]
    except (yaml.YAMLError, ValueError) as error:
        raise _bad(_where(error)) from error
    for one in documents:
        _require_json(one)
    return documents


def load_one(text: str) -> Any:
    """The one document. Raises Invalid, also when there is none or there are several."""
    documents = load_all(text)
    if len(documents) != 1:
        raise _bad(S("The text holds %(count)s YAML documents where one is expected.", count=len(documents)))
    return documents[0]


def dump(value: Any) -> str:
    """Canonical text of JSON's kind of data: sorted, block style, no aliases."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=10_000)
    return text


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: Any, text: str) -> Any:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
# Texts that other readers of YAML take for something else are written in quotes.
_Dumper.add_implicit_resolver(f"{_TAG}bool", re.compile(r"[yYnN]\Z"), list("yYnN"))
_Dumper.add_implicit_resolver(f"{_TAG}int", re.compile(r"[-+]?0o[0-7]+\Z"), list("-+0"))
_Dumper.add_implicit_resolver(f"{_TAG}float", re.compile(r"[-+]?[0-9][0-9_.]*[eE][-+]?[0-9]+\Z"), list("-+0123456789"))


def _count(text: str) -> None:
    """Refuse what would cost too much to build. Raises Invalid."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise _bad(S("The YAML holds characters that are none.")) from error
    if size > MAX_BYTES:
        raise _bad(S("The YAML is larger than %(limit)s KiB.", limit=MAX_BYTES // 1024))
    tally = _Tally()
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            tally.take(event)
    except (yaml.YAMLError, ValueError) as error:
        raise _bad(_where(error)) from error


class _Tally:
    """Counts values and characters as they would stand once every alias is written out."""

    def __init__(self) -> None:
        self.open: list[tuple[str | None, int, int]] = []  # anchor, and what was counted before it began
        self.sizes: dict[str, tuple[int, int]] = {}
        self.nodes = self.characters = self.aliases = self.merges = self.documents = 0

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self.nodes += 1
            self.characters += len(event.value)
            if event.value == "<<" and event.implicit[0]:
                self.merges += 1
            if event.anchor is not None:
                self.sizes[event.anchor] = (1, len(event.value))
        elif isinstance(event, yaml.CollectionStartEvent):
            self.sizes.pop(event.anchor or "", None)
            self.open.append((event.anchor, self.nodes, self.characters))
            self.nodes += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, nodes, characters = self.open.pop()
            if anchor is not None:
                self.sizes[anchor] = (self.nodes - nodes, self.characters - characters)
            return
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            self.sizes.clear()
        if getattr(event, "tag", None) not in TAGS:
            raise _bad(_at(event.start_mark, f"the tag “{event.tag[:100]}” is not taken"))
        self._judge()

    def _alias(self, event: Any) -> None:
        self.aliases += 1
        size = self.sizes.get(event.anchor)
        if size is None:
            inside = any(anchor == event.anchor for anchor, _, _ in self.open)
            what = "stands within itself" if inside else "is not said before"
            raise _bad(_at(event.start_mark, f"what *{event.anchor[:100]} stands for {what}"))
        self.nodes += size[0]
        self.characters += size[1]

    def _judge(self) -> None:
        if len(self.open) > MAX_DEPTH:
            raise _bad(S("The YAML is nested deeper than %(limit)s levels.", limit=MAX_DEPTH))
        if self.aliases > MAX_ALIASES or self.merges > MAX_MERGES:
            raise _bad(S("The YAML repeats itself by aliases more often than is allowed."))
        if self.nodes > MAX_NODES or self.characters > MAX_CHARACTERS:
            if self.aliases:
                raise _bad(S("The YAML repeats itself by aliases more often than is allowed."))
            raise _bad(S("The YAML holds more than %(limit)s values.", limit=MAX_NODES))
        if self.documents > MAX_DOCUMENTS:
            raise _bad(S("The YAML holds more than %(limit)s documents.", limit=MAX_DOCUMENTS))


def _require_json(value: Any) -> None:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            wrong = [key for key in one if not isinstance(key, str)]
            if wrong:
                raise _bad(S("The key “%(key)s” in the YAML is not text; write it in quotes.", key=str(wrong[0])[:100]))
            waiting += one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
        elif (isinstance(one, float) and not math.isfinite(one)) or (
            isinstance(one, int) and abs(one) >= LARGEST_NUMBER
        ):
            raise _bad(NO_NUMBER)
        elif isinstance(one, str) and "\0" in one:
            raise _bad(S("The YAML holds a NUL, which no text has."))
        elif not (one is None or isinstance(one, str | int | float | bool)):
            raise _bad(S("The YAML holds a value that JSON does not know (%(kind)s).", kind=type(one).__name__))


def _where(error: Exception) -> Sentence:
    if not isinstance(error, yaml.YAMLError):  # what int() and float() say
        return NO_NUMBER
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read")[:200]
    return _at(getattr(error, "problem_mark", None), problem)


def _at(mark: Any, problem: str) -> Sentence:
    if mark is None:
        return S("This is not valid YAML: %(problem)s.", problem=problem)
    return S("This is not valid YAML, line %(line)s: %(problem)s.", line=mark.line + 1, problem=problem)


def _bad(sentence: Sentence) -> Invalid:
    return Invalid(sentence, code="bad_yaml")
