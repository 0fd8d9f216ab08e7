"""The house rules that no linter knows: who may import whom (also inside functions), names, sizes, honest exceptions."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from . import ratchet

ROOT = Path(__file__).resolve().parent.parent.parent
# A room may import itself and what stands to its right.
ROOMS = (
    "deployments",
    "builds",
    "projects",
    "clusters",
    "permissions",
    "fangduoduo_release.notifications",
    "fangduoduo_release.audit",
    "fangduoduo_release.common",
)
# An SDK is imported by its own file (or folder) alone, so that a kind that is not used costs nothing.
SDKS = {
    "kubernetes": (
        "clusters/drivers/runtime/kubernetes/api.py",
        "benchmarks/cluster_pages/listing.py",  # that one is what we compare with
    ),
    "aiohttp": (
        "clusters/drivers/runtime/kubernetes/async_api.py",
        "clusters/drivers/runtime/kubernetes/follow.py",
        "clusters/drivers/config/consul_follow.py",
    ),
    "jenkins": "builds/drivers/builder/jenkins",
    "docker": "clusters/drivers/runtime/swarm",
    "tree_sitter": "builds/jenkinsfile/",
    "tree_sitter_groovy": "builds/jenkinsfile/",
    "junitparser": "builds/",
    "asyncssh": ("projects/drivers/source/gerrit/", "benchmarks/gerrit/ear.py"),  # that one is what we compare with
    "redis": "fangduoduo_release/",
}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "mixins", "signals", "misc", "tools"}
FORBIDDEN_FOLDERS = FORBIDDEN_NAMES | {"services"}
LONGEST_FILE, LONGEST_FUNCTION = 500, 60
AIM_FILE = 300
DJANGO_FREE = (
    "builds/drivers/",
    "clusters/drivers/",
    "projects/drivers/",
    "projects/hooks/dialects/",
    "fangduoduo_release/notifications/drivers/",
    "builds/jenkinsfile/",
)
FRAMEWORKS = {"django", "rest_framework", "channels", "django_q", "guardian"}
# Public indexes and content networks; in pieces, so that this file is not its own finding.
HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("registry", "npmjs", "org"),
        ("pythonhosted", "org"),
        ("pypi", "org"),
        ("jsdelivr", "net"),
        ("unpkg", "com"),
        ("cdnjs", "cloudflare"),
        ("googleapis", "com"),
    )
)
TEXT = {".py", ".html", ".js", ".css", ".md", ".txt", ".in", ".toml", ".json", ".yml", ".yaml", ".sh", ".po", ""}


@cache
def tracked() -> tuple[str, ...]:
    """Committed files and those about to be."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300).stdout
    return tuple(sorted(name for name in names.split("\0") if name and (ROOT / name).is_file()))


def ours(*, tests: bool = False) -> list[str]:
    """Our own Python files, without migrations and samples."""
    tops = {room.split(".")[0] for room in ROOMS} | {"scripts", "benchmarks"} | ({"tests"} if tests else set())
    return [n for n in tracked() if n.endswith(".py") and n.split("/")[0] in tops and "/migrations/" not in n]


