"""What servers send, as their documentation has it: headers and body of a delivery, signed as each kind signs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

SECRET = "a long webhook secret, ünïcode too 密"
OLD, NEW = "a" * 40, "b" * 40
Headers = dict[str, str]
JSON = {"Content-Type": "application/json"}


def mac(secret: str, *parts: bytes) -> str:
    return hmac.new(secret.encode(), b"".join(parts), hashlib.sha256).hexdigest()


def as_bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def github_push(**changes: Any) -> dict[str, Any]:
    return {
        "ref": "refs/heads/main",
        "before": OLD,
        "after": NEW,
        "created": False,
        "deleted": False,
        "forced": False,
        "repository": {
            "full_name": "octo/shop",
            "private": False,
            "html_url": "https://github.example/octo/shop",
            "clone_url": "https://github.example/octo/shop.git",
            "ssh_url": "git@github.example:octo/shop.git",
            "git_url": "git://github.example/octo/shop.git",
            "pushed_at": 1795421933,
        },
        "pusher": {"name": "octocat", "email": "octo@example.com"},
        "sender": {"login": "octocat"},
        "head_commit": {"id": NEW, "message": "Change something"},
        **changes,
    }


def gitlab_push(kind: str = "push", **changes: Any) -> dict[str, Any]:
    return {
        "object_kind": kind,
        "event_name": kind,
        "before": OLD,
        "after": NEW,
        "ref": "refs/heads/main" if kind == "push" else "refs/tags/v1",
        "checkout_sha": NEW,
        "user_name": "Jo Smith",
        "user_username": "jsmith",
        "project": {
            "name": "Shop",
            "web_url": "http://gitlab.example/team/shop",
            "git_ssh_url": "git@gitlab.example:team/shop.git",
            "git_http_url": "http://gitlab.example/team/shop.git",
            "path_with_namespace": "team/shop",
        },
        "repository": {"name": "Shop", "url": "git@gitlab.example:team/shop.git"},
        **changes,
    }


def gitea_push(**changes: Any) -> dict[str, Any]:
    return {
        "secret": "told in the body by old versions",
        "ref": "refs/heads/develop",
        "before": OLD,
        "after": NEW,
        "repository": {
            "full_name": "gitea/webhooks",
            "html_url": "http://gitea.example:3000/gitea/webhooks",
            "ssh_url": "ssh://gitea@gitea.example:2222/gitea/webhooks.git",
            "clone_url": "http://gitea.example:3000/gitea/webhooks.git",
        },
        "pusher": {"login": "gitea", "username": "gitea"},
        "sender": {"login": "gitea", "username": "gitea"},
        **changes,
    }


def gerrit_line(ref: str = "refs/heads/master", old: str = OLD, new: str = NEW, project: str = "demo/app") -> bytes:
    update = {"oldRev": old, "newRev": new, "refName": ref, "project": project}
    event = {
        "submitter": {"username": "admin"},
        "refUpdate": update,
        "type": "ref-updated",
        "eventCreatedOn": 1795421933,
    }
    return json.dumps(event).encode()


def github(body: Any, secret: str = SECRET, event: str = "push", ident: str = "72d3162e-cc78") -> tuple[Headers, bytes]:
    data = as_bytes(body)
    signature = f"sha256={mac(secret, data)}"
    return {"X-GitHub-Event": event, "X-GitHub-Delivery": ident, "X-Hub-Signature-256": signature, **JSON}, data


def gitlab(body: Any, secret: str = SECRET, ident: str = "f5e5f430") -> tuple[Headers, bytes]:
    told = {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": secret, "Idempotency-Key": ident}
    return {**told, **JSON}, as_bytes(body)


def gitlab_signed(body: Any, key: bytes, at: float | None = None, ident: str = "msg_1") -> tuple[Headers, bytes]:
    data = as_bytes(body)
    stamp = str(int(time.time() if at is None else at))
    signature = base64.b64encode(hmac.digest(key, f"{ident}.{stamp}.".encode() + data, "sha256")).decode()
    told = {"webhook-id": ident, "webhook-timestamp": stamp, "webhook-signature": f"v1,{signature}"}
    return {"X-Gitlab-Event": "Push Hook", **told, **JSON}, data


def gitea(body: Any, secret: str = SECRET, ident: str = "f6266f16") -> tuple[Headers, bytes]:
    data = as_bytes(body)
    told = {"X-GitHub-Event": "push", "X-Gitea-Event": "push", "X-Gitea-Delivery": ident}
    return {**told, "X-Gitea-Signature": mac(secret, data), **JSON}, data


def ours(body: Any, secret: str = SECRET, at: float | None = None, **more: str) -> tuple[Headers, bytes]:
    """As our trigger, and whatever speaks the generic form, sign."""
    data = as_bytes(body)
    stamp = str(int(time.time() if at is None else at))
    signature = f"sha256={mac(secret, f'{stamp}.'.encode(), data)}"
    return {"X-FDD-Timestamp": stamp, "X-FDD-Signature": signature, **JSON, **more}, data


def basic(body: bytes, secret: str = SECRET) -> tuple[Headers, bytes]:
    pair = base64.b64encode(f"gerrit:{secret}".encode()).decode()
    return {"Authorization": f"Basic {pair}", "Content-Type": "application/json; charset=utf-8"}, body


def lower(headers: Headers) -> Headers:
    """As an application is handed them."""
    return {name.lower(): value for name, value in headers.items()}
