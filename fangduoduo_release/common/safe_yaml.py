"""YAML that somebody gave us, read so that no text of any size or cunning costs more than its length.

A few hundred bytes of aliases can stand for gigabytes, and a few thousand brackets end the parser's process. So the events of the
text are counted first (they cost what the text costs), and only then is anything built. What comes out is JSON's kind of
data: objects with text keys, lists, text, numbers, booleans, null; a date stays the text it was. Django-free.
"""

from __future__ import annotations

import math
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
MAX_DOCUMENTS = 100
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.CSafeLoader):
    """The safe loader, without dates, and refusing a key that is given twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is None or key.tag == "tag:yaml.org,2002:merge":
                continue
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"“{name}” is given twice", key.start_mark)
            seen.add(name)
        found: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return found


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


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


def _count(text: str) -> None:
    """Refuse what would cost too much to build. Raises Invalid."""
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise _bad(S("The YAML is larger than %(limit)s KiB.", limit=MAX_BYTES // 1024))
    tally = _Tally()
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            tally.take(event)
    except (yaml.YAMLError, ValueError) as error:
        raise _bad(_where(error)) from error


class _Tally:
    """Counts nodes as they would stand once every alias is written out."""

    def __init__(self) -> None:
        self.open: list[tuple[str | None, int]] = []  # anchor, nodes before it began
        self.sizes: dict[str, int] = {}
        self.nodes = self.aliases = self.merges = self.documents = 0

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            self.sizes.clear()
        elif isinstance(event, yaml.AliasEvent):
            self.aliases += 1
            # One that is still open refers to itself; it stands for more than anything.
            self.nodes += self.sizes.get(event.anchor or "", MAX_NODES + 1)
        elif isinstance(event, yaml.CollectionStartEvent):
            self.open.append((event.anchor, self.nodes))
            self.nodes += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = self.open.pop()
            if anchor is not None:
                self.sizes[anchor] = self.nodes - before
        elif isinstance(event, yaml.ScalarEvent):
            self.nodes += 1
            self.merges += event.value == "<<" and event.implicit[0]
            if event.anchor is not None:
                self.sizes[event.anchor] = 1
        self._judge()

    def _judge(self) -> None:
        if len(self.open) > MAX_DEPTH:
            raise _bad(S("The YAML is nested deeper than %(limit)s levels.", limit=MAX_DEPTH))
        if self.aliases > MAX_ALIASES or self.merges > MAX_MERGES or self.nodes > MAX_NODES:
            raise _bad(S("The YAML repeats itself by aliases more often than is allowed."))
        if self.documents > MAX_DOCUMENTS:
            raise _bad(S("The YAML holds more than %(limit)s documents.", limit=MAX_DOCUMENTS))


def _require_json(value: Any) -> None:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            wrong = next((key for key in one if not isinstance(key, str)), None)
            if wrong is not None:
                raise _bad(S("The key “%(key)s” in the YAML is not text; write it in quotes.", key=str(wrong)[:100]))
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, float) and not math.isfinite(one):
            raise _bad(S("The YAML holds a number that is none."))
        elif not (one is None or isinstance(one, str | int | float | bool)):
            raise _bad(S("The YAML holds a value that JSON does not know (%(kind)s).", kind=type(one).__name__))


def _where(error: Exception) -> Sentence:
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or "it cannot be read")[:200]
    if mark is None:
        return S("This is not valid YAML: %(problem)s.", problem=problem)
    return S("This is not valid YAML, line %(line)s: %(problem)s.", line=mark.line + 1, problem=problem)


def _bad(sentence: Sentence) -> Invalid:
    return Invalid(sentence, code="bad_yaml")
