"""What the ops screen expects of whom: a line a table, and `Ask` lines for addresses of its own.

Below ops everybody is shown the ops screen's sign-in (302). `ADMIN_ROLES` knows two more people than the rest of the
matrix: the clerk, who is staff but not from ops, and root, a superuser.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .matrix import OPS, PUBLIC, ROLES, Ask

ADMIN_ROLES = [*ROLES, "clerk", "root"]
BOTH = ("ops", "root")
ROOT = ("root",)
ASKS_FIRST = {"delete_selected", "approve_chosen", "reject_chosen"}  # a page of their own before they act
LOOKS = ("changelist", "change", "history")


@dataclass(frozen=True, slots=True)
class ScreenAsk:
    """One request to a table's screen."""

    method: str
    view: str
    status: int
    allowed: tuple[str, ...]
    body: Any = None

    def expected(self, role: str) -> int:
        if role in self.allowed:
            return self.status
        return 403 if role in {"ops", "root", "clerk"} else 302


@dataclass(frozen=True, slots=True)
class Screen:
    """`add`, `change`, `delete`: who may. `actions`: the bulk actions that are offered to ops, with their answer."""

    model: str
    add: tuple[str, ...] = ()
    change: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    root_actions: tuple[str, ...] = ()  # offered to a superuser only
    decides: tuple[str, ...] = ()  # its form is no form but a decision

    def asks(self) -> list[ScreenAsk]:
        """Every request this table's screen answers. An empty form is shown again (200), or saved (302)."""
        bulk = [
            ScreenAsk("POST", "changelist", 200 if name in ASKS_FIRST else 302, who, {"action": name})
            for names, who in ((self.actions, BOTH), (self.root_actions, ROOT))
            for name in names
        ]
        return [
            *(ScreenAsk("GET", view, 200, BOTH) for view in LOOKS),
            ScreenAsk("GET", "open", 302, (*BOTH, "clerk")),  # the row's short address leads to its form
            ScreenAsk("GET", "add", 200, self.add),
            ScreenAsk("POST", "add", 200, self.add, {}),
            ScreenAsk("POST", "change", 302 if self.decides else 200, self.change or self.decides, {}),
            ScreenAsk("GET", "delete", 200, self.delete),
            ScreenAsk("POST", "delete", 302, self.delete, {"post": "yes"}),
            *bulk,
        ]


RUN = ("cancel", "retry_stuck", "give_up")

SCREENS = [
    Screen(
        "permissions.User", add=ROOT, change=ROOT, actions=("unlock", "sign_out_everywhere", "deactivate", "activate")
    ),
    Screen("permissions.ServiceAccount", add=BOTH),
    Screen("permissions.SignedIn", actions=("end",)),
    Screen("permissions.JwtFamily"),
    Screen("axes.AccessAttempt", actions=("forget",)),
    Screen("permissions.ApiToken", actions=("revoke",)),
    Screen("auth.Group", add=ROOT, change=ROOT),
    Screen("clusters.Cluster", add=BOTH, change=BOTH),
    Screen("clusters.Machine", add=BOTH, change=BOTH),
    Screen("clusters.FreezeWindow", add=BOTH, change=BOTH, delete=BOTH, actions=("delete_selected",)),
    Screen("projects.AccessRequest", decides=BOTH, actions=("approve_chosen", "reject_chosen")),
    Screen("projects.Project", actions=("archive", "restore")),
    Screen("projects.RoleGrant", add=BOTH, actions=("take_away",)),
    Screen("projects.MachineGrant", add=BOTH, actions=("revoke",)),
    Screen("projects.SpecRevision"),
    Screen("projects.BranchTip"),
    Screen("builds.Build", actions=RUN),
    Screen("builds.Version"),
    Screen("builds.PipelineRevision"),
    Screen("builds.Credential"),
    Screen("builds.Stage"),
    Screen("builds.InputRequest"),
    Screen("builds.TestResult"),
    Screen("builds.Artifact"),
    Screen("builds.BuildLog"),
    Screen("builds.LogChunk"),
    Screen("builds.LogMark"),
    Screen("deployments.Service"),
    Screen("deployments.Deployment", actions=("approve", "reject", *RUN)),
    Screen("deployments.Instance"),
    Screen(
        "notifications.Channel",
        add=BOTH,
        change=BOTH,
        delete=BOTH,
        actions=("send_test", "switch_off", "switch_on", "delete_selected"),
    ),
    Screen("notifications.Delivery", actions=("try_again",)),
    Screen("notifications.Circuit"),
    Screen("audit.AuditEntry"),
    Screen("common.InboxItem", actions=("try_again",)),
    Screen("common.Event"),
    Screen("common.Step"),
    Screen("common.Beat"),
    Screen("common.Lease"),
    Screen("common.IdempotencyKey"),
    Screen("common.Connection", add=BOTH, change=BOTH, delete=BOTH, actions=("delete_selected",)),
    Screen("builds.Template", add=BOTH, change=BOTH, actions=("retire", "restore")),
    Screen("builds.TemplateRevision"),
    Screen("projects.HookDelivery", actions=("replay",)),
    Screen("projects.SourceListener", actions=("compare_now",)),
    Screen("clusters.ClusterFeed"),
    Screen("builds.BuildRules"),
    Screen("builds.ChangeBuild"),
    Screen("builds.Review", actions=("try_again", "give_up")),
]

