"""Scopes of API tokens as data: which project permissions each lets through. A token never gives, it only limits.

An actor object carries its token's scopes (`actor.scopes`, see `permissions.tokens`); none means all that its person
may do. `policy` asks here, so that every door keeps to them.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from permissions.roles import PROJECT_PERMISSIONS


class Scope(models.TextChoices):
    """What a token may be limited to; several add up, and each lets one look."""

    READ = "read", _("read: look at projects, builds, logs and services")
    BUILD = "build", _("build: push, start and cancel builds")
    DEPLOY = "deploy", _("deploy: deploy, roll back, restart and scale")
    MANAGE = "manage", _("manage: settings, members, new projects, tokens and requests")
    OPS = "ops", _("ops: machines, clusters, connections and approvals")


ALLOWS: dict[str, frozenset[str]] = {
    Scope.READ: frozenset({"view_project"}),
    Scope.BUILD: frozenset({"view_project", "build_project"}),
    Scope.DEPLOY: frozenset({"view_project", "deploy_test_project", "deploy_project", "operate_project"}),
    Scope.MANAGE: frozenset({"view_project", "change_project", "own_project"}),
    Scope.OPS: frozenset(codename for codename, _label in PROJECT_PERMISSIONS),
}


def carried(actor: Any) -> frozenset[str]:
    """The scopes an actor came with; empty: no limit."""
    return frozenset(getattr(actor, "scopes", ()))


def limited(actor: Any, held: frozenset[str]) -> frozenset[str]:
    """What is left of these permissions within the actor's scopes."""
    scopes = carried(actor)
    return held & frozenset().union(*(ALLOWS.get(scope, frozenset()) for scope in scopes)) if scopes else held


def lets(actor: Any, scope: str) -> bool:
    """Whether an actor may do what needs this very scope."""
    scopes = carried(actor)
    return not scopes or scope in scopes


def needed_for(codename: str) -> str:
    """The narrowest scope that lets `codename` through."""
    return next(scope for scope, allowed in ALLOWS.items() if codename in allowed)
