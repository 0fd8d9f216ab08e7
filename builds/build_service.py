"""The build service: looks at a repository's files and says how to build it, and why.

For projects without a pipeline of their own. It keeps nothing: the same files give the same answer. `choose` knows
only names and a way to read a file; `resolve` and `resolve_files` find the template's text in the library.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from builds import templates
from builds.models import Template, TemplateRevision
from fangduoduo_release.common.errors import AppError, NotFound
from fangduoduo_release.common.sentence import S, Sentence
from projects.models import Project
from projects.sources import source_of

Read = Callable[[str], str | None]  # a file's text; None when it cannot be read
MAX_FILES = 10_000
MAX_READ = 256 * 1024
DEPTH = 3  # how many folders down an application may lie
NOT_LOOKED_INTO = frozenset({
    "node_modules", "vendor", "third_party", "dist", "build", "target", "out", "bin", "docs", "doc", "examples", "example",
    "test", "tests", "testdata", "fixtures", "scripts", "tools", "venv", "env", "site-packages", "__pycache__",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kind:
    """A template and the files that speak for it, the strongest first."""

    template: str
    marks: tuple[str, ...]


# In the order in which they win. A language's template also makes the image that a Dockerfile describes, and
# package.json often only serves the pages of something larger.
KINDS = (
    Kind("java-maven", ("pom.xml",)),
    Kind("java-gradle", ("build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts")),
    Kind("go", ("go.mod",)),
    Kind("php", ("composer.json",)),
    Kind("python", ("pyproject.toml", "requirements.txt", "setup.py", "setup.cfg")),
    Kind("node", ("package.json",)),
    Kind("dockerfile", ("Dockerfile", "Containerfile")),
    Kind("static-site", ("index.html", "public/index.html", "dist/index.html", "_site/index.html")),
)
# Seen and understood, but nothing in the library builds it.
STRANGERS = {
    "Cargo.toml": "Rust", "Gemfile": "Ruby", "mix.exs": "Elixir", "CMakeLists.txt": "C or C++", "Makefile": "make",
    "build.sbt": "Scala", "pubspec.yaml": "Dart", "Package.swift": "Swift",
}  # fmt: skip
FOLDER_DEFAULT = re.compile(r"(string\(name: 'FOLDER', defaultValue: ')[^']*(')")
DOCKERFILE_DEFAULT = re.compile(r"(string\(name: 'DOCKERFILE', defaultValue: ')[^']*(')")
SAFE_PATH = re.compile(r"\A[\w.@+/ -]{1,200}\Z")


@dataclass(frozen=True, slots=True)
class Considered:
    """A template that could have been meant, and the file that speaks for it."""

    template: str
    file: str
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """`why` is for people, the main reason first; `defaults` replace the template's own parameter defaults."""

    template: str
    folder: str
    why: tuple[Sentence, ...]
    considered: tuple[Considered, ...]
    defaults: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a build would run."""

    revision: TemplateRevision
    text: str
    choice: Choice

    @property
    def why(self) -> tuple[Sentence, ...]:
        return self.choice.why

    @property
    def reason(self) -> str:
        """For the revision's note: the file that decided."""
        return next((one.file for one in self.choice.considered if one.chosen), "")


def choose(files: Sequence[str], read: Read, offered: Iterable[str] | None = None) -> Choice:
    """The template for these files. `offered`: the templates there are (default: all we know). Raises NotFound."""
    known = frozenset(kind.template for kind in KINDS) if offered is None else frozenset(offered)
    by_folder = _folders(files)
    depths = sorted({_depth(folder) for folder in by_folder})
    for depth in depths:  # the shallowest folder that holds an application: the root, else its sub folders
        found = []
        for folder in sorted(f for f in by_folder if _depth(f) == depth):
            marks = _marks(folder, by_folder[folder], read)
            if any(one.template in known for one in marks):
                found.append((folder, marks))
        if found:
            return _chosen(found, known, by_folder)
    raise _nothing(files, by_folder)


def resolve_files(files: Sequence[str], read: Read | None = None) -> Resolved:
    """The default pipeline for a repository with these files. Raises NotFound."""
    templates.have_library()
    offered = Template.objects.filter(retired=False).values_list("slug", flat=True)
    choice = choose(files, read or _unread, offered)
    revision = templates.revision_of(templates.template_called(choice.template))
    return Resolved(revision, _with_defaults(revision.text, choice.defaults), choice)


def resolve(project: Project, ref: str = "") -> Resolved:
    """The default pipeline for the project's repository at `ref` (default: its branch). Raises NotFound, Unavailable."""
    source, repository = source_of(project)
    commit = source.resolve(repository, ref or project.default_branch).sha

    def read(path: str) -> str | None:
        try:
            return source.read_file(repository, commit, path, max_bytes=MAX_READ).data.decode("utf-8")
        except (AppError, UnicodeDecodeError):
            return None

    listed = source.list_files(repository, commit, limit=MAX_FILES)
    return resolve_files([entry.path for entry in listed if entry.kind != "submodule"], read)


def _unread(path: str) -> None:
    """Only the names are known."""
    return


