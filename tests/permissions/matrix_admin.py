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

    def asks(self) -> list[ScreenAsk]:
        """Every request this table's screen answers. An empty form is shown again (200), or saved (302)."""
        bulk = [
            ScreenAsk("POST", "changelist", 200 if name == "delete_selected" else 302, who, {"action": name})
            for names, who in ((self.actions, BOTH), (self.root_actions, ROOT))
            for name in names
        ]
        return [
            *(ScreenAsk("GET", view, 200, BOTH) for view in LOOKS),
            ScreenAsk("GET", "open", 302, (*BOTH, "clerk")),  # the row's short address leads to its form
            ScreenAsk("GET", "add", 200, self.add),
            ScreenAsk("POST", "add", 200, self.add, {}),
            ScreenAsk("POST", "change", 200, self.change, {}),
            ScreenAsk("GET", "delete", 200, self.delete),
            ScreenAsk("POST", "delete", 302, self.delete, {"post": "yes"}),
            *bulk,
        ]


RUN = ("cancel", "retry_stuck", "give_up")

SCREENS = [
    Screen("permissions.User", add=ROOT, change=ROOT),
    Screen("permissions.ApiToken", actions=("revoke",)),
    Screen("auth.Group", add=ROOT, change=ROOT),
    Screen("clusters.Cluster", add=BOTH, change=BOTH),
    Screen("clusters.Machine", add=BOTH, change=BOTH),
    Screen("projects.Project", actions=("archive", "restore")),
    Screen("projects.RoleGrant", actions=("take_away",)),
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
    Screen("deployments.Deployment", actions=RUN),
    Screen("deployments.Instance"),
    Screen("audit.AuditEntry"),
    Screen("common.InboxItem", actions=("try_again",)),
    Screen("common.Event"),
    Screen("common.Step"),
    Screen("common.Beat"),
    Screen("common.Lease"),
    Screen("common.IdempotencyKey"),
    Screen("common.Connection", add=BOTH, change=BOTH, delete=BOTH, actions=("delete_selected",)),
]

OF_PROJECTS = {"app_label": "projects", "model_name": "machinegrant"}

ADMIN = [
    Ask("GET", "admin/", OPS),
    Ask("GET", "admin/login/", PUBLIC, ops=302),
    Ask("POST", "admin/login/", PUBLIC, 200, {"username": "nobody", "password": "wrong"}),
    Ask("POST", "admin/logout/", PUBLIC, 302),
    Ask("GET", "admin/password_change/", OPS),
    Ask("POST", "admin/password_change/", OPS, 200, {}),
    Ask("GET", "admin/password_change/done/", OPS),
    Ask("GET", "admin/autocomplete/", OPS, 200, {**OF_PROJECTS, "field_name": "project"}),
    Ask("GET", "admin/autocomplete/", OPS, 200, {**OF_PROJECTS, "field_name": "machine"}),
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
]
