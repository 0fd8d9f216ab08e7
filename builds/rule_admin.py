"""The ops screen for what builds by itself, and for what reviewers are told."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from builds import review_actions
from builds.models import BuildRules, ChangeBuild, Review
from fangduoduo_release.common.http import say
from fangduoduo_release.common.sentence import Sentence
from permissions.admin_base import ReadOnlyAdmin


@admin.register(BuildRules)
class BuildRulesAdmin(ReadOnlyAdmin):
    """To look at; maintainers change them on their project's page."""

    list_display = ("project", "branches", "tags", "paths", "debounce_s", "cancel", "changes", "vote", "comment")
    list_filter = ("changes", "cancel")
    list_select_related = ("project",)
    search_fields = ("project__slug",)


@admin.register(ChangeBuild)
class ChangeBuildAdmin(ReadOnlyAdmin):
    list_display = ("build", "number", "patch_set", "branch", "url")
    list_select_related = ("build__project",)
    search_fields = ("=number", "=build__project__slug")


@admin.register(Review)
class ReviewAdmin(ReadOnlyAdmin):
    list_display = ("build", "what", "signed", "state", "needs_ops", "reason", "created_at", "sent_at")
    list_filter = ("state", "needs_ops", "what")
    list_select_related = ("build__project",)
    search_fields = ("=build__id", "=build__project__slug", "=build__change__number")
    fields = (
        *("build", "what", "signed", "message", "state", "needs_ops", "reason", "evidence", "attempts"),
        *("key", "created_at", "next_at", "sent_at"),
    )
    readonly_fields = fields
    actions = ["try_again", "give_up"]

    @admin.display(description=_("vote"))
    def signed(self, review: Review) -> str:
        return review.signed or "–"

    @admin.display(description=_("Reason"))
    def reason(self, review: Review) -> str:
        return say(Sentence.from_json(review.said)) if review.said else ""

    @admin.display(description=_("Evidence"))
    def evidence(self, review: Review) -> str:
        return str((review.error or {}).get("evidence", ""))

    @admin.action(description=_("Try again"))
    def try_again(self, request: HttpRequest, rows: QuerySet[Review]) -> None:
        def act(review: Review) -> None:
            review_actions.try_again(actor=request.user, review=review)

        self.each(request, rows, act, str(_("Queued again")))

    @admin.action(description=_("Give up"))
    def give_up(self, request: HttpRequest, rows: QuerySet[Review]) -> None:
        def act(review: Review) -> None:
            review_actions.give_up(actor=request.user, review=review)

        self.each(request, rows, act, str(_("Done")))
