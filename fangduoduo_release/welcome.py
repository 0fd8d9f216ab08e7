"""What a person reads when the portal is ready: the address, who can sign in, and the tour.

Standard library only and no Django (the supervisor prints it). Passwords are shown at the first start only; afterwards
they stand in `VAR/demo-credentials.json`, which its owner alone can read.
"""

from __future__ import annotations

import json
from pathlib import Path

WHO = {
    "admin": "everything, also the admin pages",
    "ops": "machines, clusters, grants",
    "dev": "owns the sample project",
    "guest": "another developer who owns nothing",
}
SAMPLE = "sample"


def address(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def passwords(var: Path) -> dict[str, str]:
    """user -> password of the sample's people; empty when there are none."""
    try:
        users = json.loads((var / "demo-credentials.json").read_text())["users"]
    except (OSError, ValueError, KeyError):
        return {}
    return {str(name): str(password) for name, password in users.items()}


def text(var: Path, port: int, *, first_start: bool) -> str:
    """The whole block, ending with a newline."""
    lines = ["", f"  fangduoduo_release is ready at {address(port)}", ""]
    known = passwords(var)
    for name, meaning in WHO.items():
        if name in known:
            secret = known[name] if first_start else "········"
            lines.append(f"    {name:<6} {secret:<22} {meaning}")
    if known:
        lines += [f"    (kept in {var / 'demo-credentials.json'})", ""]
        lines += [f"  {number}. {step}" for number, step in enumerate(tour(port), start=1)]
    lines += ["", "  Ctrl-C stops everything.", ""]
    return "\n".join(lines) + "\n"


def tour(port: int) -> list[str]:
    """From a push to a rollback in six lines."""
    return [
        f"Sign in as dev at {address(port)} and open the sample project",
        f"git clone http://dev@127.0.0.1:{port}/git/{SAMPLE}.git && cd {SAMPLE}",
        "Change the greeting, then: git commit -am 'Say something else' && git push",
        "Watch the build's log; it leaves a version",
        "Press Deploy on the project's board, confirm, and open the service",
        "Press Roll back, confirm: the earlier version serves again",
    ]
