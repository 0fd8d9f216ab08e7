"""The shipped library in the database: once for every text, whoever brings it, and never over ops' own words."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connections

from builds import template_actions, templates
from builds.models import Template, TemplateRevision
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import NotFound
from tests import world

TEXT = "pipeline {\n    agent any\n    stages { stage('a') { steps { echo '%s' } } }\n}\n"


def library(folder: Path, **texts: str) -> Path:
    for slug, word in texts.items():
        (folder / slug).mkdir(parents=True, exist_ok=True)
        (folder / slug / "Jenkinsfile").write_text(TEXT % word)
        (folder / slug / "about.toml").write_text(f'name = "{slug.title()}"\ndescription = "d"\nlanguage = "x"\n')
    templates.shipped.cache_clear()
    return folder


def texts(slug: str) -> list[tuple[int, str, str]]:
    rows = TemplateRevision.objects.filter(template__slug=slug).order_by("number")
    return [(row.number, row.author, row.text) for row in rows]


@pytest.mark.django_db
def test_the_whole_library_comes_in_once() -> None:
    made = templates.sync_library()
    assert {r.template.slug for r in made} == {one.slug for one in templates.shipped()}
    assert all(t.builtin and not t.retired and t.name and t.description for t in Template.objects.all())
    assert AuditEntry.objects.filter(verb="template.save").count() == len(made)
    assert templates.sync_library() == []
    call_command("templates")
    assert TemplateRevision.objects.count() == len(made)


@pytest.mark.django_db
def test_only_a_changed_text_makes_a_revision(tmp_path: Path) -> None:
    templates.sync_library(library(tmp_path, one="a", two="a"))
    made = templates.sync_library(library(tmp_path, one="b", two="a"))
    assert [(r.template.slug, r.number, r.author) for r in made] == [("one", 2, "")]
    assert [text for _n, _a, text in texts("one")] == [TEXT % "a", TEXT % "b"]
    assert [number for number, _a, _t in texts("two")] == [1]
    back = templates.sync_library(library(tmp_path, one="a", two="a"))
    assert [r.number for r in back] == [3]


@pytest.mark.django_db
def test_new_words_change_the_words_and_make_no_revision(tmp_path: Path) -> None:
    templates.sync_library(library(tmp_path, one="a"))
    (tmp_path / "one" / "about.toml").write_text('name = "Better"\ndescription = "d"\nlanguage = "x"\n')
    templates.shipped.cache_clear()
    assert templates.sync_library(tmp_path) == []
    assert Template.objects.get(slug="one").name == "Better"


@pytest.mark.django_db
def test_what_ops_wrote_stays_the_newest_after_an_upgrade(tmp_path: Path) -> None:
    templates.sync_library(library(tmp_path, one="a"))
    template_actions.save_template(actor=world.ops(), slug="one", text=TEXT % "ours")
    assert templates.sync_library(library(tmp_path, one="a")) == []
    templates.sync_library(library(tmp_path, one="b"))
    assert [(n, author, text) for n, author, text in texts("one")] == [
        (1, "", TEXT % "a"), (2, "olga", TEXT % "ours"), (3, "", TEXT % "b"), (4, "olga", TEXT % "ours"),
    ]  # fmt: skip
    assert templates.sync_library(tmp_path) == []


@pytest.mark.django_db
def test_a_template_ops_had_before_is_theirs(tmp_path: Path) -> None:
    template_actions.save_template(actor=SYSTEM, slug="one", text=TEXT % "theirs", name="Theirs")
    assert templates.sync_library(library(tmp_path, one="a")) == []
    assert Template.objects.get(slug="one").name == "Theirs"
    assert len(texts("one")) == 1


@pytest.mark.django_db
def test_a_retired_template_stays_retired(tmp_path: Path) -> None:
    templates.sync_library(library(tmp_path, one="a"))
    template_actions.retire_template(actor=SYSTEM, template=Template.objects.get(slug="one"))
    templates.sync_library(library(tmp_path, one="b"))
    assert Template.objects.get(slug="one").retired


@pytest.mark.django_db(transaction=True)
def test_two_who_bring_it_at_once_make_it_once(tmp_path: Path) -> None:
    library(tmp_path, one="a", two="a", three="a")
    templates.shipped(tmp_path)
    together, failed = threading.Barrier(4), []

    def bring() -> None:
        try:
            together.wait(60)
            templates.sync_library(tmp_path)
        except Exception as error:  # noqa: BLE001 - told below
            failed.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=bring) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert [len(texts(slug)) for slug in ("one", "two", "three")] == [1, 1, 1]
    assert Template.objects.count() == 3


@pytest.mark.django_db
def test_a_template_or_revision_that_is_not_there_is_a_sentence() -> None:
    templates.sync_library()
    with pytest.raises(NotFound, match="no template called “nope”"):
        templates.template_called("nope")
    go = templates.template_called("go")
    assert templates.revision_of(go) == templates.revision_of(go, 1)
    with pytest.raises(NotFound, match="no revision 7"):
        templates.revision_of(go, 7)


@pytest.mark.django_db
def test_whoever_asks_first_brings_the_library_in() -> None:
    assert not Template.objects.exists()
    templates.have_library()
    count = TemplateRevision.objects.count()
    templates.have_library()
    assert TemplateRevision.objects.count() == count == len(templates.shipped())


def test_the_build_service_and_merging_know_nothing_of_pages() -> None:
    """They are components of their own: importing one loads no view and no API."""
    code = (
        "import os, sys, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'fangduoduo_release.settings'; django.setup(); "
        "import builds.build_service, builds.merging; "
        "print([m for m in sys.modules if m.startswith(('builds.views', 'builds.api'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=240)
    assert done.stdout.strip().splitlines()[-1] == "[]"
