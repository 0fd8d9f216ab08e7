"""Which texts of which config source a project is deployed with: the part `config` of its spec.

`key` names the base manifest (for runtimes that take one), `files` the texts that lie beside the process. Keys may hold
`${PROJECT}`, `${MACHINE}`, `${ENVIRONMENT}` and `${NAMESPACE}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clusters.drivers.runtime.spec import safe_path
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S, Sentence

from .base import check_key
from .templating import IN_KEYS, fill_key

EMBEDDED = "database"
PORTAL = "portal"  # the source of a pin that names a spec revision only
RESERVED = frozenset({EMBEDDED, PORTAL})
SOURCE = re.compile(r"[A-Za-z0-9_-]{1,60}\Z")
MAX_FILES = 20
_SAMPLE = dict.fromkeys(IN_KEYS, "x")


@dataclass(frozen=True, slots=True)
class FileBinding:
    """A text that is written to `path`, relative to the working directory."""

    path: str
    key: str


@dataclass(frozen=True, slots=True)
class ConfigBinding:
    """`source`: "database", or the name of a connection. `key` "": no base manifest."""

    source: str
    key: str = ""
    files: tuple[FileBinding, ...] = ()

    def as_json(self) -> dict[str, Any]:
        files = [{"path": one.path, "key": one.key} for one in self.files]
        return {"source": self.source, **({"key": self.key} if self.key else {}), **({"files": files} if files else {})}

    def keys(self, values: Mapping[str, str]) -> list[str]:
        """Every key it names, filled in; the base's first. Raises Invalid for what is no key then."""
        named = [self.key] if self.key else []
        return [check_key(fill_key(key, values)) for key in [*named, *(one.key for one in self.files)]]

    @classmethod
    def from_json(cls, data: object) -> ConfigBinding | None:
        """Read the API's form; None for null and {}. Raises Invalid with every sentence, all of the field `config`."""
        if data is None or data == {}:
            return None
        wrong: list[Sentence] = []
        if not isinstance(data, Mapping):
            raise _bad([S("“%(field)s” must be an object.", field="config")])
        for name in sorted(set(map(str, data)) - {"source", "key", "files"}):
            wrong.append(S("There is no field “%(name)s” in a project's configuration.", name=name[:100]))
        source = data.get("source")
        if not isinstance(source, str) or not SOURCE.match(source):
            wrong.append(S("Name the source: “database”, or a connection of kind “consul”."))
        key = data.get("key") or ""
        if key:
            _judge_key(key, wrong)
        files = _files(data.get("files") or [], wrong)
        if not wrong and not key and not files:
            wrong.append(S("Name the key of a base manifest, or files."))
        if wrong:
            raise _bad(wrong)
        return cls(str(source), str(key), files)


def _files(given: object, wrong: list[Sentence]) -> tuple[FileBinding, ...]:
    if not isinstance(given, Sequence) or isinstance(given, str | bytes) or len(given) > MAX_FILES:
        wrong.append(S("“files” must be a list of at most %(limit)s files.", limit=MAX_FILES))
        return ()
    found: list[FileBinding] = []
    for one in given:
        if not isinstance(one, Mapping) or set(one) != {"path", "key"}:
            wrong.append(S("Each file has a “path” and a “key”, and nothing else."))
            continue
        path, key = one["path"], one["key"]
        if not isinstance(path, str) or not safe_path(path):
            wrong.append(S("“%(path)s” does not stay inside the working directory.", path=str(path)[:200]))
        elif any(other.path == path for other in found):
            wrong.append(S("The file “%(path)s” is named twice.", path=path))
        elif _judge_key(key, wrong):
            found.append(FileBinding(path, key))
    return tuple(found)


def _judge_key(key: object, wrong: list[Sentence]) -> bool:
    try:
        check_key(fill_key(key, _SAMPLE) if isinstance(key, str) else "")
    except Invalid:
        wrong.append(S("“%(key)s” is no key: plain names with “/” between them are.", key=str(key)[:200]))
        return False
    return True


def _bad(sentences: list[Sentence]) -> Invalid:
    return Invalid(sentences[0], code="bad_config", fields={"config": sentences})
