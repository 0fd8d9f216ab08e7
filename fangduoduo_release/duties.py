"""The periodic duties that `manage.py watch` calls: which, how often, and which of them share a process group of duties.

A setting (`settings.DUTIES`); here because it is long. Duties are named by dotted paths: the foundation imports no app.
"""

from __future__ import annotations

from fangduoduo_release.common.watch import Duty

DUTIES = [  # what `manage.py watch` calls every now and then
    Duty("sources.compare", "projects.watching.compare_tips", every_s=10, group="sources"),
    Duty("sources.listen", "projects.listening.listen", every_s=1, group="sources", everywhere=True),
    Duty("sources.alarm", "projects.listening.tell_ops", every_s=10, group="sources"),
    Duty("sources.spooled", "projects.git_access.take_spooled", every_s=10, group="sources"),
    Duty("sources.tidy", "projects.watching.tidy_repositories", every_s=3600, group="sources", limit_s=120),
    Duty("inbox.retention", "fangduoduo_release.common.inbox.forget_old", every_s=600, group="portal"),
    Duty("hooks.retention", "projects.hooks.retention.forget_old", every_s=600, group="sources"),
    Duty("services.look", "deployments.reconcile.look_after_services", every_s=2, group="clusters"),
    Duty("configs.follow", "clusters.config_watch.duty.follow", every_s=1, group="clusters"),
    Duty("services.again", "deployments.reconcile.look_again", every_s=30, group="clusters", limit_s=120),
    Duty("services.orphans", "deployments.reconcile.end_orphans", every_s=60, group="clusters"),
    Duty("clusters.follow", "clusters.informing.follow", every_s=1, group="clusters", everywhere=True),
    Duty("clusters.alarm", "clusters.informing.tell_ops", every_s=10, group="clusters"),
    Duty("clusters.tidy", "clusters.informing.tidy", every_s=60, group="clusters"),
    Duty("builds.orphans", "builds.retention.end_orphans", every_s=60, group="builders"),
    Duty("answers.retention", "permissions.retention.forget_old_answers", every_s=3600, group="portal"),
    Duty("people.tidy", "permissions.retention.tidy_people", every_s=3600, group="portal"),
    Duty("audit.verify", "permissions.audit_duty.verify_trail", every_s=86_400, group="portal", limit_s=300),
    Duty("grants.expiry", "projects.expiry.look_after_grants", every_s=10, group="portal"),
    Duty("builds.follow", "builds.remote.following.follow", every_s=1, group="builders"),
    Duty("builds.logs", "builds.retention.seal_logs", every_s=60, group="builders"),
    Duty("services.releases", "deployments.reconcile.clear_releases", every_s=3600, group="clusters", limit_s=300),
    Duty("builds.retention", "builds.retention.clear_old", every_s=3600, group="builders", limit_s=600),
    Duty(
        "deliveries.overdue", "fangduoduo_release.notifications.retention.give_up_overdue", every_s=60, group="portal"
    ),
    Duty("deliveries.retention", "fangduoduo_release.notifications.retention.forget_old", every_s=600, group="portal"),
]
