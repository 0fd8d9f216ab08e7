"""No sentence that a person may read lacks its Chinese; the tools for that are exact."""

from __future__ import annotations

import io
import multiprocessing
from pathlib import Path
from typing import IO

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from django.utils import translation

from scripts import messages


def test_every_sentence_has_its_chinese() -> None:
    assert messages.problems() == []


def test_nothing_in_the_catalogue_is_fuzzy_or_unused() -> None:
    known = messages.entries(messages.catalogue())
    assert not [key for key, message in known.items() if message.fuzzy]
    assert set(known) <= set(messages.entries(messages.sources()))


def test_sentences_are_found_in_templates_of_every_kind() -> None:
    text = b"""{% translate "Plain" %}{% translate 'Push' context "step" %}{{ _("In a filter") }}
    {% blocktranslate with a=b %}Hello {{ a }}{% endblocktranslate %}
    {% blocktranslate count n=k %}{{ n }} line{% plural %}{{ n }} lines{% endblocktranslate %}"""
    found = [(name, ids) for _line, name, ids, _comments in messages.extract_template(io.BytesIO(text), (), (), {})]
    assert found == [
        ("gettext", "Plain"),
        ("pgettext", ("step", "Push")),
        ("_", "In a filter"),
        ("gettext", "Hello %(a)s"),
        ("ngettext", ("%(n)s line", "%(n)s lines")),
    ]


def test_the_source_holds_marked_sentences_of_python_and_templates() -> None:
    found = messages.entries(messages.sources())
    for wanted in [(None, "Cancelled by %(who)s."), (None, "Waiting for approval"), ("step", "Deploy")]:
        assert wanted in found


@pytest.mark.parametrize(
    ("chinese", "complaint"), [("", "missing"), ("由某人", "lost placeholder"), ("由 %(whom)s", "unknown placeholder")]
)
def test_a_bad_translation_is_named(
    chinese: str, complaint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    catalogue = messages.catalogue()
    bad = Catalog(locale="zh_Hans", fuzzy=False)
    for message in catalogue:
        text = chinese if message.id == "Cancelled by %(who)s." else message.string
        if message.id:
            bad.add(message.id, text, context=message.context)
    monkeypatch.setattr(messages, "CATALOGUE", tmp_path / "django.po")
    messages.save(bad)
    assert [line for line in messages.problems() if "Cancelled by" in line and line.startswith(complaint)]


def test_a_fresh_catalogue_is_extracted_and_compiled_without_gettext(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(messages, "CATALOGUE", tmp_path / "zh" / "django.po")
    monkeypatch.setenv("PATH", "")
    assert messages.extract() == len(messages.entries(messages.sources()))
    text = messages.CATALOGUE.read_text()
    assert "POT-Creation-Date" not in text
    assert "fuzzy" not in text
    assert messages.extract() == len(messages.entries(messages.sources()))
    assert messages.CATALOGUE.read_text() == text
    compiled = messages.compile_catalogue()
    stamp = compiled.stat().st_mtime_ns
    assert messages.compile_catalogue().stat().st_mtime_ns == stamp


def test_several_who_compile_at_once_do_not_disturb_each_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As the first processes do on a fresh checkout: each is held where it has written and not yet moved its file."""
    monkeypatch.setattr(messages, "CATALOGUE", tmp_path / "django.po")
    messages.save(Catalog(locale="zh_Hans", fuzzy=False))
    forking = multiprocessing.get_context("fork")
    barrier = forking.Barrier(4)

    def write_and_wait(file: IO[bytes], catalogue: Catalog) -> None:
        write_mo(file, catalogue)
        barrier.wait(60)

    monkeypatch.setattr(messages, "write_mo", write_and_wait)
    others = [forking.Process(target=messages.compile_catalogue) for _ in range(4)]
    for one in others:
        one.start()
    for one in others:
        one.join(120)
    assert [one.exitcode for one in others] == [0] * 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["django.mo", "django.po"]


def test_plural_sentences_work_in_both_languages() -> None:
    for language, words in [("en", ("1 restart", "4 restarts")), ("zh-hans", ("重启 1 次", "重启 4 次"))]:
        with translation.override(language):
            for number, expected in zip((1, 4), words, strict=True):
                text = translation.ngettext("%(n)s restart", "%(n)s restarts", number) % {"n": number}
                assert text == expected
