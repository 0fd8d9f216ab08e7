"""What a slug, a ref, a path and a sha may look like before git ever sees them.

Git's own rules are stricter than a shell's and looser than ours; we refuse whatever could be an option, an expression
(`main~3`, `@{u}`), a pathspec or a way out of the repository. It must not know repositories.
"""

from __future__ import annotations

import re

from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S

SLUG = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,98}[a-z0-9])?", re.ASCII)
_FORBIDDEN_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|\.$|^[-./]|/$")
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SHORT_SHA = re.compile(r"[0-9a-f]{7,64}")
_MAX_REF = 255
_MAX_PATH = 4096


def is_slug(text: str) -> bool:
    """Whether `text` may name a repository's folder: no dot first, no "..", not already a ".git" or a lock."""
    return bool(SLUG.fullmatch(text)) and ".." not in text and not text.endswith((".git", ".lock"))


def check_slug(text: str) -> str:
    if not is_slug(text):
        raise Invalid(
            S(
                "“%(name)s” cannot name a repository: use 1 to 100 lower-case letters, digits, “-”, “_” and “.”.",
                name=text[:100],
            ),
            code="bad_slug",
        )
    return text


def check_ref(text: str) -> str:
    """A branch, a tag, a full ref name or a sha, as git's check-ref-format has it. Raises Invalid."""
    if not text or len(text.encode("utf-8", "replace")) > _MAX_REF or text == "@" or _FORBIDDEN_IN_REF.search(text):
        raise Invalid(S("“%(ref)s” is not a valid branch, tag or commit.", ref=text[:100]), code="bad_ref")
    _refuse_surrogates(text, "bad_ref")
    return text


def check_path(text: str) -> str:
    """A file's path inside a repository: relative, "/" between names, no "." or "..". Raises Invalid."""
    parts = text.split("/")
    if len(text) > _MAX_PATH or any(part in ("", ".", "..") for part in parts) or re.search(r"[\x00-\x1f]", text):
        raise Invalid(S("“%(path)s” is not a valid path inside a repository.", path=text[:100]), code="bad_path")
    _refuse_surrogates(text, "bad_path")
    return text


def is_sha(text: str) -> bool:
    """A whole object name (SHA-1 or SHA-256)."""
    return bool(_SHA.fullmatch(text))


def is_short_sha(text: str) -> bool:
    return bool(_SHORT_SHA.fullmatch(text))


def check_sha(text: str) -> str:
    if not is_sha(text):
        raise Invalid(S("“%(sha)s” is not a commit's full name.", sha=text[:100]), code="bad_sha")
    return text


def _refuse_surrogates(text: str, code: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Invalid(S("A name may not hold broken Unicode characters."), code=code) from error
