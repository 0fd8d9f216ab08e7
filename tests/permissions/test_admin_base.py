"""What every admin shares: for ops alone, nothing written past the actions, refusals in one sentence, long tables bounded."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.messages.storage.base import BaseStorage
from django.http import HttpRequest
from django.test import RequestFactory

from builds.models import Build
from fangduoduo_release.common.errors import Conflict
from fangduoduo_release.common.sentence import S
from permissions import admin_base
from permissions.admin_base import BoundedPaginator, PortalAdmin, ReadOnlyAdmin
from permissions.models import ApiToken, User
from tests import world

pytestmark = pytest.mark.django_db


class Said(BaseStorage):
    """Messages, kept to be looked at."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str]] = []

    def add(self, level: int, message: Any, extra_tags: str | None = "") -> None:
        self.told.append((level, str(message)))


def request_of(user: Any) -> HttpRequest:
    request = RequestFactory().get("/admin/")
    request.user = user
    request._messages = Said()  # type: ignore[attr-defined]
    return request


def builds_admin(kind: type[PortalAdmin] = PortalAdmin, **facts: Any) -> PortalAdmin:
    return type("BuildAdmin", (kind,), facts)(Build, admin.site)  # type: ignore[no-any-return]


def with_scopes(user: User, *scopes: str) -> Any:
    found = ApiToken.find(ApiToken.make(user, "t", scopes=list(scopes))[1])
    assert found is not None
    return found.user


def test_only_ops_who_are_staff_get_in() -> None:
    chief, owner = world.ops(), world.bare_project().created_by
    plain = world.ops("otto")
    User.objects.filter(pk=plain.pk).update(is_staff=False)
    staff = world.person(is_staff=True)
    shown = builds_admin()
    for user, may in (
        (chief, True), (owner, False), (User.objects.get(pk=plain.pk), False), (staff, False),
        (with_scopes(chief, "read"), False), (with_scopes(chief, "ops"), True),
    ):  # fmt: skip
        request = request_of(user)
        assert (shown.has_module_permission(request), shown.has_view_permission(request)) == (may, may)


def test_nothing_is_added_changed_or_deleted_by_ops_either() -> None:
    """Rows are changed by the portal's actions, which check, record and tell; a form of Django's would not."""
    request, row = request_of(world.ops()), world.build(world.bare_project())
    shown = builds_admin()
    assert not shown.has_add_permission(request)
    for one in (None, row):
        assert not shown.has_change_permission(request, one)
        assert not shown.has_delete_permission(request, one)


def test_an_action_is_called_for_each_row_and_each_refusal_is_told() -> None:
    project = world.bare_project(slug="shop")
    rows = [world.build(project) for _ in range(3)]
    request, done = request_of(world.ops()), []

    def act(row: Build) -> None:
        if row == rows[1]:
            raise Conflict(S("It has %(what)s already.", what="ended"))
        done.append(row)

    builds_admin().each(request, Build.objects.order_by("pk"), act, "Ended")
    assert done == [rows[0], rows[2]]
    told = [text for _, text in request._messages.told]  # type: ignore[attr-defined]
    assert told == [f"{rows[1]}: It has ended already.", "Ended: 2"]


def test_where_nothing_worked_nothing_is_said_to_have() -> None:
    world.build(world.bare_project())
    request = request_of(world.ops())

    def refuse(_row: Build) -> None:
        raise Conflict(S("No."))

    builds_admin().each(request, Build.objects.all(), refuse, "Ended")
    assert [text.endswith("No.") for _, text in request._messages.told] == [True]  # type: ignore[attr-defined]


def test_a_mistake_is_no_refusal() -> None:
    """What nobody foresaw is not dressed as a sentence: it is logged as what it is."""
    world.build(world.bare_project())

    def fail(_row: Build) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        builds_admin().each(request_of(world.ops()), Build.objects.all(), fail, "Ended")


def test_big_columns_stay_in_the_database() -> None:
    world.build(world.bare_project())
    (row,) = builds_admin(big_columns=("commit_subject",)).get_queryset(request_of(world.ops()))
    assert row.get_deferred_fields() == {"commit_subject"}


@pytest.mark.parametrize(("rows", "counted"), [(0, 0), (4, 4), (5, 5), (7, 5)])
def test_a_long_table_is_counted_up_to_a_bound(rows: int, counted: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_base, "COUNTED", 5)
    project = world.bare_project()
    for _ in range(rows):
        world.build(project)
    pages = BoundedPaginator(Build.objects.order_by("-pk"), 2)
    assert pages.count == counted
    assert pages.num_pages == max(1, -(-counted // 2))
    assert BoundedPaginator(list(range(rows)), 2).count == rows


def test_our_own_actions_stay_where_nothing_may_be_changed() -> None:
    def end(modeladmin: Any, request: Any, queryset: Any) -> None:
        """End them."""

    shown = builds_admin(ReadOnlyAdmin, end=end, actions=["end"])
    request = request_of(world.ops())
    assert set(shown.get_actions(request)) == {"end"}
    assert builds_admin(ReadOnlyAdmin).get_actions(request) == {}
