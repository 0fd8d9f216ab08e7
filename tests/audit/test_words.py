"""Every verb that anything writes into the trail is told to people in a sentence of its own, not in its code word."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from deployments.models import Deployment
from fangduoduo_release.audit.models import AuditEntry
from permissions import audit_words

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = ("fangduoduo_release", "permissions", "clusters", "projects", "builds", "deployments")
# Verbs that are put together: where, and what they can become.
MADE = {
    "deployment.{}": [f"deployment.{action}" for action in Deployment.Action.values],
    "{}.update": ["user.update", "group.update", "cluster.update", "machine.update"],
    "gateway.{}": [
        f"gateway.{what}" for what in ("apply", "patch", "create", "delete", "scale", "done", "failed", "unknown")
    ],
    "{}.create": ["user.create", "group.create", "cluster.create", "machine.create"],
}


def texts(node: ast.AST) -> Iterator[str]:
    """The constant texts an expression may become; `{}` stands for what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body)
        yield from texts(node.orelse)
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)


@cache
def verbs() -> dict[str, str]:
    """{verb: where it is written} of every `trail.record(actor, verb, …)` whose verb can be read off."""
    found: dict[str, str] = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            tree = ast.parse(path.read_text())
            named = {
                target.id: node.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Assign)
                for target in node.targets
                if isinstance(target, ast.Name)
            }
            for node in ast.walk(tree):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                    continue
                if node.func.attr != "record" or getattr(node.func.value, "id", "") != "trail" or len(node.args) < 2:
                    continue
                said = node.args[1]
                said = named.get(said.id, said) if isinstance(said, ast.Name) else said
                for text in texts(said):
                    found.update(dict.fromkeys(MADE.get(text, [text]), f"{path.relative_to(ROOT)}:{node.lineno}"))
    return found


def test_many_verbs_are_found_at_all() -> None:
    assert {"project.create", "deployment.rollback", "request.ask", "emergency.ask", "freeze.delete"} <= set(verbs())


def test_every_verb_has_its_sentence() -> None:
    missing = {verb: where for verb, where in verbs().items() if verb not in audit_words.SENTENCES}
    assert not missing, "write it into permissions/audit_words.py"


def test_every_group_of_verbs_has_its_icon() -> None:
    assert not {verb.partition(".")[0] for verb in verbs()} - set(audit_words.ICONS)


@pytest.mark.parametrize(
    ("verb", "after", "said"),
    [
        ("request.ask", {"role": "viewer", "machine": ""}, "dev asked for the role viewer on shop"),
        ("request.ask", {"role": "", "machine": "prod"}, "dev asked for the machine prod for shop"),
        ("request.approve", {"role": "", "machine": "prod", "requester": "ann"},
         "dev approved what ann asked for: prod for shop"),
        ("member.set", {"holder": "ann", "role": "viewer"}, "dev made ann viewer on it"),
        ("member.set", {"holder": "ann", "role": None}, "dev took ann off it"),
        ("member.set", None, "dev: member.set, it"),
        ("never.heard.of", {}, "dev: never.heard.of, it"),
    ],
)  # fmt: skip
def test_a_row_reads_as_a_sentence(verb: str, after: dict[str, object] | None, said: str) -> None:
    entry = AuditEntry(actor="dev", verb=verb, object_label="it", project="shop", after=after)
    assert audit_words.sentence(entry) == said
