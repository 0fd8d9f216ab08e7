"""Who asks, and what they may: bearer tokens, client certificates, rules as RBAC has them."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field

from . import status
from .kinds import Kind, Object

ADMIN_GROUP = "system:masters"


@dataclass(frozen=True, slots=True)
class Rule:
    """`namespaces` empty: in all of them and for what is in none. Subresources are `pods/log`."""

    verbs: tuple[str, ...] = ("*",)
    resources: tuple[str, ...] = ("*",)
    groups: tuple[str, ...] = ("*",)
    namespaces: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def allows(self, verb: str, group: str, resource: str, namespace: str, name: str) -> bool:
        return (
            _any(self.verbs, verb)
            and _any(self.groups, group)
            and (_any(self.resources, resource) or "*/*" in self.resources)
            and (not self.namespaces or namespace in self.namespaces)
            and (not self.names or name in self.names)
        )


def _any(allowed: tuple[str, ...], wanted: str) -> bool:
    return "*" in allowed or wanted in allowed


@dataclass(eq=False)
class User:
    name: str
    rules: list[Rule] = field(default_factory=list)
    groups: tuple[str, ...] = ("system:authenticated",)
    token: str = ""
    expires: float = float("inf")

    def may(self, verb: str, group: str, resource: str, namespace: str = "", name: str = "") -> bool:
        if ADMIN_GROUP in self.groups:
            return True
        return any(rule.allows(verb, group, resource, namespace, name) for rule in self.rules)


ANONYMOUS = User("system:anonymous", groups=("system:unauthenticated",))


class Users:
    """By token, and by the name in a certificate."""

    def __init__(self) -> None:
        self.named: dict[str, User] = {}
        self._tokens: dict[str, User] = {}

    def add(
        self, name: str, rules: list[Rule] | None = None, *, token: str = "", expires_in: float | None = None
    ) -> User:
        """Without rules: an administrator."""
        groups = ("system:authenticated",) if rules is not None else (ADMIN_GROUP, "system:authenticated")
        user = User(name, rules or [], groups, token or secrets.token_urlsafe(24))
        if expires_in is not None:
            user.expires = time.time() + expires_in
        self.named[name] = self._tokens[user.token] = user
        return user

    def rotate(self, name: str, token: str = "") -> str:
        """Another token; the old one is worth nothing from now on."""
        user = self.named[name]
        self._tokens.pop(user.token, None)
        user.token = token or secrets.token_urlsafe(24)
        user.expires = float("inf")
        self._tokens[user.token] = user
        return user.token

    def revoke(self, name: str) -> None:
        self._tokens.pop(self.named[name].token, None)

    def who(self, authorization: str, common_name: str = "") -> User:
        if authorization:
            scheme, _, token = authorization.partition(" ")
            user = self._tokens.get(token.strip()) if scheme.lower() == "bearer" else None
            if user is None or user.expires < time.time():
                raise status.unauthorized()
            return user
        if common_name:
            found = self.named.get(common_name)
            if found is None:
                return User(common_name)
            return found
        return ANONYMOUS


def refusal(user: User, verb: str, kind: Kind, sub: str, namespace: str, name: str) -> status.Refused:
    resource = f"{kind.plural}/{sub}" if sub else kind.plural
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    why = f'User "{user.name}" cannot {verb} resource "{resource}" in API group "{kind.group}" {where}'
    return status.forbidden(kind, name, why)


def review(user: User, asked: Object) -> Object:
    """SelfSubjectAccessReview."""
    spec = asked.get("spec") or {}
    of = spec.get("resourceAttributes")
    if of is not None:
        resource = of.get("resource", "") + (f"/{of['subresource']}" if of.get("subresource") else "")
        allowed = user.may(
            of.get("verb", ""), of.get("group", ""), resource, of.get("namespace", ""), of.get("name", "")
        )
    else:
        allowed = ADMIN_GROUP in user.groups
    return {
        "kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
        "metadata": {"creationTimestamp": None}, "spec": spec,
        "status": {"allowed": allowed} | ({"reason": "RBAC: allowed"} if allowed else {}),
    }  # fmt: skip


def rules_review(user: User, asked: Object) -> Object:
    """SelfSubjectRulesReview."""
    namespace = (asked.get("spec") or {}).get("namespace", "")
    if not namespace:
        raise status.bad_request("no namespace on request")
    rules = [Rule()] if ADMIN_GROUP in user.groups else user.rules
    found = [
        {"verbs": list(rule.verbs), "apiGroups": list(rule.groups), "resources": list(rule.resources)}
        | ({"resourceNames": list(rule.names)} if rule.names else {})
        for rule in rules
        if not rule.namespaces or namespace in rule.namespaces
    ]
    plain = {"verbs": ["get"], "nonResourceURLs": ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi",
                                                    "/openapi/*", "/readyz", "/version", "/version/"]}  # fmt: skip
    return {
        "kind": "SelfSubjectRulesReview", "apiVersion": "authorization.k8s.io/v1",
        "metadata": {"creationTimestamp": None}, "spec": {},
        "status": {"resourceRules": found, "nonResourceRules": [plain], "incomplete": False},
    }  # fmt: skip
