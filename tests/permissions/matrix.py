"""What every address expects of whom: one line a request, read by `test_matrix.py` and by whoever walks all addresses.

A level is the weakest who gets `status`; everybody below is told 401 (or shown the sign-in), 404 or 403.
The ops screen's lines are in `matrix_admin.py`, those of sockets and git in `matrix_doors.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PUBLIC = "public"
SIGNED_IN = "signed in"  # every person; rows are narrowed, not refused
VIEWER, DEVELOPER, MAINTAINER, OWNER = "viewer", "developer", "maintainer", "owner"
OPS = "ops"

# Who comes, and as whom they are to be treated. The person whose owner's role ran out a second ago (nobody has tidied
# up yet) is a stranger; the team's member holds the team's role; the token may only read what its owner may.
ROLES = [
    "anonymous", "stranger", "expired", "viewer", "developer", "maintainer", "team", "owner", "token", "ops",
]  # fmt: skip
TREATED_AS = {"expired": "stranger", "team": "maintainer", "token": "owner"}
_RANK = {"anonymous": 0, "stranger": 1, "viewer": 2, "developer": 3, "maintainer": 4, "owner": 5, "ops": 6}
_FROM = {PUBLIC: 0, SIGNED_IN: 1, VIEWER: 2, DEVELOPER: 3, MAINTAINER: 4, OWNER: 5, OPS: 6}
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def suffices(role: str, level: str) -> bool:
    """Whether this persona reaches that level."""
    return _RANK[TREATED_AS.get(role, role)] >= _FROM[level]


@dataclass(frozen=True, slots=True)
class Ask:
    """`values` fill the route's parameters that have no value of their own in the test's world."""

    method: str
    route: str
    level: str
    status: int = 200
    body: Any = None
    values: tuple[tuple[str, str], ...] = ()
    refusal: int = 403  # a panel shows the refusal in its place: 200, and nothing has changed
    known: int = 0  # what whoever is signed in already is answered, where that differs
    ops: int = 0  # and what ops are
    looks: bool = False  # it is asked by POST, and changes nothing

    @property
    def api(self) -> bool:
        return self.route.startswith("api/") and self.route != "api/docs/"

    @property
    def kubernetes(self) -> bool:
        """Refusals there are Kubernetes' own `Status`, not our problem+json."""
        return "/k8s/" in self.route

    @property
    def read(self) -> bool:
        """What the scope “read” lets through: looking at what a viewer may look at."""
        return (self.method in SAFE or self.looks) and _FROM[self.level] <= _FROM[VIEWER]

    @property
    def admin(self) -> bool:
        return self.route.startswith("admin/")

    @property
    def json(self) -> bool:
        return self.api or self.route in {"pipelines/judge/", "configuration/judge/"}

    def treated_as(self, role: str) -> str:
        """Tokens open the API alone; everywhere else their bearer is nobody."""
        if role == "token":
            return "owner" if self.api else "anonymous"
        return TREATED_AS.get(role, role)

    def allows(self, role: str) -> bool:
        """Whether the persona is let through, whatever the answer then is."""
        if role == "token" and self.api and self.level != PUBLIC and not self.read:
            return False
        return suffices(self.treated_as(role), self.level)

    def expected(self, role: str) -> int:
        """The status this role is answered with; 302 stands for the way to the sign-in."""
        who = self.treated_as(role)
        if self.ops and who == "ops":
            return self.ops
        if self.known and who != "anonymous":
            return self.known
        if self.allows(role):
            return self.status
        if self.admin:
            return 302
        if who == "anonymous":
            return 401 if self.api else 302
        return 404 if who == "stranger" and self.level != OPS else self.refusal


TEXT = "pipeline { agent any\n stages { stage('a') { steps { echo 'hi' } } } }"
P = "projects/<str:slug>/"
NIGHTS = {
    "name": "Nights",
    "reason": "Nobody is awake",
    "environments": ["staging"],
    "timezone": "Asia/Shanghai",
    "kind": "weekly",
    "weekdays": [4],
    "start_time": "22:00",
    "end_time": "06:00",
}
WAITS = (("pk", "@waiting"),)  # the deployment that waits for approval
TO_TEST = {"machine": "test-a", "action": "deploy", "version": 1}
TO_PROD = {"machine": "prod", "action": "deploy", "version": 1}
HOOK = {"kind": "webhook", "name": "hook", "address": "https://hooks.example.org/x"}
EAST = (("name", "east"), ("path", "api/v1/namespaces/shop-test/pods"))
EAST_POD = (("name", "east"), ("path", "api/v1/namespaces/shop-test/pods/web-1"))
NOBODYS = (("pk", "999999"),)
OF_TEMPLATE = (("slug", "node"),)
OF_CONFIG = (("source", "database"), ("key", "shop/none.yaml"))

