"""What the local runtime would run, as canonical text: compared, hashed, shown and pinned; secrets only as fingerprints.

Must not read or write anything but the key that makes the fingerprints useless elsewhere.
"""

from __future__ import annotations

import difflib
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import asdict
from pathlib import Path
from typing import Any

from clusters.drivers.runtime.base import Wanted


def fingerprint_key(root: Path) -> bytes:
    """This installation's own key (made once)."""
    path = root / "fingerprint.key"
    if not path.exists():
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = root / f".fingerprint.{os.getpid()}.{secrets.token_hex(4)}"
        new.write_bytes(secrets.token_bytes(32))
        new.chmod(0o600)
        try:
            os.link(new, path)
        except FileExistsError:
            pass
        finally:
            new.unlink()
    return path.read_bytes()


def manifest(wanted: Wanted, key: bytes) -> dict[str, Any]:
    """Everything that decides what runs and how, as plain values."""
    spec = asdict(wanted.spec)
    spec["secrets"] = {
        name: "secret:" + hmac.new(key, f"{name}\0{value}".encode(), hashlib.sha256).hexdigest()[:12]
        for name, value in wanted.spec.secrets.items()
    }
    return {
        "kind": "local",
        "service": wanted.service.key,
        "group": wanted.service.group,
        "project": wanted.project,
        "machine": wanted.machine,
        "placement": dict(wanted.placement),
        "stable_port": wanted.stable_port,
        "digest": wanted.artifact.digest,
        "restart_nonce": wanted.restart_nonce,
        "spec": spec,
    }


def canonical(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def template_of(data: dict[str, Any]) -> str:
    """Hash of what an instance is made from: two goals with the same template can share instances."""
    own = {name: data[name] for name in ("digest", "restart_nonce", "spec")}
    own["spec"] = {k: v for k, v in data["spec"].items() if k not in ("replicas", "drain_s", "start_deadline_s")}
    return digest_of(canonical(own))[:16]


def unified(before: str, after: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), "applied", "wanted", n=3
    )
    return "".join(lines)