@cache
def source(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(source(name), name)


def listed(found: list[str] | dict[str, int], sentence: str = "") -> str:
    """One finding per line, so that nobody has to ask again with -vv."""
    lines = [f"{name}: {number}" for name, number in found.items()] if isinstance(found, dict) else found
    return "\n".join([sentence, *lines])


def module_of(name: str) -> str:
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imports(name: str) -> Iterator[tuple[int, str]]:
    """(line, absolute module) of every import at any depth, also `import_module("…")` with a plain string."""
    package = module_of(name) if name.endswith("__init__.py") else module_of(name).rpartition(".")[0]
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([base] if base else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in {"import_module", "__import__", "import_string"} and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value


def room_of(module: str) -> int | None:
    for number, room in enumerate(ROOMS):
        if module == room or module.startswith(room + "."):
            return number
    return None


def test_rooms_import_to_the_right_only_also_inside_functions() -> None:
    back_doors = [
        f"{name}:{line} imports {module}"
        for name in ours()
        if (here := room_of(module_of(name))) is not None
        for line, module in imports(name)
        if (there := room_of(module)) is not None and there < here
    ]
    assert not back_doors, listed(back_doors)


def test_no_room_imports_the_composition_root() -> None:
    found = []
    for name in ours():
        if room_of(module_of(name)) is None:
            continue
        for line, module in imports(name):
            if module.startswith("fangduoduo_release.") and room_of(module) is None:
                found.append(f"{name}:{line} imports {module}")
    assert not found, listed(found)


def test_drivers_know_no_framework_and_no_models() -> None:
    found = []
    for name in ours():
        if not name.startswith(DJANGO_FREE):
            continue
        for line, module in imports(name):
            if module.split(".")[0] in FRAMEWORKS or ".models" in f".{module}":
                found.append(f"{name}:{line} imports {module}")
    assert not found, listed(found)


def test_an_sdk_is_imported_by_its_own_files_alone() -> None:
    found = [
        f"{name}:{line} imports {module}"
        for name in ours()
        for line, module in imports(name)
        if (home := SDKS.get(module.split(".")[0])) and not name.startswith(home)
    ]
    assert not found, listed(found)


def test_no_file_is_named_after_nothing() -> None:
    found = [n for n in ours(tests=True) if Path(n).stem in FORBIDDEN_NAMES]
    found += [n for n in ours(tests=True) if FORBIDDEN_FOLDERS & set(Path(n).parent.parts)]
    assert not found, listed(found)


def test_every_module_says_why_it_exists() -> None:
    silent = [n for n in ours(tests=True) if not ast.get_docstring(tree(n)) and source(n).strip()]
    assert not silent, listed(silent)


@pytest.mark.parametrize("tests", [False, True], ids=["source", "tests"])
def test_no_file_is_longer_than_the_limit(tests: bool) -> None:
    long = {n: lines for n in ours(tests=tests) if (lines := source(n).count("\n")) > LONGEST_FILE}
    assert not long, listed(long)


def test_files_over_the_aim_have_a_reason_and_do_not_grow() -> None:
    long = {n: lines for n in ours() if (lines := source(n).count("\n")) > AIM_FILE}
    unexplained = {n: lines for n, lines in long.items() if n not in ratchet.LONG_FILES}
    grown = {n: lines for n, lines in long.items() if n in ratchet.LONG_FILES and lines > ratchet.LONG_FILES[n][0]}
    assert not unexplained, listed(unexplained, "split it, or give a reason in tests/architecture/ratchet.py")
    assert not grown, listed(grown, "it grew beyond what tests/architecture/ratchet.py allows")
    gone = [n for n in ratchet.LONG_FILES if not (ROOT / n).is_file()]
    assert not gone, listed(gone, "gone: take it off the list")


def functions(name: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            yield f"{name}::{node.name}", node.end_lineno - node.lineno + 1


def test_functions_fit_on_a_screen() -> None:
    long = {label: lines for n in ours() for label, lines in functions(n) if lines > LONGEST_FUNCTION}
    grown = {label: lines for label, lines in long.items() if lines > ratchet.LONG_FUNCTIONS.get(label, 0)}
    assert not grown, listed(grown, "split it: a function fits on a screen")
    assert [label for label in ratchet.LONG_FUNCTIONS if label not in long] == [], "shorter now: take it off the list"


def test_whoever_catches_everything_says_why() -> None:
    found = []
    for name in ours(tests=True):
        lines = source(name).splitlines()
        for node in ast.walk(tree(name)):
            if not isinstance(node, ast.ExceptHandler):
                continue
            caught = node.type
            kinds = caught.elts if isinstance(caught, ast.Tuple) else [caught]
            names = {kind.id for kind in kinds if isinstance(kind, ast.Name)}
            if caught is None:
                found.append(f"{name}:{node.lineno} bare except")
            elif names & {"Exception", "BaseException"} and not (hands_on(node) or reason(lines, node.lineno)):
                found.append(f"{name}:{node.lineno} except {names} without a reason")
    assert not found, listed(found)


def hands_on(handler: ast.ExceptHandler) -> bool:
    """Whether it only cleans up: its last statement raises again."""
    return isinstance(handler.body[-1], ast.Raise)


def reason(lines: list[str], number: int) -> bool:
    """Whether the line, or the one below it, carries a comment of words (a bare noqa is none)."""
    for line in lines[number - 1 : number + 1]:
        comment = line.partition("#")[2].replace("noqa", "").strip(" :#ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
        if len(comment.split()) >= 2:
            return True
    return False


def test_nothing_is_left_to_do_later() -> None:
    marks = ("TO" + "DO", "FIX" + "ME", "XX" + "X")
    found = [
        f"{name}:{number}"
        for name in ours(tests=True)
        for number, line in enumerate(source(name).splitlines(), start=1)
        if any(mark in line.partition("#")[2] for mark in marks)
    ]
    assert not found, listed(found)


def test_nothing_committed_names_an_index_or_a_content_network() -> None:
    found = []
    for name in tracked():
        if Path(name).suffix not in TEXT:
            continue
        text = (ROOT / name).read_text(encoding="utf-8", errors="replace")
        found += [f"{name} names {host}" for host in HOSTS if host in text]
    assert not found, listed(found)


def test_no_lock_file_names_an_address() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        lines = [line for line in source(name).splitlines() if not line.startswith(("#", "-r "))]
        assert all("==" in line for line in lines), name
        assert not any("://" in line or "@" in line or "--hash" in line for line in lines), name
    assert '"resolved"' not in source("package-lock.json")


def test_nothing_third_party_is_committed() -> None:
    assert [n for n in tracked() if n.startswith(("static/vendor/", "node_modules/", ".venv/", "var/"))] == []
    assert [n for n in tracked() if n.endswith((".min.js", ".min.css", ".woff2", ".whl", ".jar", ".so"))] == []