API = [
    Ask("GET", "api/audit/", OPS),
    Ask("GET", "api/projects/", SIGNED_IN),
    Ask("POST", "api/projects/", SIGNED_IN, 201, {"slug": "another"}),
    Ask("GET", f"api/{P}", VIEWER),
    Ask("PATCH", f"api/{P}", MAINTAINER, 200, {"name": "Other"}),
    Ask("PATCH", f"api/{P}", MAINTAINER, 200, {"spec": {"command": ["./run"]}}),
    Ask("GET", f"api/{P}members/", VIEWER),
    Ask("POST", f"api/{P}members/", OWNER, 200, {"user": "zoe", "role": "viewer"}),
    Ask("PUT", f"api/{P}machines/<str:name>/", OPS, 204),
    Ask("DELETE", f"api/{P}machines/<str:name>/", OPS, 204),
    Ask("GET", "api/machines/", SIGNED_IN),
    Ask("POST", "api/machines/", OPS, 201, {"name": "new-one", "cluster": "local", "environment": "test"}),
    Ask("GET", "api/clusters/", SIGNED_IN),
    Ask("POST", "api/clusters/", OPS, 422, {"name": "x", "kind": "none"}),
    Ask("GET", "api/connections/", OPS),
    Ask("POST", "api/connections/", OPS, 201, {"name": "new-one", "kind": "git"}),
    Ask("GET", "api/connections/<str:name>/", OPS),
    Ask("PATCH", "api/connections/<str:name>/", OPS, 200, {"config": {}}),
    Ask("DELETE", "api/connections/<str:name>/", OPS, 204),
    Ask("POST", "api/connections/<str:name>/test/", OPS),
    Ask("GET", "api/builds/", SIGNED_IN),
    Ask("GET", "api/builds/<int:pk>/", VIEWER),
    Ask("GET", "api/builds/<int:pk>/log/", VIEWER),
    Ask("POST", "api/builds/<int:pk>/cancel/", DEVELOPER, 202),
    Ask("POST", "api/builds/<int:pk>/retry/", DEVELOPER, 409),
    Ask("POST", "api/builds/<int:pk>/inputs/<str:ident>/", DEVELOPER, 202, {"proceed": True}),
    Ask("GET", f"api/{P}builds/", VIEWER),
    Ask("POST", f"api/{P}builds/", DEVELOPER, 201, {"ref": "main"}),
    Ask("GET", f"api/{P}versions/", VIEWER),
    Ask("GET", "api/versions/<int:pk>/", VIEWER),
    Ask("GET", "api/versions/<int:pk>/archive/", VIEWER),
    Ask("GET", f"api/{P}pipeline/", VIEWER),
    Ask("PUT", f"api/{P}pipeline/", MAINTAINER, 200, {"text": TEXT}),
    Ask("GET", f"api/{P}pipeline/revisions/", VIEWER),
    Ask("GET", "api/projects/<str:slug>/credentials/", MAINTAINER),
    Ask(
        "POST",
        "api/projects/<str:slug>/credentials/",
        MAINTAINER,
        201,
        {"id": "KEY", "kind": "text", "values": {"secret": "s"}},
    ),
    Ask("DELETE", "api/projects/<str:slug>/credentials/<str:ident>/", MAINTAINER, 404, values=(("ident", "none"),)),
    Ask("POST", "api/pipelines/validate/", SIGNED_IN, 200, {"text": TEXT}, looks=True),
    Ask("GET", "api/deployments/", SIGNED_IN),
    Ask("GET", "api/deployments/<int:pk>/", VIEWER),
    Ask("GET", "api/deployments/<int:pk>/events/", VIEWER),
    Ask("POST", "api/deployments/<int:pk>/cancel/", DEVELOPER, 202),
    Ask("POST", "api/deployments/<int:pk>/pause/", DEVELOPER, 202),
    Ask("POST", "api/deployments/<int:pk>/resume/", DEVELOPER, 409),
    Ask("GET", f"api/{P}deployments/", VIEWER),
    Ask("POST", f"api/{P}deployments/", DEVELOPER, 409, TO_TEST),
    Ask("POST", f"api/{P}deployments/", MAINTAINER, 201, TO_PROD),
    Ask("POST", f"api/{P}deployments/preview/", VIEWER, 200, TO_TEST, looks=True),
    Ask("GET", f"api/{P}services/", VIEWER),
    Ask("GET", "api/services/<int:pk>/", VIEWER),
    Ask("GET", "api/services/<int:pk>/instances/", VIEWER),
    Ask("GET", "api/services/<int:pk>/health-check/", VIEWER),
    Ask("PUT", "api/services/<int:pk>/health-check/", MAINTAINER, 200, {"readiness": {"tcp": {}}}),
    Ask("GET", "api/services/<int:pk>/logs/", VIEWER),
    Ask("GET", "api/schema/", SIGNED_IN),
    Ask("GET", "api/docs/", SIGNED_IN),
    # who one is, and the gateway's sign-in
    Ask("POST", "api/auth/token/", PUBLIC, 400, {}),
    Ask("POST", "api/auth/token/", PUBLIC, 401, {"username": "nobody-at-all", "password": "wrong"}),
    Ask("POST", "api/auth/token/refresh/", PUBLIC, 401, {"refresh": "none"}),
    Ask("POST", "api/auth/token/revoke/", PUBLIC, 204, {"refresh": "none"}),
    Ask("GET", "api/me/", SIGNED_IN),
    # the audit
    Ask("GET", "api/audit/", MAINTAINER, 200, {"project": "shop"}),
    Ask("POST", f"api/{P}access-requests/", SIGNED_IN, 201, {"role": "owner", "reason": "x", "emergency": True}),
    Ask("POST", f"api/{P}machine-requests/", DEVELOPER, 201, {"machine": "stage", "reason": "trial"}),
    Ask("GET", "api/requests/", SIGNED_IN),
    Ask("GET", "api/requests/<int:pk>/", OWNER, refusal=404),
    Ask("POST", "api/requests/<int:pk>/approve/", OWNER, refusal=404),
    Ask("POST", "api/requests/<int:pk>/reject/", OWNER, 200, {"note": "no"}, refusal=404),
    Ask("POST", "api/requests/<int:pk>/withdraw/", OWNER, 403, refusal=404),
    Ask("POST", "api/requests/<int:pk>/review/", OWNER, 409, {"note": "seen"}, refusal=404),
    Ask("POST", "api/role-grants/<int:pk>/renew/", SIGNED_IN, 404),
    Ask("POST", "api/machine-grants/<int:pk>/renew/", VIEWER, 409),
    # approval and freeze windows
    Ask("GET", "api/machines/<str:name>/", SIGNED_IN),
    Ask("PATCH", "api/machines/<str:name>/", OPS, 200, {"approval": {"needed": 1}}),
    Ask("GET", "api/machines/<str:name>/freezes/", SIGNED_IN),
    Ask("GET", "api/freezes/", SIGNED_IN),
    Ask("POST", "api/freezes/", OPS, 201, {**NIGHTS, "name": "Other nights"}),
    Ask("GET", "api/freezes/<int:pk>/", SIGNED_IN),
    Ask("PATCH", "api/freezes/<int:pk>/", OPS, 200, {"active": False}),
    Ask("DELETE", "api/freezes/<int:pk>/", OPS, 204),
    Ask("POST", "api/deployments/<int:pk>/approve/", MAINTAINER, 202, {"note": "fine"}, WAITS),
    Ask("POST", "api/deployments/<int:pk>/reject/", MAINTAINER, 202, {"note": "not today"}, WAITS),
    # who is told
    Ask("GET", "api/me/notifications/", SIGNED_IN),
    Ask("PATCH", "api/me/notifications/", SIGNED_IN, 200, {"language": "en"}),
    Ask("GET", "api/me/channels/", SIGNED_IN),
    Ask("POST", "api/me/channels/", SIGNED_IN, 201, HOOK),
    Ask("PATCH", "api/me/channels/<int:pk>/", SIGNED_IN, 404, {"enabled": False}, NOBODYS),
    Ask("DELETE", "api/me/channels/<int:pk>/", SIGNED_IN, 404, values=NOBODYS),
    Ask("POST", "api/me/channels/<int:pk>/test/", SIGNED_IN, 404, values=NOBODYS),
    Ask("GET", "api/me/deliveries/", SIGNED_IN),
    Ask("GET", f"api/{P}channels/", MAINTAINER),
    Ask("POST", f"api/{P}channels/", MAINTAINER, 201, HOOK),
    Ask("PATCH", f"api/{P}channels/<int:pk>/", MAINTAINER, 404, {"enabled": False}, NOBODYS),
    Ask("DELETE", f"api/{P}channels/<int:pk>/", MAINTAINER, 404, values=NOBODYS),
    Ask("POST", f"api/{P}channels/<int:pk>/test/", MAINTAINER, 404, values=NOBODYS),
    Ask("GET", f"api/{P}deliveries/", MAINTAINER),
    # what builds a project and where its images go
    Ask("PATCH", f"api/{P}", MAINTAINER, 200, {"builder": {"kind": "embedded"}, "registry": {"image": "team/app"}}),
    Ask("PATCH", f"api/{P}", MAINTAINER, 422, {"registry": {"connection": "origin"}}),
    # templates and the build service
    Ask("GET", "api/templates/", SIGNED_IN),
    Ask("POST", "api/templates/", OPS, 201, {"slug": "ours", "text": TEXT}),
    Ask("GET", "api/templates/<str:slug>/", SIGNED_IN, values=OF_TEMPLATE),
    Ask("PUT", "api/templates/<str:slug>/", OPS, 200, {"text": TEXT}, OF_TEMPLATE),
    Ask("GET", "api/templates/<str:slug>/revisions/", SIGNED_IN, values=OF_TEMPLATE),
    Ask("GET", "api/templates/<str:slug>/diff/", SIGNED_IN, values=OF_TEMPLATE),
    Ask("GET", "api/templates/<str:slug>/projects/", SIGNED_IN, values=OF_TEMPLATE),
    Ask("PUT", f"api/{P}pipeline/", MAINTAINER, 200, {"template": "node"}),
    Ask("POST", f"api/{P}pipeline/upgrade/", MAINTAINER, 404, {}),
    Ask("POST", "api/build-service/resolve/", SIGNED_IN, 200, {"files": ["pom.xml"]}, looks=True),
    Ask("POST", "api/build-service/resolve/", VIEWER, 404, {"project": "shop"}, looks=True),
    # what builds by itself
    Ask("GET", f"api/{P}triggers/", VIEWER),
    Ask("PUT", f"api/{P}triggers/", MAINTAINER, 200, {"branches": ["main"]}),
    Ask("GET", f"api/{P}pushes/", VIEWER),
    # clusters
    Ask("GET", "api/clusters/<str:name>/", SIGNED_IN),
    Ask("PATCH", "api/clusters/<str:name>/", OPS, 200, {"description": "Here"}),
    # configuration
    Ask("GET", f"api/{P}configs/", VIEWER),
    Ask("GET", f"api/{P}configs/text/<path:key>/", DEVELOPER, 404, values=OF_CONFIG),
    Ask("PUT", f"api/{P}configs/text/<path:key>/", MAINTAINER, 200, {"text": "a: 1\n"}, OF_CONFIG),
    Ask("DELETE", f"api/{P}configs/text/<path:key>/", MAINTAINER, 404, values=OF_CONFIG),
    Ask("GET", f"api/{P}configs/history/<path:key>/", DEVELOPER, values=OF_CONFIG),
    Ask("GET", f"api/{P}configs/diff/<path:key>/", DEVELOPER, 404, values=OF_CONFIG),
    # the gateway; the cluster has no connection, so that whoever may change something is told so
    Ask("GET", "api/clusters/<str:name>/k8s/<path:path>", VIEWER, values=EAST),
    Ask("GET", "api/clusters/<str:name>/k8s/<path:path>", VIEWER, 404, values=(("path", "version"),)),
    Ask("POST", "api/clusters/<str:name>/k8s/<path:path>", DEVELOPER, 403, values=EAST),
    Ask("PATCH", "api/clusters/<str:name>/k8s/<path:path>", DEVELOPER, 415, values=EAST_POD),
    Ask("DELETE", "api/clusters/<str:name>/k8s/<path:path>", DEVELOPER, 422, values=EAST_POD),
]

