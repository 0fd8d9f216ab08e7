"""The doors' side of the policy: every page, API view and admin inherits from here and declares what it needs.

A view without a declared permission stops the process at start (`undeclared`, used by a system check).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, URLResolver
from django.views.generic import View

from fangduoduo_release.common.http import wants_json
from permissions import policy

PUBLIC = "public"  # no sign-in: sign-in page, liveness
SIGNED_IN = "signed_in"  # any person; rows are narrowed by policy.visible
OPS = "ops"
OBJECT = "object"  # the view fetches by policy.fetch and its action requires the permission


class Page(View):
    """A server-rendered page. `permission` is one of the words above; `actor` is the signed-in person."""

    permission: ClassVar[str] = ""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if self.permission != PUBLIC and not request.user.is_authenticated:
            if wants_json(request) or getattr(request, "htmx", False):
                response = HttpResponse(status=401)
                response["HX-Refresh"] = "true"
                return response
            return redirect_to_login(request.get_full_path())
        if self.permission == OPS:
            policy.require_ops(request.user)
        return super().dispatch(request, *args, **kwargs)

    @property
    def actor(self) -> Any:
        return self.request.user


def declares(view: Any) -> bool:
    """Whether a URL's callback says what it needs."""
    owner = getattr(view, "view_class", None) or getattr(view, "cls", None) or view
    return bool(getattr(owner, "permission", ""))


def undeclared(patterns: list[Any], prefix: str = "") -> Iterator[str]:
    """Addresses whose view declares no permission. Django's admin and the schema pages guard themselves."""
    for pattern in patterns:
        where = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if pattern.app_name not in {"admin"}:
                yield from undeclared(pattern.url_patterns, where)
        elif isinstance(pattern, URLPattern) and not declares(pattern.callback):
            yield where
