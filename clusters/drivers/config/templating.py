"""`${NAME}` in keys and texts of configuration: a fixed set of names, replaced as text before anything reads the YAML.

No code, no conditions, no nesting: what is put in is never looked at again. Values hold no character that means something
to YAML, so no value can end one field and begin another. A name that is none of ours stays as it is written: many files
have a `${…}` of their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S

IN_KEYS = frozenset({"PROJECT", "MACHINE", "ENVIRONMENT", "NAMESPACE"})
IN_TEXTS = IN_KEYS | {"VERSION", "IMAGE", "DIGEST", "COMMIT", "REPLICAS"}
VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@+-]*(:[A-Za-z0-9._/@+-]+)*\Z|\Z")  # a “:” only within a word
_PLACE = re.compile(r"\$\$\{|\$\{([A-Z]+)\}")


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with the values that are given; `$${` becomes `${`. Raises Invalid for a value that is no plain word."""
    return _filled(text, values, IN_TEXTS)


def fill_key(key: str, values: Mapping[str, str]) -> str:
    """The key with the values that are given. What is left of it has to be a key, which is for others to judge."""
    return _filled(key, values, IN_KEYS)


def names_in(text: str) -> set[str]:
    """Which of our names the text asks for."""
    return {found[1] for found in _PLACE.finditer(text) if found[1] in IN_TEXTS}


def _filled(text: str, values: Mapping[str, str], known: frozenset[str]) -> str:
    def put(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return "${"
        if name not in known or name not in values:
            return found[0]
        return _plain(name, values[name])

    return _PLACE.sub(put, text)


def _plain(name: str, value: str) -> str:
    if not VALUE.match(value) or len(value) > 500:
        sentence = S("The value of ${%(name)s} is no plain word, so it is not put into a configuration.", name=name)
        raise Invalid(sentence, code="bad_value")
    return value
