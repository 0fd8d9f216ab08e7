"""Freeze windows as ops keep them and as machines feel them: rules, actions, API, admin, badges and the calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from clusters import actions, freeze_rules, freezing
from clusters.freeze_calendar import calendar
from clusters.models import FreezeWindow, Machine
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Conflict, Denied, Invalid
from permissions.models import User
from tests import world
from tests.api.door import Door, refused, told

pytestmark = pytest.mark.django_db
WEEKEND = datetime(2026, 11, 28, 3, tzinfo=UTC)  # a Saturday, 11:00 in Shanghai
GOOD: dict[str, Any] = {
    "name": "Weekend freeze",
    "reason": "Nobody is there",
    "everywhere": True,
    "timezone": "Asia/Shanghai",
    "kind": "weekly",
    "weekdays": [5],
    "start_time": "00:00",
    "duration_minutes": 3240,  # to Monday, 06:00
}


@pytest.fixture(autouse=True)
def plain_static_files(settings: Any) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture
def machine() -> Machine:
    return world.machine("prod-bj", "production")


@pytest.fixture
def ops() -> Door:
    return Door(world.ops())


def row(**facts: Any) -> FreezeWindow:
    return FreezeWindow(**{**GOOD, "start_time": time(0), **facts})


def kept(machines: Any = (), **facts: Any) -> FreezeWindow:
    return actions.save_freeze(actor=SYSTEM, window=row(**facts), machines=machines)


class TestRules:
    @pytest.mark.parametrize(
        ("facts", "field", "words"),
        [
            ({"name": " "}, "name", "needs a name"),
            ({"reason": ""}, "reason", "Say why"),
            ({"timezone": "Moon/Base"}, "timezone", "no time zone “Moon/Base”"),
            ({"kind": "daily"}, "kind", "once, weekly or yearly"),
            ({"everywhere": False}, "everywhere", "Say where"),
            ({"environments": ["moon"]}, "environments", "test, staging and production"),
            ({"weekdays": []}, "weekdays", "at least one day"),
            ({"weekdays": [7]}, "weekdays", "from 0, Monday"),
            ({"weekdays": [True]}, "weekdays", "from 0, Monday"),
            ({"duration_minutes": None}, "end_time", "Give either"),
            ({"end_time": time(6)}, "end_time", "Give either"),
            ({"duration_minutes": 10_081}, "duration_minutes", "a week"),
            ({"exceptions": ["soon"]}, "exceptions", "“soon” is not a day"),
            ({"exceptions": ["2026-11-29"]}, "exceptions", "does not begin on 2026-11-29"),
            ({"kind": "once", "duration_minutes": None, "first_day": "2026-12-24", "last_day": "2026-12-23", "end_time": time(1)}, "last_day", "end before it begins"),
            ({"kind": "once", "duration_minutes": None, "first_day": "2026-12-24", "last_day": "2028-12-23", "end_time": time(1)}, "last_day", "longer than a year"),
            ({"kind": "once", "duration_minutes": None, "first_day": "12-24", "last_day": "2026-12-24", "end_time": time(1)}, "first_day", "such as 2026-12-24"),
            ({"kind": "once", "duration_minutes": None, "first_day": "2026-12-24", "last_day": "2026-12-25"}, "end_time", "what time it ends"),
            ({"kind": "yearly", "duration_minutes": None, "first_day": "2026-12-24", "last_day": "01-02"}, "first_day", "such as 12-24"),
            ({"kind": "yearly", "duration_minutes": None, "first_day": "05-01", "last_day": "05-01", "end_time": time(0)}, "end_time", "end before it begins"),
            ({"kind": "yearly", "first_day": "12-24", "last_day": "01-02"}, "duration_minutes", "Only a weekly"),
        ],
    )  # fmt: skip
    def test_every_mistake_is_one_sentence_at_its_field(self, facts: dict[str, Any], field: str, words: str) -> None:
        found = [(name, str(sentence)) for name, sentence in freeze_rules.mistakes(row(**facts), [])]
        assert [name for name, _ in found] == [field], found
        assert words in found[0][1]

    def test_what_is_right_is_kept(self) -> None:
        assert freeze_rules.mistakes(row(), []) == []
        assert freeze_rules.mistakes(row(exceptions=["2026-11-28"]), []) == []
        yearly = row(
            kind="yearly", duration_minutes=None, first_day="12-24", last_day="01-02", exceptions=["2026-12-24"]
        )
        assert freeze_rules.mistakes(yearly, []) == []


class TestOnMachines:
    def test_the_machine_is_frozen_and_says_until_when_by_the_windows_clock(self, machine: Machine) -> None:
        kept()
        found = freezing.freezing(machine, WEEKEND)
        assert found is not None
        assert found.until_words == "2026-11-30 06:00 (Asia/Shanghai)"
        assert "Weekend freeze" in str(found.sentence)
        assert freezing.freezing(machine, datetime(2026, 11, 29, 22, tzinfo=UTC)) is None, "06:00 in Shanghai"

    def test_where_it_holds(self, machine: Machine) -> None:
        test = world.machine("test-a")
        window = kept(everywhere=False, environments=["production"])
        assert freezing.freezing(machine, WEEKEND)
        assert not freezing.freezing(test, WEEKEND)
        window.environments = []
        actions.save_freeze(actor=SYSTEM, window=window, machines=[test])
        assert not freezing.freezing(machine, WEEKEND)
        assert freezing.freezing(test, WEEKEND)
        window.active = False
        actions.save_freeze(actor=SYSTEM, window=window)
        assert not freezing.freezing(test, WEEKEND), "an inactive window freezes nothing"
        assert list(window.machines.all()) == [test], "machines that were not named stay"

    def test_restoring_passes_unless_the_window_says_otherwise(self, machine: Machine) -> None:
        window = kept()
        assert freezing.freezing(machine, WEEKEND, restoring=True) is None
        window.blocks_restoring = True
        actions.save_freeze(actor=SYSTEM, window=window)
        assert freezing.freezing(machine, WEEKEND, restoring=True) is not None

    def test_of_several_the_longest_is_told(self, machine: Machine) -> None:
        kept()
        kept(name="Saturday", duration_minutes=1440)
        kept(name="The move", kind="once", weekdays=[], duration_minutes=None, first_day="2026-11-28",
             last_day="2026-12-05", end_time=time(12))  # fmt: skip
        found = freezing.freezing(machine, WEEKEND)
        assert found is not None
        assert found.window.name == "The move"

    def test_an_exception_leaves_a_weekend_free(self, machine: Machine) -> None:
        kept(exceptions=["2026-11-28"])
        assert freezing.freezing(machine, WEEKEND) is None
        assert freezing.freezing(machine, WEEKEND + timedelta(days=7)) is not None

    def test_what_comes_is_in_order(self, machine: Machine) -> None:
        kept()
        kept(name="Nights", weekdays=[0, 1], start_time=time(22), end_time=time(6), duration_minutes=None)
        found = freezing.next_freezes(machine, days=7, at=WEEKEND)
        assert [(one.window.name, one.now) for one in found] == [
            ("Weekend freeze", True), ("Nights", False), ("Nights", False), ("Weekend freeze", False),
        ]  # fmt: skip

    def test_badges_ask_one_question_for_all_machines(self, machine: Machine, django_assert_num_queries: Any) -> None:
        kept()
        kept(name="By name", everywhere=False, machines=[machine])
        others = [world.machine(environment="staging") for _ in range(5)]
        with django_assert_num_queries(1):
            found = freezing.badges([machine, *others])
        assert set(found) == {machine.pk, *(other.pk for other in others)}


class TestActions:
    def test_only_ops(self, machine: Machine) -> None:
        person = world.person()
        with pytest.raises(Denied):
            actions.save_freeze(actor=person, window=row())
        window = kept()
        with pytest.raises(Denied):
            actions.delete_freeze(actor=person, window=window)
        with pytest.raises(Denied):
            actions.update_machine(actor=person, machine=machine, approval={"needed": 1})

    def test_before_and_after_are_in_the_audit(self, machine: Machine) -> None:
        window = kept(machines=[machine])
        window = FreezeWindow.objects.get(pk=window.pk)
        window.reason = "Inventory"
        actions.save_freeze(actor=SYSTEM, window=window, machines=[])
        entry = AuditEntry.objects.get(verb="freeze.update")
        assert (entry.before["reason"], entry.after["reason"]) == ("Nobody is there", "Inventory")
        assert (entry.before["machines"], entry.after["machines"]) == (["prod-bj"], [])
        actions.delete_freeze(actor=SYSTEM, window=window)
        assert AuditEntry.objects.get(verb="freeze.delete").before["reason"] == "Inventory"

    def test_a_taken_name_is_a_conflict(self) -> None:
        kept()
        with pytest.raises(Conflict, match="already one called"):
            kept()

    def test_all_mistakes_are_told_and_nothing_is_kept(self) -> None:
        with pytest.raises(Invalid) as refusal:
            kept(reason="", timezone="x", weekdays=[])
        assert set(refusal.value.fields) == {"reason", "timezone", "weekdays"}
        assert not FreezeWindow.objects.exists()

    def test_approval_of_a_machine_is_changed_with_before_and_after(self, machine: Machine) -> None:
        actions.update_machine(actor=SYSTEM, machine=machine, approval={"needed": 2, "role": "ops", "restoring": True})
        machine.refresh_from_db()
        assert (machine.approvals_needed, machine.approver_role, machine.approve_restoring) == (2, "ops", True)
        entry = AuditEntry.objects.get(verb="machine.update")
        assert entry.before == {"approvals_needed": 0, "approver_role": "maintainer", "approve_restoring": False}
        assert entry.after == {"approvals_needed": 2, "approver_role": "ops", "approve_restoring": True}
        for wrong in ({"needed": 10}, {"role": "king"}):
            with pytest.raises(Invalid):
                actions.update_machine(actor=SYSTEM, machine=machine, approval=wrong)


class TestApi:
    def test_ops_make_change_and_delete_one(self, ops: Door, machine: Machine) -> None:
        made = told(ops.post("freezes/", {**GOOD, "everywhere": False, "machines": ["prod-bj"]}), 201)
        assert (made["machines"], made["weekdays"], made["duration_minutes"]) == (["prod-bj"], [5], 3240)
        assert (made["start_time"], made["end_time"]) == ("00:00", None), "as a clock shows it, without a zone"
        where = f"freezes/{made['id']}/"
        assert told(ops.patch(where, {"active": False}))["active"] is False
        assert told(ops.patch(where, {"weekdays": [5, 6]}))["machines"] == ["prod-bj"]
        assert told(ops.get("freezes/?active=false"))["results"][0]["id"] == made["id"]
        problem = refused(ops.patch(where, {"weekdays": [], "timezone": "nowhere"}), 422, "invalid")
        assert set(problem["fields"]) == {"weekdays", "timezone"}
        assert told(ops.get(where))["weekdays"] == [5, 6]
        assert ops.delete(where).status_code == 204
        refused(ops.get(where), 404)

    def test_a_machine_that_is_not_there(self, ops: Door) -> None:
        assert "machines" in refused(ops.post("freezes/", {**GOOD, "machines": ["moon"]}), 422)["fields"]
        refused(ops.get("machines/moon/freezes/"), 404)
        refused(ops.patch("machines/moon/", {"description": "x"}), 404)

    def test_everybody_reads_when_a_machine_is_frozen(self, machine: Machine) -> None:
        kept(weekdays=list(range(7)), duration_minutes=1440)
        person = Door(world.person())
        found = told(person.get("machines/prod-bj/freezes/?days=3"))
        assert found[0]["now"] is True
        assert found[0]["window"] == "Weekend freeze"
        assert found[0]["local"].endswith("(Asia/Shanghai)")
        for wrong in ("0", "401", "x", "-1", "", "１４"):
            refused(person.get(f"machines/prod-bj/freezes/?days={wrong}"), 422)
        refused(person.post("freezes/", GOOD), 403)

    def test_approval_is_read_and_written_with_the_machine(self, ops: Door, machine: Machine) -> None:
        assert told(ops.get("machines/prod-bj/"))["approval"] == {"needed": 0, "role": "maintainer", "restoring": False}
        body = {
            "name": "prod-sh",
            "cluster": "local",
            "environment": "production",
            "approval": {"needed": 1, "role": "owner"},
        }
        assert told(ops.post("machines/", body), 201)["approval"]["role"] == "owner"
        changed = told(ops.patch("machines/prod-bj/", {"approval": {"needed": 2}}))
        assert changed["approval"] == {"needed": 2, "role": "maintainer", "restoring": False}
        refused(ops.patch("machines/prod-bj/", {"approval": {"needed": 99}}), 400)
        refused(ops.patch("machines/prod-bj/", {"placement": []}), 422)
        mass = told(ops.patch("machines/prod-bj/", {"name": "other", "approver_role": "ops", "approvals_needed": 9}))
        assert (mass["name"], mass["approval"]["needed"]) == ("prod-bj", 2), "only what is named may be written"


class TestAdmin:
    form = {
        "name": "Weekend freeze", "reason": "Nobody is there", "active": "on", "everywhere": "on",
        "timezone": "Asia/Shanghai", "kind": "weekly", "weekdays": ["5"], "start_time": "00:00",
        "duration_minutes": "3240", "exceptions": "",
    }  # fmt: skip

    @pytest.fixture
    def screen(self) -> Client:
        client = Client()
        client.force_login(world.ops())
        return client

    def test_one_is_added_previewed_changed_and_deleted_by_the_actions(self, screen: Client, machine: Machine) -> None:
        form = {**self.form, "machines": [machine.pk]}
        screen.post(reverse("admin:clusters_freezewindow_add"), form)
        window = FreezeWindow.objects.get()
        assert (window.weekdays, list(window.machines.all())) == ([5], [machine])
        assert AuditEntry.objects.get(verb="freeze.create").after["machines"] == ["prod-bj"]
        address = reverse("admin:clusters_freezewindow_change", args=[window.pk])
        shown = screen.get(address).content.decode()
        assert shown.count("<li>Sat") == 10, "the next ten times"
        screen.post(address, {**form, "exceptions": "2026-11-28, 2026-12-05\n2026-12-12"})
        window.refresh_from_db()
        assert window.exceptions == ["2026-11-28", "2026-12-05", "2026-12-12"]
        assert AuditEntry.objects.get(verb="freeze.update").before["exceptions"] == []
        assert "2026-12-05" in screen.get(address).content.decode()
        screen.post(reverse("admin:clusters_freezewindow_delete", args=[window.pk]), {"post": "yes"})
        assert not FreezeWindow.objects.exists()
        assert AuditEntry.objects.filter(verb="freeze.delete").count() == 1

    def test_each_mistake_stands_at_its_field_and_what_was_typed_stays(self, screen: Client) -> None:
        wrong = {**self.form, "timezone": "Moon/Base", "weekdays": [], "reason": "Typed with care"}
        shown = screen.post(reverse("admin:clusters_freezewindow_add"), wrong).content.decode()
        assert "There is no time zone “Moon/Base”" in shown
        assert "Choose at least one day of the week." in shown
        assert "Typed with care" in shown
        assert not FreezeWindow.objects.exists()

    def test_a_taken_name_is_told_at_its_field(self, screen: Client) -> None:
        kept()
        shown = screen.post(reverse("admin:clusters_freezewindow_add"), self.form).content.decode()
        assert "already exists" in shown
        assert FreezeWindow.objects.count() == 1


class TestPages:
    def test_the_calendar_marks_every_day_of_a_freeze(self, machine: Machine) -> None:
        kept()
        now = datetime(2026, 11, 25, 12, tzinfo=UTC)
        weeks, lines = calendar([machine], now)
        frozen = [day.date.isoformat() for week in weeks for day in week if day.freezes]
        assert frozen[:3] == ["2026-11-27", "2026-11-28", "2026-11-29"], "Friday evening in UTC is Saturday in Shanghai"
        assert [len(weeks), {len(week) for week in weeks}] == [6, {7}]
        assert weeks[0][0].date == date(2026, 11, 23)
        assert lines[0].machines == [machine]
        assert len(lines) == 6

    def test_the_page_is_for_everybody_and_teaches_when_empty(self, machine: Machine) -> None:
        client = Client()
        client.force_login(world.person("vic"))
        assert "Nothing is frozen" in client.get("/freezes/").content.decode()
        kept(
            name="<b>Weekend</b>",
            weekdays=[timezone.localtime().weekday()],
            duration_minutes=2880,
            start_time=time(0),
            timezone="UTC",
        )
        text = client.get("/freezes/").content.decode()
        assert "&lt;b&gt;Weekend&lt;/b&gt;" in text
        assert "Frozen now" in text
        assert "New freeze window" not in text
        assert 'data-freeze="now"' in client.get("/machines/").content.decode()

    def test_ops_find_the_way_to_change_it(self, machine: Machine) -> None:
        kept()
        client = Client()
        client.force_login(User.objects.get(pk=world.ops().pk))
        text = client.get("/freezes/").content.decode()
        assert reverse("admin:clusters_freezewindow_add") in text