PAGES = [
    Ask("GET", "healthz", PUBLIC),
    Ask("GET", "readyz", PUBLIC),
    Ask("GET", "metrics", PUBLIC),
    Ask("GET", "sign-in/", PUBLIC, known=302),
    Ask("POST", "sign-in/", PUBLIC, 200, {"username": "nobody", "password": "wrong"}, known=302),
    Ask("PUT", "sign-in/", PUBLIC, 200, {}, known=302),
    Ask("GET", "sign-out/", PUBLIC, 405),
    Ask("POST", "sign-out/", PUBLIC, 302),
    Ask("POST", "language/", PUBLIC, 302, {"language": "en"}),
    Ask("GET", "me/", SIGNED_IN),
    Ask("GET", "me/tokens/", SIGNED_IN),
    Ask("POST", "me/tokens/", SIGNED_IN, 200, {"name": "mine"}),
    Ask("POST", "me/tokens/<int:pk>/revoke/", SIGNED_IN, 404),
    Ask("GET", "projects/", SIGNED_IN),
    Ask("GET", "projects/new/", SIGNED_IN),
    Ask("POST", "projects/new/", SIGNED_IN, 422, {}),
    Ask("GET", f"{P}settings/", VIEWER),
    Ask("POST", f"{P}settings/", MAINTAINER, 302, {"form": "archive", "archived": "1"}),
    Ask("POST", f"{P}settings/", OWNER, 302, {"form": "member", "user": "zoe", "role": "viewer"}),
    Ask("POST", f"{P}settings/", OWNER, 302, {"form": "remove_member", "user": "zoe"}),
    Ask("GET", "builds/", SIGNED_IN),
    Ask("GET", "builds/<int:pk>/", VIEWER),
    Ask("GET", "builds/<int:pk>/log/lines/", VIEWER),
    Ask("GET", "builds/<int:pk>/log/find/", VIEWER),
    Ask("GET", "builds/<int:pk>/log/marks/", VIEWER),
    Ask("GET", "builds/<int:pk>/log/download/", VIEWER),
    Ask("GET", "builds/<int:pk>/tests/", VIEWER),
    Ask("POST", "builds/<int:pk>/inputs/<str:ident>/", DEVELOPER, 302, {"proceed": "1"}),
    Ask("GET", "builds/<int:pk>/files/<path:path>", VIEWER, 404),
    Ask("POST", "builds/<int:pk>/do/<str:verb>/", DEVELOPER, 302, {}, (("verb", "cancel"),)),
    Ask("GET", "versions/<int:pk>/archive/", VIEWER),
    Ask("POST", "pipelines/judge/", SIGNED_IN, 200, {"text": TEXT}),
    Ask("GET", f"{P}builds/", VIEWER),
    Ask("GET", f"{P}builds/start/", VIEWER),
    Ask("POST", f"{P}builds/start/", DEVELOPER, 204, {"ref": "main"}, refusal=200),
    Ask("GET", f"{P}versions/", VIEWER),
    Ask("GET", f"{P}pipeline/", VIEWER),
    Ask("POST", f"{P}pipeline/", MAINTAINER, 302, {"text": TEXT}),
    Ask("GET", f"{P}pipeline/<int:number>/", VIEWER),
    Ask("POST", f"{P}pipeline/<int:number>/", MAINTAINER, 302, {}),
    Ask("GET", "", SIGNED_IN),
    Ask("GET", "search/", SIGNED_IN),
    Ask("GET", "machines/", SIGNED_IN),
    Ask("GET", "deployments/", SIGNED_IN),
    Ask("GET", "deployments/<int:pk>/", VIEWER),
    Ask("POST", "deployments/<int:pk>/<str:verb>/", DEVELOPER, 204, {}, (("verb", "cancel"),)),
    Ask("GET", "services/<int:pk>/logs/", VIEWER),
    Ask("GET", P, VIEWER),
    Ask("GET", f"{P}deployments/", VIEWER),
    Ask("GET", f"{P}change/", VIEWER, 200, {"action": "deploy", "machine": "test-a"}),
    Ask("POST", f"{P}change/", MAINTAINER, 204, {"action": "deploy", "machine": "prod", "version": "1"}, refusal=200),
    # people's own pages, and ops' of service accounts
    Ask("GET", "me/sessions/", SIGNED_IN),
    Ask("POST", "me/sessions/", SIGNED_IN, 302),
    Ask("POST", "me/sessions/<int:pk>/end/", SIGNED_IN, 404, values=(("pk", "999999"),)),
    Ask("GET", "me/password/", SIGNED_IN),
    Ask("POST", "me/password/", SIGNED_IN, 422, {}),
    Ask("GET", "service-accounts/", OPS),
    Ask("POST", "service-accounts/", OPS, 422, {}),
    Ask("GET", "service-accounts/<int:pk>/", OPS, 404, values=(("pk", "999999"),)),
    Ask("POST", "service-accounts/<int:pk>/", OPS, 404, {}, values=(("pk", "999999"),)),
    # the audit
    Ask("GET", "audit/", OPS),
    Ask("GET", "audit/", MAINTAINER, 200, {"project": "shop"}),
    Ask("GET", "audit/export/", OPS, 200, {"format": "json"}),
    Ask("GET", "audit/export/", MAINTAINER, 200, {"project": "shop"}),
    Ask("GET", "requests/", SIGNED_IN),
    Ask("GET", "requests/new/", SIGNED_IN),
    Ask(
        "POST", "requests/new/", SIGNED_IN, 302, {"project": "nothing", "kind": "role", "role": "viewer", "reason": "x"}
    ),
    Ask("GET", "requests/<int:pk>/", OWNER, refusal=404),
    Ask("POST", "requests/<int:pk>/", OWNER, 422, {"do": "reject"}, refusal=404),
    Ask("POST", "requests/renew/<str:kind>/<int:pk>/", SIGNED_IN, 404, {}, (("kind", "other"),)),
    # approval and freeze windows
    Ask("GET", "freezes/", SIGNED_IN),
    Ask("POST", "deployments/<int:pk>/<str:verb>/", MAINTAINER, 204, {}, (("verb", "approve"), *WAITS)),
    Ask("POST", "deployments/<int:pk>/<str:verb>/", MAINTAINER, 204, {"note": "no"}, (("verb", "reject"), *WAITS)),
    # who is told
    Ask("GET", "me/notifications/", SIGNED_IN),
    Ask("POST", "me/notifications/", SIGNED_IN, 302, {"form": "choices"}),
    Ask("GET", f"{P}channels/", MAINTAINER),
    Ask("POST", f"{P}channels/", MAINTAINER, 302, {"form": "choices"}),
    # what builds a project and where its images go
    Ask("POST", f"{P}settings/", MAINTAINER, 302, {"form": "building", "image": "team/app"}),
    # templates
    Ask("GET", "templates/", SIGNED_IN),
    Ask("GET", "templates/<str:slug>/", SIGNED_IN, values=OF_TEMPLATE),
    Ask("GET", "templates/<str:slug>/compare/", SIGNED_IN, values=OF_TEMPLATE),
    Ask("GET", f"{P}pipeline/template/", VIEWER),
    Ask("POST", f"{P}pipeline/template/", MAINTAINER, 302, {"template": "node"}),
    Ask("GET", f"{P}pipeline/compare/", VIEWER, 404),
    Ask("GET", f"{P}pipeline/upgrade/", VIEWER, 404),
    Ask("GET", f"{P}pipeline/job/", VIEWER, 404),
    Ask("POST", f"{P}pipeline/job/", MAINTAINER, 404),
    Ask("POST", f"{P}pipeline/upgrade/", MAINTAINER, 422, {"text": TEXT}),
    # what builds by itself
    Ask("GET", f"{P}triggers/", VIEWER),
    Ask("POST", f"{P}triggers/", MAINTAINER, 302, {"branches": "main", "debounce_s": "0", "cancel": "changes"}),
    Ask("POST", f"{P}triggers/try/", VIEWER, 200, {"kind": "branches", "name": "main"}, looks=True),
    # clusters
    Ask("GET", "clusters/", SIGNED_IN),
    Ask("GET", "clusters/<str:name>/", SIGNED_IN),
    # a service
    Ask("GET", "services/<int:pk>/", VIEWER),
    Ask("GET", "services/<int:pk>/terminal/", DEVELOPER),
    # configuration
    Ask("GET", f"{P}configuration/", VIEWER),
    Ask("POST", f"{P}configuration/", MAINTAINER, 302, {"form": "bind", "source": ""}),
    Ask("GET", f"{P}configuration/<str:source>/<path:key>/", DEVELOPER, values=OF_CONFIG),
    Ask(
        "POST", f"{P}configuration/<str:source>/<path:key>/", MAINTAINER, 302, {"form": "save", "text": "a"}, OF_CONFIG
    ),
    Ask("POST", "configuration/judge/", SIGNED_IN, 200, {"text": "a: 1"}),
    # a terminal
    Ask("GET", "services/<int:pk>/terminal/", DEVELOPER),
]
