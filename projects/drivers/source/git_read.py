"""Questions to one bare repository: its refs, commits and files, each with one or two short git calls.

Names are checked before git sees them and become full shas as early as possible, so that no later call holds anything a
person typed but a literal path. It must not know where the repository came from.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from fangduoduo_release.common.errors import AppError, Invalid, NotFound
from fangduoduo_release.common.sentence import S

from .base import HEADS, TAGS, ZERO, Commit, FileContent, FileEntry, Person, Ref, RepositoryState
from .git_command import Git
from .git_complaints import explain
from .git_names import check_path, check_ref, check_sha, is_sha, is_short_sha

MAX_LOG = 1_000
_MAX_MESSAGE = 64 * 1024
# One header line per field, then the message; a NUL ends the record and cannot occur inside a commit.
_COMMIT = "--format=%H%n%P%n%an%n%ae%n%at%n%ct%n%B"
_REF = (
    "--format=%(refname)%00%(objecttype)%00%(objectname)%00%(*objecttype)%00%(*objectname)%00%(creatordate:unix)%00"
    "%(contents:subject)"
)
_KINDS = {"100755": "executable", "120000": "link", "160000": "submodule"}


def state(git: Git, repository: Path) -> RepositoryState:
    head = git.ask("symbolic-ref", "--quiet", "HEAD", repository=repository).out.decode(errors="replace").strip()
    some = git.run("for-each-ref", "--count=1", "--format=%(refname)", "--", HEADS, repository=repository)
    return RepositoryState(head.removeprefix(HEADS), empty=not some.strip())


def refs(git: Git, repository: Path, prefix: str, limit: int) -> tuple[Ref, ...]:
    """Refs under `prefix` that lead to commits, newest first, in one call however many there are."""
    out = git.run("for-each-ref", f"--count={limit}", "--sort=-creatordate", _REF, "--", prefix, repository=repository)
    found = []
    for line in out.decode(errors="replace").splitlines():
        name, kind, sha, inner_kind, inner_sha, when, subject = line.split("\0")
        if kind == "commit" or inner_kind == "commit":
            found.append(Ref(name, inner_sha or sha, _time(when) if when else None, subject))
    return tuple(found)


def resolve(git: Git, repository: Path, ref: str) -> Commit:
    """A branch wins over a tag, a tag over a short sha. NotFound (`unknown_ref`, `empty_repository`), Invalid."""
    return _commits(git, repository, [sha_of(git, repository, ref)], limit=1)[0]


def sha_of(git: Git, repository: Path, ref: str) -> str:
    """The full sha of the commit that `ref` leads to; errors as `resolve`."""
    check_ref(ref)
    if is_sha(ref) or ref.startswith("refs/") or ref == "HEAD":
        names = [ref]
    else:
        names = [f"refs/heads/{ref}", f"refs/tags/{ref}", *([ref] if is_short_sha(ref) else [])]
    asked = "".join(f"{name}^{{commit}}\n" for name in names).encode()
    out = git.run("cat-file", "--batch-check=%(objectname) %(objecttype)", repository=repository, stdin=asked)
    for line in out.decode(errors="replace").splitlines():
        sha, _, kind = line.partition(" ")
        if is_sha(sha) and kind == "commit":
            return sha
    if state(git, repository).empty:
        raise NotFound(S("The repository is empty: push a first commit."), code="empty_repository")
    raise NotFound(S("There is no branch, tag or commit “%(ref)s”.", ref=ref), code="unknown_ref")


def held(git: Git, repository: Path, sha: str) -> bool:
    """Whether a branch or a tag leads to this commit."""
    asked = ("--count=1", "--format=%(refname)", f"--contains={check_sha(sha)}", "--", HEADS, TAGS)
    return bool(git.run("for-each-ref", *asked, repository=repository).strip())


def log(git: Git, repository: Path, ref: str, *, after: str, path: str, limit: int) -> list[Commit]:
    if not 1 <= limit <= MAX_LOG:
        raise Invalid(S("Ask for 1 to %(most)s commits at once.", most=MAX_LOG), code="bad_limit")
    wanted = [sha_of(git, repository, ref)]
    if after:
        wanted.append(f"^{sha_of(git, repository, after)}")
    return _commits(git, repository, wanted, limit=limit, path=check_path(path) if path else "")


def read_file(git: Git, repository: Path, ref: str, path: str, max_bytes: int) -> FileContent:
    sha = sha_of(git, repository, ref)
    out = git.run("ls-tree", "-z", "-l", "--full-tree", sha, "--", check_path(path), repository=repository)
    entries = [_entry(record) for record in out.split(b"\0") if record]
    entry = next((e for e in entries if e.path == path), None)
    if entry is None:
        raise NotFound(S("There is no file “%(path)s” at %(ref)s.", path=path, ref=ref), code="unknown_path")
    if entry.kind not in ("file", "executable"):
        raise Invalid(S("“%(path)s” is not a plain file.", path=path), code="not_a_file")
    if entry.size > max_bytes:
        raise Invalid(
            S(
                "“%(path)s” has %(size)s bytes; at most %(most)s are read here.",
                path=path,
                size=entry.size,
                most=max_bytes,
            ),
            code="file_too_large",
        )
    return FileContent(path, entry.sha, git.run("cat-file", "blob", entry.sha, repository=repository))


def list_files(git: Git, repository: Path, ref: str, path: str, limit: int) -> list[FileEntry]:
    sha = sha_of(git, repository, ref)
    below = ["--", f"{check_path(path)}/"] if path else []
    # A generous line's length each: git is stopped when it has said enough.
    answer = git.ask(
        "ls-tree", "-r", "-z", "-l", "--full-tree", sha, *below, repository=repository, max_output=limit * 512
    )
    if answer.code != 0:
        raise explain(answer.err, code=answer.code)
    records = answer.out.split(b"\0")[:-1]  # what follows the last NUL is nothing, or was cut off
    return [_entry(record) for record in records[:limit]]


def changed_files(git: Git, repository: Path, old: str, new: str, limit: int) -> list[str] | None:
    """Paths that differ; with ZERO as `old` those that `new` brings over its first parent. None: too many, or no `old`."""
    after = sha_of(git, repository, check_sha(new))
    if old == ZERO:
        between = ["--root", "-m", "--first-parent", "--no-commit-id", after]
    else:
        try:
            between = [sha_of(git, repository, check_sha(old)), after]
        except NotFound:
            return None
    answer = git.ask(
        "diff-tree", "-r", "-z", "--name-only", "--no-renames", *between, "--",
        repository=repository, max_output=limit * 512,
    )  # fmt: skip
    if answer.code != 0:
        raise explain(answer.err, code=answer.code)
    paths = answer.out.decode(errors="replace").split("\0")[:-1]
    return None if answer.truncated or len(paths) > limit else paths


def _commits(git: Git, repository: Path, wanted: list[str], *, limit: int, path: str = "") -> list[Commit]:
    paths = ["--", path] if path else ["--"]
    try:
        out = git.run(
            "log", "-z", f"--max-count={limit}", "--encoding=UTF-8", "--no-show-signature", "--no-color", _COMMIT,
            *wanted, *paths, repository=repository,
        )  # fmt: skip
    except AppError as error:
        if error.code == "unknown_ref":
            raise NotFound(S("A commit is missing in the repository."), code="unknown_ref") from error
        raise
    return [_commit(record.decode(errors="replace")) for record in out.split(b"\0") if record]


def _commit(record: str) -> Commit:
    sha, parents, name, email, authored, committed, message = record.split("\n", 6)
    return Commit(
        sha=sha,
        parents=tuple(parents.split()),
        author=Person(name, email),
        authored_at=_time(authored),
        committed_at=_time(committed),
        message=message[:_MAX_MESSAGE].rstrip("\n"),
    )


def _entry(record: bytes) -> FileEntry:
    facts, _, path = record.partition(b"\t")
    mode, kind, sha, size = facts.decode("ascii").split()
    named = "folder" if kind == "tree" else _KINDS.get(mode, "file")
    return FileEntry(path.decode(errors="replace"), named, int(size) if size != "-" else 0, sha)


def _time(seconds: str) -> datetime:
    """Dates in commits are whatever their author's clock said; those that no calendar has become the epoch."""
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)
