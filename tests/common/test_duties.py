"""The duties that the watch calls: each leads to something, is named once, and has time for what it does."""

from __future__ import annotations

import inspect
from collections import Counter

import pytest
from django.conf import settings
from django.utils.module_loading import import_string

from fangduoduo_release.common.watch import Duty
from fangduoduo_release.duties import DUTIES

BY_NAME = {duty.name: duty for duty in DUTIES}
each = pytest.mark.parametrize("duty", DUTIES, ids=[duty.name for duty in DUTIES])


def test_the_settings_have_them() -> None:
    assert list(settings.DUTIES) == DUTIES


def test_each_is_named_once() -> None:
    """A lease hangs on the name: two of one name would take turns."""
    assert Counter(duty.name for duty in DUTIES).most_common(1)[0][1] == 1


def test_nothing_is_called_by_two_duties() -> None:
    assert Counter(duty.path for duty in DUTIES).most_common(1)[0][1] == 1


@each
def test_it_leads_to_a_function_that_needs_nothing(duty: Duty) -> None:
    found = import_string(duty.path)
    assert callable(found)
    inspect.signature(found).bind()  # raises when it wants to be given something


@each
def test_it_belongs_to_a_group_that_the_watch_runs(duty: Duty) -> None:
    assert duty.group in {"sources", "builders", "clusters", "portal"}


@each
def test_it_comes_round_and_may_take_its_time(duty: Duty) -> None:
    assert duty.every_s >= 1, "more often than once a second is a loop of its own"
    assert duty.limit_s >= 60
    assert duty.every_s <= 86_400


@each
def test_its_docstring_says_what_it_is_for(duty: Duty) -> None:
    assert inspect.getdoc(import_string(duty.path))


def test_what_shares_its_work_out_itself_is_called_everywhere_and_nothing_else() -> None:
    assert {name for name, duty in BY_NAME.items() if duty.everywhere} == {"sources.listen", "clusters.follow"}


def test_what_people_wait_for_comes_within_seconds() -> None:
    for name in ("services.look", "builds.follow", "configs.follow", "clusters.follow", "sources.listen"):
        assert BY_NAME[name].every_s <= 2, name
    for name in ("sources.alarm", "clusters.alarm", "sources.compare", "grants.expiry"):
        assert BY_NAME[name].every_s <= 10, name
