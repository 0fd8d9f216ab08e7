"""Regular expressions of scripts: Java's syntax on Python's engine, bounded.

Python's engine cannot be stopped while it matches, so patterns that are known to explode (an unbounded repetition
within another) and very long texts are refused.
"""

from __future__ import annotations

import re
from functools import lru_cache

from fangduoduo_release.common.sentence import S

from .errors import NotRunnable, wrong_value

MAX_PATTERN = 1000
MAX_SUBJECT = 256 * 1024
_QUANTIFIER = re.compile(r"[*+]|\{\d+,\}")
_CLASSES = {
    r"\p{Alpha}": "[a-zA-Z]", r"\p{Digit}": "[0-9]", r"\p{Alnum}": "[a-zA-Z0-9]", r"\p{Upper}": "[A-Z]",
    r"\p{Lower}": "[a-z]", r"\p{Space}": r"\s", r"\p{Punct}": r"[!-/:-@\[-`{-~]", r"\h": r"[ \t]", r"\z": r"\Z",
}  # fmt: skip


@lru_cache(maxsize=256)
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern, ready; GroovyError when it is malformed, NotRunnable when it is not safe here."""
    if len(pattern) > MAX_PATTERN:
        raise NotRunnable(S("A regular expression is longer than %(limit)s characters.", limit=MAX_PATTERN))
    if _explodes(pattern):
        raise NotRunnable(
            S(
                "The regular expression “%(pattern)s” repeats a repetition and could run for ever; rewrite it.",
                pattern=pattern,
            )
        )
    translated = pattern
    for java, python in _CLASSES.items():
        translated = translated.replace(java, python)
    translated = re.sub(r"\(\?<(?=[A-Za-z])", "(?P<", translated)
    try:
        return re.compile(translated)
    except re.error as problem:
        raise wrong_value(
            S("The regular expression “%(pattern)s” cannot be read: %(why)s", pattern=pattern, why=str(problem)),
            "java.util.regex.PatternSyntaxException",
        ) from None


def subject(text: str) -> str:
    """`text`, unless it is too long to be matched here."""
    if len(text) > MAX_SUBJECT:
        raise NotRunnable(
            S("A text of more than %(limit)s KiB is too long for a regular expression here.", limit=MAX_SUBJECT // 1024)
        )
    return text


def _explodes(pattern: str) -> bool:
    """Whether an unbounded repetition stands within a group that is itself repeated without bound."""
    repeats: list[bool] = [False]
    at, in_class = 0, False
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            at += 2
            continue
        if in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
        elif char == "(":
            repeats.append(False)
        elif char == ")" and len(repeats) > 1:
            inner = repeats.pop()
            quantified = _QUANTIFIER.match(pattern, at + 1) is not None
            if inner and quantified:
                return True
            repeats[-1] = repeats[-1] or inner or quantified
        elif _QUANTIFIER.match(pattern, at):
            repeats[-1] = True
        at += 1
    return False


class Matcher:
    """`text =~ pattern`: true when it is found somewhere; `m[0]` is the first match, or it with its groups."""

    def __init__(self, pattern: str, text: str) -> None:
        self.pattern = compiled(pattern)
        self.text = subject(text)
        self.found = list(self.pattern.finditer(self.text))[:10_000]
        self.current: re.Match[str] | None = None
        self._next = 0

    def __bool__(self) -> bool:
        return bool(self.found)

    def __len__(self) -> int:
        return len(self.found)

    def item(self, index: int) -> object:
        """The match at `index` as a text, or as a list with its groups when there are groups."""
        try:
            match = self.found[index]
        except IndexError:
            raise wrong_value(
                S("index is out of range: there are %(count)s matches", count=len(self.found)),
                "java.lang.IndexOutOfBoundsException",
            ) from None
        return [match.group(0), *match.groups()] if self.pattern.groups else match.group(0)

    def items(self) -> list[object]:
        return [self.item(index) for index in range(len(self.found))]

    def find(self) -> bool:
        """Steps to the next match."""
        if self._next >= len(self.found):
            return False
        self.current = self.found[self._next]
        self._next += 1
        return True

    def matches(self) -> bool:
        """Whether the whole text matches."""
        self.current = self.pattern.fullmatch(self.text)
        return self.current is not None

    def group(self, which: int | str = 0) -> str | None:
        """A group of the current match."""
        if self.current is None:
            raise wrong_value(S("No match found"), "java.lang.IllegalStateException")
        try:
            return self.current.group(which)
        except IndexError:
            raise wrong_value(
                S("No group %(which)s", which=str(which)), "java.lang.IndexOutOfBoundsException"
            ) from None


def replacement(text: str) -> str:
    """Java's `$1` and escapes as Python's replacement text."""
    out: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\\" and at + 1 < len(text):
            out.append(text[at + 1].replace("\\", "\\\\"))
            at += 2
            continue
        if char == "$" and text[at + 1 : at + 2].isdigit():
            out.append(f"\\g<{text[at + 1]}>")
            at += 2
            continue
        out.append(char.replace("\\", "\\\\"))
        at += 1
    return "".join(out)
