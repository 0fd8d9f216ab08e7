#!/usr/bin/env python
"""Keep the Chinese catalogue: find the sentences, say what lacks a translation, compile. Needs Babel, no gettext tools.

    scripts/messages.py extract    put new sentences into locale/…/django.po, drop those nobody uses
    scripts/messages.py check      list what is missing, fuzzy or has lost a placeholder; ends with 1 when there is any
    scripts/messages.py compile    write django.mo where it is older than django.po

English needs no catalogue: the msgid is the English sentence. Where sentences are found is in `babel.cfg`.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # babel.cfg names this file as `scripts.messages`

from babel.messages.catalog import Catalog, Message  # noqa: E402
from babel.messages.extract import extract_from_dir  # noqa: E402
from babel.messages.frontend import parse_mapping_cfg  # noqa: E402
from babel.messages.mofile import write_mo  # noqa: E402
from babel.messages.pofile import read_po, write_po  # noqa: E402
from django.utils.translation.template import templatize  # noqa: E402

CATALOGUE = ROOT / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po"
KEYWORDS: dict[str, Any] = {
    **dict.fromkeys(("_", "S", "gettext", "gettext_lazy", "gettext_noop")),
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}
IDLE_HEADERS = tuple(
    f'"{name}:'
    for name in (
        "Project-Id-Version",
        "Report-Msgid-Bugs-To",
        "POT-Creation-Date",
        "PO-Revision-Date",
        "Last-Translator",
        "Language-Team",
        "Generated-By",
    )
)
STRING = r"u?(?:\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*')"
CALL = re.compile(rf"(?<![\w.])(_|n?p?gettext)\(\s*((?:{STRING}\s*,?\s*)+)")
PLACEHOLDER = re.compile(r"%\((\w+)\)[a-z]")


def extract_template(
    source: IO[bytes], keywords: Any, comment_tags: Any, options: Any
) -> Iterator[tuple[int, str, Any, list[str]]]:
    """A Babel extraction method for Django templates, on Django's own reading of them."""
    text = templatize(source.read().decode())
    for match in CALL.finditer(text):
        strings = [ast.literal_eval(part) for part in re.findall(STRING, match[2])]
        line = text.count("\n", 0, match.start()) + 1
        yield line, match[1], tuple(strings) if len(strings) > 1 else strings[0], []


@cache
def sources() -> Catalog:
    """Every sentence of the code and the templates; read once, it takes seconds."""
    with (ROOT / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)
    found = Catalog(project="fangduoduo_release", charset="utf-8", fuzzy=False)
    for path, _line, ids, _comments, context in extract_from_dir(ROOT, methods, options, KEYWORDS):
        # The line is left out: it would change the file at every edit.
        if ids and (ids if isinstance(ids, str) else ids[0]):
            found.add(ids, locations=[(Path(path).as_posix(), None)], context=context)  # type: ignore[list-item]
    return found


def catalogue() -> Catalog:
    if not CATALOGUE.exists():
        return Catalog(locale="zh_Hans", charset="utf-8", fuzzy=False)
    with CATALOGUE.open("rb") as file:
        return read_po(file, locale="zh_Hans")


def key(message: Message) -> tuple[str | None, Any]:
    return message.context, message.id if isinstance(message.id, str) else tuple(message.id)


def entries(which: Catalog) -> dict[tuple[str | None, Any], Message]:
    return {key(message): message for message in which if message.id}


def problems() -> list[str]:
    """One line per sentence that a Chinese reader would not get right."""
    translated = entries(catalogue())
    found = []
    for identity, message in entries(sources()).items():
        chinese = translated.get(identity)
        name = repr(message.id if isinstance(message.id, str) else message.id[0])
        place = message.locations[0][0] if message.locations else "?"
        if chinese is None or not _texts(chinese):
            found.append(f"missing: {name} ({place})")
            continue
        if chinese.fuzzy:
            found.append(f"fuzzy: {name}")
        wanted = set(PLACEHOLDER.findall(" ".join(_ids(message))))
        if any(set(PLACEHOLDER.findall(text)) - wanted for text in _texts(chinese)):
            found.append(f"unknown placeholder: {name}")
        if not all(wanted <= set(PLACEHOLDER.findall(text)) for text in _texts(chinese)):
            found.append(f"lost placeholder: {name}")
    return found


def _ids(message: Message) -> tuple[str, ...]:
    return (message.id,) if isinstance(message.id, str) else tuple(message.id)


def _texts(message: Message) -> list[str]:
    texts = [message.string] if isinstance(message.string, str) else list(message.string or ())
    return texts if all(texts) else []


def extract() -> int:
    """Merge the sources into the catalogue without guessing (no fuzzy matches)."""
    known, merged = entries(catalogue()), Catalog(locale="zh_Hans", charset="utf-8", fuzzy=False)
    merged.project, merged.header_comment = (
        "fangduoduo_release",
        "# Chinese for the portal; English is the msgid itself.",
    )
    for identity, message in entries(sources()).items():
        old = known.get(identity)
        merged.add(
            message.id,
            old.string if old else None,
            locations=message.locations,
            flags=message.flags - {"fuzzy"},
            context=message.context,
        )
    save(merged)
    return len(list(merged)) - 1


def save(merged: Catalog) -> None:
    """Write django.po without the header lines that change at every run or say nothing."""
    buffer = BytesIO()
    write_po(buffer, merged, width=120, sort_output=True, ignore_obsolete=True)
    lines = buffer.getvalue().decode().splitlines(keepends=True)
    CATALOGUE.parent.mkdir(parents=True, exist_ok=True)
    CATALOGUE.write_text("".join(line for line in lines if not line.startswith(IDLE_HEADERS)))


def compile_catalogue() -> Path:
    """django.mo beside django.po, written anew when it is older; moved into place: nobody reads half of it, and of several
    processes that begin at once each writes a file of its own."""
    target = CATALOGUE.with_suffix(".mo")
    if target.exists() and target.stat().st_mtime_ns > CATALOGUE.stat().st_mtime_ns:
        return target
    fresh = target.with_suffix(f".{os.getpid()}.new")
    with fresh.open("wb") as file:
        write_mo(file, catalogue())
    fresh.replace(target)
    return target


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=["extract", "check", "compile"])
    command = parser.parse_args().command
    if command == "extract":
        sys.stdout.write(f"{extract()} sentences\n")
    elif command == "compile":
        compile_catalogue()
    else:
        found = problems()
        sys.stdout.write("".join(f"{line}\n" for line in found))
        return 1 if found else 0
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
