"""The ops screen of what is followed of clusters: how it goes, how old what is known is, and what ails it."""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from clusters import observed
from clusters.kubernetes import KIND
from clusters.models import Cluster, ClusterFeed
from fangduoduo_release.common.http import say
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import Sentence
from permissions.admin_base import ReadOnlyAdmin


def verdict(feed: ClusterFeed) -> SafeString:
    """How the following of one resource goes, as a mark and a word."""
    live = feed.state == ClusterFeed.State.LIVE
    good = live and feed.seen_at is not None and observed.age(feed.seen_at) <= observed.STALE_S
    word = gettext("not followed") if live and not good else feed.get_state_display()
    return format_html('<strong class="{}">{} {}</strong>', "good" if good else "bad", "✓" if good else "✗", word)


def age_said(feed: ClusterFeed) -> str:
    """How old what is known is."""
    if feed.seen_at is None or feed.synced_at is None:
        return gettext("never read")
    return gettext("%(seconds)s s") % {"seconds": round(observed.age(feed.seen_at))}


def followed(cluster: Cluster) -> str | SafeString:
    """How one cluster is followed, resource by resource, and what ails it."""
    feeds = list(cluster.feeds.order_by("resource"))
    trouble = observed.trouble_of(cluster)
    if not feeds:
        return say(trouble) if trouble else gettext("About to begin.")
    rows = format_html_join("", "<li><code>{}</code> {} · {} · {}</li>", ((one.resource, verdict(one), age_said(one), _counted(one)) for one in feeds))  # fmt: skip
    page = f"{reverse('admin:clusters_clusterfeed_changelist')}?cluster__id__exact={cluster.pk}"
    return format_html(
        '<div class="test-result"><p>{}</p><ul>{}</ul><p><a href="{}">{}</a></p></div>',
        say(trouble) if trouble else "", rows, page, gettext("more"),
    )  # fmt: skip


def of_connection(connection: Connection) -> str | SafeString:
    """The same of every cluster behind a connection."""
    clusters = Cluster.objects.filter(connection=connection, kind=KIND)
    told = [(reverse("admin:clusters_cluster_change", args=[one.pk]), one.name, followed(one)) for one in clusters]
    if not told:
        return gettext("No cluster uses it yet.")
    return format_html_join("", '<p><a href="{}"><strong>{}</strong></a></p>{}', told)


def _counted(feed: ClusterFeed) -> str:
    return ngettext("%(n)s object", "%(n)s objects", feed.objects_count) % {"n": feed.objects_count}


@admin.register(ClusterFeed)
class ClusterFeedAdmin(ReadOnlyAdmin):
    list_display = (
        "cluster", "resource", "how", "age", "trouble_said", "objects_count", "lag_ms", "relists", "reconnects", "drift",
    )  # fmt: skip
    list_filter = ("cluster", "state")
    list_select_related = ("cluster",)
    search_fields = ("cluster__name", "resource")
    ordering = ("cluster__name", "resource")  # type: ignore[assignment]
    fields = (
        "cluster", "resource", "how", "age", "trouble_said", "down_since", "synced_at", "objects_count", "lag_ms",
        "relists", "reconnects", "drift", "resource_version", "seq", "told_at",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description=_("state"), ordering="state")
    def how(self, feed: ClusterFeed) -> SafeString:
        return verdict(feed)

    @admin.display(description=_("age"), ordering="seen_at")
    def age(self, feed: ClusterFeed) -> str:
        return age_said(feed)

    @admin.display(description=_("trouble"))
    def trouble_said(self, feed: ClusterFeed) -> str:
        return say(Sentence.from_json(feed.trouble)) if feed.trouble else gettext("none")
