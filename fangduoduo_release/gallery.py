"""A living style guide at `/gallery/`: every shared part of the pages with made-up values. Mounted under DEBUG only.

Page writers look here first; the tests walk it in both languages and themes. It knows no model, so that a part is
never tied to one; its log has a million lines that exist only as a formula.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path
from django.utils import timezone

from fangduoduo_release.common.errors import Denied
from fangduoduo_release.common.sentence import S
from fangduoduo_release.common.templatetags.looks import LOOKS
from permissions.enforce import PUBLIC

LOG_LINES = 1_000_000
STEPS = ("Checkout", "Build", "Test", "Package")
SHA = "9f3c2ab17de04c58b1e6a2f4d7709c3e5a81b6cd"
DIGEST = "sha256:4b1d0f3ce8a97a52bd6c1de09f0c9f62c1f3a7c4d2e58ab3907f6d1c0b2e4a5f"
DIFF = """--- a/service.yaml
+++ b/service.yaml
@@ -3,7 +3,8 @@ spec:
   replicas: 2
   port: 8080
   env:
-    LOG_LEVEL: debug
+    LOG_LEVEL: info
+    FEATURE_CART: "on"
   health_check:
     http: /healthz
     period_s: 5
"""
PIPELINE = """pipeline {
    agent any
    parameters {
        string(name: 'REGION', defaultValue: 'bj', description: 'Where to publish')
    }
    stages {
        stage('Build') {
            steps {
                sh 'make build'
            }
        }
        stage('Test') {
            parallel {
                stage('Unit') { steps { sh 'make unit' } }
                stage('Browser') { steps { sh 'make browser' } }
            }
        }
    }
}
"""


class SampleForm(forms.Form):
    """One field of each kind."""

    name = forms.CharField(label="Name", help_text="Lower-case letters, digits and dashes.")
    template = forms.ChoiceField(label="Template", choices=[("node", "Node.js"), ("java", "Java (Maven)")])
    notes = forms.CharField(label="Notes", required=False, widget=forms.Textarea)
    tests = forms.BooleanField(label="Run the tests afterwards", required=False)
    strategy = forms.ChoiceField(
        label="Strategy", choices=[("rolling", "Rolling"), ("canary", "Canary")], widget=forms.RadioSelect
    )


class SampleFilter(forms.Form):
    """A filter bar."""

    q = forms.CharField(label="Search", required=False)
    state = forms.ChoiceField(label="State", required=False, choices=[("", "All"), ("failed", "Failed")])


def _stages() -> list[dict[str, Any]]:
    started = timezone.now() - timedelta(seconds=34)
    return [
        {"id": "1", "name": "Checkout", "state": "succeeded", "duration_ms": 2100},
        {"id": "2", "name": "Build", "state": "succeeded", "duration_ms": 48200},
        {
            "id": "3",
            "name": "Checks",
            "state": "running",
            "started_at": started,
            "parallel": [
                {"id": "4", "name": "Unit tests", "state": "unstable", "duration_ms": 31000},
                {"id": "5", "name": "Browser tests", "state": "running", "started_at": started, "expected_ms": 80000},
                {
                    "id": "6",
                    "name": "Image",
                    "state": "running",
                    "stages": [
                        {"id": "7", "name": "Pack", "state": "succeeded", "duration_ms": 9000},
                        {"id": "8", "name": "Push", "state": "failed", "duration_ms": 15000},
                    ],
                },
            ],
        },
        {"id": "9", "name": "Publish", "state": "pending", "expected_ms": 12000},
        {"id": "10", "name": "Clean up", "state": "skipped"},
    ]


def _instances() -> list[dict[str, Any]]:
    now = timezone.now()
    return [
        {"name": "shop-api-7d9f-1", "state": "ready", "version": 128, "started_at": now - timedelta(minutes=3)},
        {"name": "shop-api-7d9f-2", "state": "starting", "version": 128, "started_at": now - timedelta(seconds=20)},
        {
            "name": "shop-api-6c11-9",
            "state": "crashed",
            "version": 127,
            "restarts": 4,
            "started_at": now - timedelta(days=2),
            "reason": S("It ended by itself with code %(code)s.", code=137),
            "old": True,
        },
    ]


def gallery(request: HttpRequest) -> HttpResponse:
    """Every part once."""
    now = timezone.now()
    bad = SampleForm({"name": "Shop API", "template": "node"})
    bad.add_error("name", "Only lower-case letters, digits and dashes are allowed.")
    context = {
        "states": list(LOOKS),
        "sha": SHA,
        "change": {"number": 123, "patch_set": 2, "branch": "main", "url": "https://review.example/c/team/app/+/123"},
        "digest_value": DIGEST,
        "diff_text": DIFF,
        "pipeline": PIPELINE,
        "stages": _stages(),
        "instances": _instances(),
        "moments": [now - timedelta(seconds=s) for s in (3, 42, 190, 9000, 200_000, 3_000_000)],
        "since": now - timedelta(seconds=50),
        "late_since": now - timedelta(seconds=130),
        "expected_ms": 80000,
        "sentence": S(
            "Instance %(name)s never became healthy within %(seconds)s s.", name="shop-api-7d9f-2", seconds=60
        ),
        "advice": S("Read its last lines below; the old version keeps serving."),
        "evidence": "listening on :8080\npanic: no database\nexit status 2",
        "denied": S("Only a maintainer of %(project)s may deploy to production.", project="shop-api"),
        "rule": S("Production: maintainers and owners, on machines granted to the project."),
        "people": ["Li Wei", "房晓明"],
        "tabs": [
            {"key": "board", "label": "Board", "url": "#board"},
            {"key": "builds", "label": "Builds", "url": "#builds", "count": 128},
            {"key": "settings", "label": "Settings", "url": "#settings", "lock": True},
        ],
        "crumbs": [{"label": "Projects", "url": "#"}],
        "form": bad,
        "filter_form": SampleFilter(),
        "section": "projects",
    }
    return render(request, "gallery/gallery.html", context)


def panel(request: HttpRequest) -> HttpResponse:
    """The slide-in panel; `?production=1` shows its red edge."""
    production = "prod-bj" if request.GET.get("production") else ""
    context = {
        "production": production,
        "action_url": request.path,
        "diff_text": DIFF,
        "sha": SHA,
        "expected_ms": 80000,
    }
    return render(request, "gallery/panel.html", context)


def refused(request: HttpRequest) -> HttpResponse:
    """What the panel shows when an action is refused."""
    error = Denied(
        S("Only a maintainer of %(project)s may deploy to production.", project="shop-api"),
        rule="deploy_production",
        granted_by=["Li Wei"],
        request_url="#ask",
    )
    answer = render(request, "errors/fragment.html", {"error": error}, status=403)
    answer["HX-Retarget"] = "#panel-body"
    answer["HX-Reswap"] = "innerHTML"
    return answer


def validate(request: HttpRequest) -> JsonResponse:
    """A stand-in for a validator: complains where a line says `broken`."""
    text = str(json.loads(request.body or b"{}").get("text", ""))
    errors = [
        {"line": number, "column": line.index("broken") + 1, "message": "Nothing is called “broken” here."}
        for number, line in enumerate(text.splitlines(), 1)
        if "broken" in line
    ]
    return JsonResponse({"valid": not errors, "errors": errors, "warnings": [], "judge": "embedded"})


def _log_line(number: int) -> list[Any]:
    """Line `number` (from 1) of the made-up log: [number, ms, stage, step, text]."""
    part = min(len(STEPS) - 1, (number - 1) * len(STEPS) // LOG_LINES)
    first = part * (LOG_LINES // len(STEPS)) + 1
    text = f"line {number} of a million: compiling module_{number % 977}.ts"
    if number == first:
        text = f"+ make {STEPS[part].lower()}"
    elif number == 750_321:
        text = "\x1b[1;31mERROR\x1b[0m expected 200 but got 500 <b>not bold</b>"
    elif number % 7 == 0:
        text = f"\x1b[32m✓\x1b[0m case {number} passed \x1b[90m({number % 13} ms)\x1b[0m"
    elif number % 50 == 0:
        text = "a long line that wraps: " + "lorem ipsum dolor sit amet " * 12
    return [number, 1_700_000_000_000 + number * 7, str(part + 1), str(part + 1), text]


def log_lines(request: HttpRequest) -> JsonResponse:
    """See the protocol in `static/js/logview.js`."""
    count = min(int(request.GET.get("count", 500)), 2000)
    asked = int(request.GET.get("from", 1))
    first = max(1, LOG_LINES + 1 + asked if asked < 0 else asked)
    lines = [_log_line(number) for number in range(first, min(LOG_LINES, first + count - 1) + 1)]
    size = LOG_LINES * 60
    answer = {"first": first, "total_lines": LOG_LINES, "total_bytes": size, "next_offset": size, "complete": True}
    return JsonResponse({**answer, "lines": lines})


def log_find(request: HttpRequest) -> JsonResponse:
    """The next line with the words, looking at most 20,000 lines far (it is only a gallery)."""
    wanted, after = request.GET.get("q", "").lower(), int(request.GET.get("after", 0))
    step = -1 if request.GET.get("direction") == "prev" else 1
    for number in range(after + step, after + step * 20_000, step):
        if 1 <= number <= LOG_LINES and wanted in _log_line(number)[4].lower():
            return JsonResponse({"line": number})
    return JsonResponse({"line": None})


def log_marks(request: HttpRequest) -> JsonResponse:
    """Where the steps begin, and the first error."""
    share = LOG_LINES // len(STEPS)
    steps = [
        {"step": str(i + 1), "stage": str(i + 1), "label": name, "first_line": i * share + 1, "line_count": share}
        for i, name in enumerate(STEPS)
    ]
    return JsonResponse({"first_error": 750_321, "steps": steps})


def public(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Every view says who may see it (`permissions/enforce.py`); made-up values are for everybody."""
    view.permission = PUBLIC  # type: ignore[attr-defined]
    return view


urlpatterns = [
    path("", public(gallery), name="gallery"),
    path("panel/", public(panel), name="gallery-panel"),
    path("refused/", public(refused), name="gallery-refused"),
    path("validate/", public(validate), name="gallery-validate"),
    path("log/lines/", public(log_lines), name="gallery-log-lines"),
    path("log/find/", public(log_find), name="gallery-log-find"),
    path("log/marks/", public(log_marks), name="gallery-log-marks"),
]
