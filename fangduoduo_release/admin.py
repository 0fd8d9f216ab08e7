"""The ops screen for the foundation: inbox, events, beats, leases, connections, audit. django-q's own screens are taken
out: whoever may add a schedule there may run any code."""

from __future__ import annotations

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django_q.models import Failure, OrmQ, Schedule, Success

from fangduoduo_release import connection_admin as connection_admin  # registers its screen
from fangduoduo_release import notification_admin as notification_admin  # registers its screens
from fangduoduo_release.audit import trail
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common import runs
from fangduoduo_release.common.models import Beat, Event, IdempotencyKey, InboxItem, Lease, Step
from permissions.admin import hide
from permissions.admin_base import ReadOnlyAdmin

hide(Schedule, Success, Failure, OrmQ)


@admin.register(AuditEntry)
class AuditAdmin(ReadOnlyAdmin):
    """Rows to look at; nobody changes them, and the database would refuse it too."""

    list_display = ("seq", "at", "actor", "verb", "object_kind", "object_label", "project", "address")
    big_columns = ("before", "after")
    list_filter = ("at",)  # words are searched for: a list of all that ever occurred would be read from every row
    search_fields = ("=actor", "=verb", "=object_kind", "=project", "object_label", "=object_id")


@admin.register(InboxItem)
class InboxAdmin(ReadOnlyAdmin):
    list_display = ("id", "kind", "dedupe_key", "state", "needs_ops", "received_at", "handled_at")
    list_filter = ("state", "needs_ops")
    search_fields = ("=kind", "dedupe_key")
    actions = ["try_again"]

    @admin.action(description=_("Try again"))
    def try_again(self, request: HttpRequest, rows: QuerySet[InboxItem]) -> None:
        def act(item: InboxItem) -> None:
            with transaction.atomic():
                InboxItem.objects.filter(pk=item.pk).exclude(state=InboxItem.State.DONE).update(
                    needs_ops=False, attempts=0, state=InboxItem.State.NEW
                )
                trail.record(request.user, "inbox.try_again", item)
            runs.poke(item)

        self.each(request, rows.exclude(state=InboxItem.State.DONE), act, str(_("Queued again")))


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("at", "topic", "seq", "kind", "text")
    search_fields = ("=topic",)


@admin.register(Step)
class StepAdmin(ReadOnlyAdmin):
    list_display = ("key", "name", "created_at", "done_at", "fence")
    search_fields = ("key",)


@admin.register(Beat)
class BeatAdmin(ReadOnlyAdmin):
    list_display = ("name", "kind", "seen_at", "info")
    list_filter = ("kind",)


@admin.register(Lease)
class LeaseAdmin(ReadOnlyAdmin):
    list_display = ("name", "owner", "fence", "until")
    search_fields = ("name", "owner")


@admin.register(IdempotencyKey)
class IdempotencyAdmin(ReadOnlyAdmin):
    list_display = ("owner", "key", "status", "created_at")
    search_fields = ("key",)
    fields = ("owner", "key", "status", "created_at")