def _folders(files: Sequence[str]) -> dict[str, set[str]]:
    """Folders in which an application may lie, with the files below them by their names there; "" is the root."""
    found: dict[str, set[str]] = {"": set()}
    for path in files:
        *parents, name = path.strip("/").split("/")
        found[""].add("/".join([*parents, name]))
        for depth in range(1, min(len(parents), DEPTH) + 1):
            folder, name_here = "/".join(parents[:depth]), parents[depth - 1]
            if name_here.lower() in NOT_LOOKED_INTO or name_here[:1] in {".", "_"} or not SAFE_PATH.match(folder):
                break
            found.setdefault(folder, set()).add("/".join([*parents[depth:], name]))
    return found


def _depth(folder: str) -> int:
    return folder.count("/") + 1 if folder else 0


def _marks(folder: str, names: set[str], read: Read) -> list[Considered]:
    """What speaks for which template in this folder, the winner first."""
    found = []
    for kind in KINDS:
        for mark in kind.marks:
            path = f"{folder}/{mark}" if folder else mark
            if mark in names and not _only_tooling(mark, path, read):
                found.append(Considered(kind.template, path))
                break
    return found


def _only_tooling(mark: str, path: str, read: Read) -> bool:
    """Whether the file only configures tools: a pyproject.toml for a linter, a package.json without anything to run."""
    if mark not in {"pyproject.toml", "setup.cfg", "package.json"}:
        return False
    text = read(path)
    if text is None:
        return False
    if mark == "setup.cfg":
        return "[metadata]" not in text and "[options]" not in text
    try:
        facts: Any = json.loads(text) if mark == "package.json" else tomllib.loads(text)
    except (ValueError, RecursionError):
        return False
    if not isinstance(facts, dict):
        return False
    if mark == "package.json":
        return not any(facts.get(name) for name in ("scripts", "dependencies", "main", "bin", "workspaces"))
    tools = facts.get("tool")
    return not ({"project", "build-system"} & set(facts)) and not (isinstance(tools, dict) and "poetry" in tools)


def _chosen(found: list[tuple[str, list[Considered]]], known: frozenset[str], by_folder: dict[str, set[str]]) -> Choice:
    """The winner among folders of the same depth, and the sentences that say why."""
    order = [kind.template for kind in KINDS]
    offers = [(one, folder) for folder, marks in found for one in marks if one.template in known]
    winner, folder = min(offers, key=lambda offer: (order.index(offer[0].template), offer[1]))
    why = [S("The file %(file)s says that this is built with the template %(template)s.",
             file=winner.file, template=winner.template)]  # fmt: skip
    beside = [one for one, at in offers if at == folder and one is not winner]
    elsewhere = [one for one, at in offers if at != folder]
    why += [_beside(one, winner) for one in beside]
    retired = [one for at, marks in found for one in marks if one.template not in known and at == folder]
    why += [S("The template %(template)s was retired, so %(file)s did not count.", template=one.template, file=one.file)
            for one in retired]  # fmt: skip
    if folder:
        why.append(S("The application lies in the folder %(folder)s; the parameter FOLDER says so.", folder=folder))
    if elsewhere:
        names = ", ".join(sorted({one.file for one in elsewhere})[:5])
        why.append(
            S(
                "There are other applications too (%(files)s); make a project for each, with FOLDER set to its folder.",
                files=names,
            )
        )
    considered = tuple(Considered(one.template, one.file, one is winner) for one in [winner, *beside, *elsewhere])
    return Choice(winner.template, folder, tuple(why), considered, _defaults(winner, folder, by_folder[folder]))


def _beside(other: Considered, winner: Considered) -> Sentence:
    if other.template == "dockerfile":
        return S(
            "%(file)s is used too: this template makes the image from it when the project has a registry.",
            file=other.file,
        )
    return S(
        "%(file)s would be built with %(template)s, but %(winner)s comes first.",
        file=other.file,
        template=other.template,
        winner=winner.template,
    )


def _defaults(winner: Considered, folder: str, names: set[str]) -> dict[str, str]:
    defaults = {"FOLDER": folder} if folder else {}
    if "Dockerfile" not in names and "Containerfile" in names:
        defaults["DOCKERFILE"] = "Containerfile"
    return defaults


def _with_defaults(text: str, defaults: dict[str, str]) -> str:
    """The text with these parameters' defaults; a template that does not have them stays as it is."""
    for name, pattern in (("FOLDER", FOLDER_DEFAULT), ("DOCKERFILE", DOCKERFILE_DEFAULT)):
        if name in defaults:
            text = pattern.sub(partial(_filled, value=defaults[name]), text, count=1)
    return text


def _filled(match: re.Match[str], value: str) -> str:
    return match[1] + value + match[2]


def _nothing(files: Sequence[str], by_folder: dict[str, set[str]]) -> NotFound:
    known = ", ".join(kind.marks[0] for kind in KINDS)
    stranger = next((name for name in STRANGERS if name in by_folder[""]), "")
    dotnet = next((name for name in by_folder[""] if name.endswith((".csproj", ".sln", ".fsproj"))), "")
    if stranger or dotnet:
        return NotFound(
            S(
                "%(file)s looks like %(language)s, for which there is no template; write the pipeline in the portal or "
                "add a Jenkinsfile.",
                file=stranger or dotnet,
                language=STRANGERS.get(stranger, ".NET"),
            ),
            code="no_template",
        )
    if not files:
        return NotFound(S("There are no files to look at yet; push a commit first."), code="no_template")
    return NotFound(
        S(
            "No file there says how to build it (looked for %(files)s, down to %(depth)s folders); add one of them, add a "
            "Jenkinsfile, or choose a template.",
            files=known,
            depth=DEPTH,
        ),
        code="no_template",
    )