OF_PROJECTS = {"app_label": "projects", "model_name": "machinegrant"}
OF_ROLES = {"app_label": "projects", "model_name": "rolegrant"}

ADMIN = [
    Ask("GET", "admin/", OPS),
    # It has no sign-in of its own: lockout and sessions are looked after at the one door.
    Ask("GET", "admin/login/", PUBLIC, 302, known=403, ops=302),
    Ask("POST", "admin/login/", PUBLIC, 302, {"username": "nobody", "password": "wrong"}, known=403, ops=302),
    Ask("POST", "admin/logout/", PUBLIC, 302),
    Ask("GET", "admin/password_change/", OPS),
    Ask("POST", "admin/password_change/", OPS, 200, {}),
    Ask("GET", "admin/password_change/done/", OPS),
    Ask("GET", "admin/autocomplete/", OPS, 200, {**OF_PROJECTS, "field_name": "project"}),
    Ask("GET", "admin/autocomplete/", OPS, 200, {**OF_PROJECTS, "field_name": "machine"}),
    Ask("GET", "admin/autocomplete/", OPS, 200, {**OF_ROLES, "field_name": "project"}),
    Ask("GET", "admin/autocomplete/", OPS, 200, {**OF_ROLES, "field_name": "user"}),
    Ask("GET", "admin/autocomplete/", OPS, 200, {**OF_ROLES, "field_name": "team"}),
    Ask("GET", "admin/jsi18n/", OPS),
    Ask(
        "GET",
        "admin/r/<path:content_type_id>/<path:object_id>/",
        OPS,
        404,
        values=(("content_type_id", "1"), ("object_id", "1")),
    ),
    Ask("GET", "admin/permissions/user/<id>/password/", OPS, 403, values=(("id", "1"),)),
    Ask("POST", "admin/permissions/user/<id>/password/", OPS, 403, {}, (("id", "1"),)),
    Ask("GET", "admin/<app_label>/", OPS, values=(("app_label", "builds"),)),
    Ask("GET", "admin/<url>", OPS, 404, values=(("url", "nothing/"),)),
    # connections are tried from their page
    Ask("POST", "admin/common/connection/<path:object_id>/test/", OPS, 404, {}, (("object_id", "999999"),)),
    # webhook deliveries are replayed from their page
    Ask("POST", "admin/projects/hookdelivery/<path:object_id>/replay/", OPS, 404, {}, (("object_id", "999999"),)),
    Ask("GET", "admin/common/connection/<path:object_id>/host-key/", OPS, 404, values=(("object_id", "999999"),)),
    Ask("POST", "admin/common/connection/<path:object_id>/host-key/", OPS, 404, {}, (("object_id", "999999"),)),
]
