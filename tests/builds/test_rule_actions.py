"""What makes a project build by itself is changed by one action, which refuses what could never be meant."""

from __future__ import annotations

from typing import Any

import pytest

from builds.models import BuildRules
from builds.rule_actions import save_rules
from builds.rules import rules_of
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Denied, Invalid, NotFound
from fangduoduo_release.common.models import Connection
from permissions.audit_words import sentence
from projects.models import Project
from tests import world

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> Project:
    return world.bare_project(world.person("ann"), "shop")


def on_gerrit(project: Project) -> Project:
    """As if it lived on a Gerrit; nobody asks the server for its rules."""
    server = Connection.objects.create(name="review", kind="gerrit", config={"url": "https://review.example"})
    Project.objects.filter(pk=project.pk).update(source_kind="gerrit", source_connection=server, repository="team/app")
    project.refresh_from_db()
    return project


def test_only_what_is_named_changes(shop: Project) -> None:
    save_rules(actor=SYSTEM, project=shop, branches=["main", " release/* "], debounce_s=5)
    save_rules(actor=SYSTEM, project=shop, paths=["!docs/**"], cancel="branches", skip_marker=False)
    rules = rules_of(shop)
    assert (rules.branches, rules.debounce_s) == (["main", "release/*"], 5)
    assert (rules.paths, rules.cancel, rules.skip_marker) == (["!docs/**"], "branches", False)
    assert rules.tags == ["**"]


def test_it_is_told_in_the_audit_once(shop: Project) -> None:
    save_rules(actor=SYSTEM, project=shop, branches=["main"])
    save_rules(actor=SYSTEM, project=shop, branches=["main"])  # nothing changes
    entry = AuditEntry.objects.get(verb="project.rules")
    assert (entry.before, entry.after) == ({"branches": ["**"]}, {"branches": ["main"]})
    assert "changed what makes" in sentence(entry)


def test_only_maintainers_may(shop: Project) -> None:
    with pytest.raises(Denied):
        save_rules(actor=world.member(shop, "developer"), project=shop, branches=[])
    with pytest.raises(NotFound):
        save_rules(actor=world.person(), project=shop, branches=[])
    save_rules(actor=world.member(shop, "maintainer"), project=shop, branches=[])
    assert rules_of(shop).branches == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"branches": ["!"]}, "branches"),
        ({"branches": ["!!main"]}, "branches"),
        ({"tags": ["v" * 201]}, "tags"),
        ({"paths": ["a"] * 51}, "paths"),
        ({"paths": ["a\x07b"]}, "paths"),
        ({"paths": "src"}, "paths"),
        ({"paths": [7]}, "paths"),
        ({"debounce_s": -1}, "debounce_s"),
        ({"debounce_s": 601}, "debounce_s"),
        ({"debounce_s": True}, "debounce_s"),
        ({"cancel": "all"}, "cancel"),
        ({"skip_marker": "yes"}, "skip_marker"),
        ({"changes": True}, "changes"),
        ({"changes_since": "now"}, "changes_since"),
    ],
)
def test_what_could_never_be_meant_is_refused_at_its_field(shop: Project, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        save_rules(actor=SYSTEM, project=shop, **changes)
    assert list(refused.value.fields) == [field]
    assert str(refused.value.sentence)
    assert not BuildRules.objects.exists()


def test_everything_that_is_wrong_is_named_at_once(shop: Project) -> None:
    with pytest.raises(Invalid) as refused:
        save_rules(actor=SYSTEM, project=shop, branches=["!"], debounce_s=999)
    assert set(refused.value.fields) == {"branches", "debounce_s"}


def test_without_reviews_nothing_about_them_is_switched_on(shop: Project) -> None:
    save_rules(actor=SYSTEM, project=shop, vote=False)
    with pytest.raises(Invalid, match="no changes are reviewed"):
        save_rules(actor=SYSTEM, project=shop, vote=True)
    # What was answered can be sent back as it is.
    rules = rules_of(shop)
    save_rules(actor=SYSTEM, project=shop, changes=rules.changes, vote=rules.vote, comment=rules.comment)


def test_changes_are_built_from_when_it_was_switched_on(shop: Project) -> None:
    on_gerrit(shop)
    save_rules(actor=SYSTEM, project=shop, vote=False)
    assert rules_of(shop).changes_since is None
    first = save_rules(actor=SYSTEM, project=shop, changes=True).changes_since
    assert first is not None
    assert save_rules(actor=SYSTEM, project=shop, comment=False).changes_since == first
    save_rules(actor=SYSTEM, project=shop, changes=False)
    again = save_rules(actor=SYSTEM, project=shop, changes=True).changes_since
    assert again is not None
    assert again > first
