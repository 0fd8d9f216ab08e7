"""Ant patterns, stashes and artifacts: the right files, none from outside, limits with one sentence."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from builds.drivers.builder.base import ArtifactFile, Limits
from builds.drivers.builder.embedded.antglob import find, matches, open_inside
from builds.drivers.builder.embedded.archive import Archiver
from builds.drivers.builder.embedded.control import StepFailed
from builds.drivers.builder.embedded.stash import Stashes
from builds.drivers.builder.embedded.workspace import Workspaces, empty, remove_tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    base = tmp_path / "ws"
    for path in (
        "a.txt",
        "b.jar",
        "out/c.jar",
        "out/deep/d.jar",
        "out/deep/e.log",
        ".git/config",
        "src/x~",
        "src/y.py",
    ):
        (base / path).parent.mkdir(parents=True, exist_ok=True)
        (base / path).write_text(path)
    return base


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.jar", "b.jar", True),
        ("*.jar", "out/b.jar", False),
        ("**/*.jar", "b.jar", True),
        ("**/*.jar", "out/deep/b.jar", True),
        ("out/**", "out/deep/b.jar", True),
        ("out/**", "out", True),
        ("out/", "out/deep/b.jar", True),
        ("out/**/d.jar", "out/d.jar", True),
        ("out/*/d.jar", "out/deep/d.jar", True),
        ("out/*/d.jar", "out/a/b/d.jar", False),
        ("**", "any/thing", True),
        ("a?.txt", "ab.txt", True),
        ("a?.txt", "a.txt", False),
        ("x.txt, b.jar", "b.jar", True),
        ("./b.jar", "b.jar", True),
        ("a+b(c).txt", "a+b(c).txt", True),
        ("[ab].txt", "a.txt", False),
        ("B.JAR", "b.jar", False),
    ],
)
def test_ant_patterns_mean_what_they_mean_in_jenkins(pattern: str, path: str, expected: bool) -> None:
    assert matches(path, pattern) is expected


def test_finding_leaves_out_what_ant_leaves_out(tree: Path) -> None:
    assert sorted(find(tree, "**")) == ["a.txt", "b.jar", "out/c.jar", "out/deep/d.jar", "out/deep/e.log", "src/y.py"]
    assert ".git/config" in set(find(tree, "**", default_excludes=False))
    assert sorted(find(tree, "**/*.jar", "out/deep/**")) == ["b.jar", "out/c.jar"]


def test_links_are_opened_only_when_they_stay_inside(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("outside")
    (tree / "good").symlink_to("a.txt")
    (tree / "bad").symlink_to("../secret")
    (tree / "abs").symlink_to("/etc/passwd")
    (tree / "folder").symlink_to("/etc")
    os.mkfifo(tree / "pipe")
    with open_inside(tree, "good") as file:  # type: ignore[union-attr]
        assert file.read() == b"a.txt"
    for path in ("bad", "abs", "folder/passwd", "pipe", "missing", "../secret", "out"):
        assert open_inside(tree, path) is None, path
    assert not [p for p in find(tree, "**") if p.startswith("folder/")]


def test_archived_files_have_their_size_and_hash_and_the_rest_is_named(tree: Path, tmp_path: Path) -> None:
    (tree / "bad").symlink_to("/etc/passwd")
    (tree / "run.sh").write_text("x")
    (tree / "run.sh").chmod(0o755)
    archiver = Archiver(tmp_path / "kept", Limits())
    found = list(archiver.keep(tree, "**/*.jar, bad, run.sh", ""))
    assert [f for f in found if isinstance(f, str)] == ["bad"]
    files = {f.path: f for f in found if isinstance(f, ArtifactFile)}
    assert set(files) == {"b.jar", "out/c.jar", "out/deep/d.jar", "run.sh"}
    assert files["b.jar"].sha256 == hashlib.sha256(b"b.jar").hexdigest()
    assert (tmp_path / "kept/out/deep/d.jar").read_text() == "out/deep/d.jar"
    assert (tmp_path / "kept/run.sh").stat().st_mode & 0o111
    assert not list((tmp_path / "kept").rglob("*.part"))


def test_archiving_stops_at_its_limits_with_a_sentence(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="more than 2 artifacts"):
        list(Archiver(tmp_path / "k1", Limits(artifact_count=2)).keep(tree, "**", ""))
    (tree / "big").write_bytes(b"x" * (2 << 20))
    with pytest.raises(StepFailed, match="larger than 1 MiB"):
        list(Archiver(tmp_path / "k2", Limits(artifact_mib=1)).keep(tree, "**", ""))


def test_a_name_that_is_no_text_is_left_out(tree: Path, tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tree) + b"/bad\xff.jar")).write_text("x")
    (tree / "line\nbreak.jar").write_text("x")
    found = list(Archiver(tmp_path / "kept", Limits()).keep(tree, "*.jar", ""))
    assert [f.path for f in found if isinstance(f, ArtifactFile)] == ["b.jar"]
    assert len(found) == 3


def test_a_stash_travels_and_cannot_be_steered_outside(tree: Path, tmp_path: Path) -> None:
    stashes = Stashes(tmp_path, Limits())
    (tree / "bad").symlink_to("/etc/passwd")
    assert stashes.save("jars", tree, "**/*.jar, bad", "", default_excludes=True, allow_empty=False) == 3
    target = tmp_path / "other"
    target.mkdir()
    (tmp_path / "victim").mkdir()
    (target / "out").symlink_to(tmp_path / "victim")
    with pytest.raises(StepFailed, match="outside of the workspace"):
        stashes.restore("jars", target)
    assert not list((tmp_path / "victim").iterdir())
    (target / "out").unlink()
    (target / "b.jar").symlink_to(tmp_path / "victim" / "file") if not (target / "b.jar").exists() else None
    assert stashes.restore("jars", target) == 3
    assert (target / "out/deep/d.jar").read_text() == "out/deep/d.jar"
    with pytest.raises(StepFailed, match="No such saved stash"):
        stashes.restore("nothing", target)
    with pytest.raises(StepFailed, match="No files included"):
        stashes.save("none", tree, "*.nope", "", default_excludes=True, allow_empty=False)
    assert stashes.save("none", tree, "*.nope", "", default_excludes=True, allow_empty=True) == 0


def test_stashes_stop_at_their_limit(tree: Path, tmp_path: Path) -> None:
    (tree / "big").write_bytes(b"x" * (2 << 20))
    with pytest.raises(StepFailed, match="larger than 1 MiB"):
        Stashes(tmp_path, Limits(stash_mib=1)).save("x", tree, "**", "", default_excludes=True, allow_empty=False)


@pytest.mark.parametrize("path", ["../out", "/etc/passwd", "a/../../..", "", "nul\0byte", "link/x"])
def test_no_path_leads_out_of_the_builds_folders(path: str, tmp_path: Path) -> None:
    spaces = Workspaces(tmp_path / "root")
    with spaces.take() as folder:
        (folder / "link").symlink_to("/etc")
        if path == "../out":
            path = "../../out"
        with pytest.raises(StepFailed):
            spaces.inside(folder, path)
        assert spaces.inside(folder, "new/file.txt") == folder / "new/file.txt"


def test_agents_share_workspaces_one_after_the_other_and_never_at_once(tmp_path: Path) -> None:
    spaces = Workspaces(tmp_path)
    with spaces.take() as first, spaces.take() as second:
        assert (first.name, second.name) == ("ws", "ws@2")
    with spaces.take() as again:
        assert again == first


def test_private_files_are_for_this_user_alone(tmp_path: Path) -> None:
    spaces = Workspaces(tmp_path)
    file = spaces.private_file("../../key", b"secret")
    assert file.name == "key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    spaces.forget_private(file)
    assert not file.parent.exists()


def test_read_only_trees_are_removed_without_being_root_too(tmp_path: Path) -> None:
    code = (
        f"import os, sys; sys.path.insert(0, {str(Path.cwd())!r}); from pathlib import Path\n"
        "from builds.drivers.builder.embedded.workspace import remove_tree\n"
        f"tree = Path({str(tmp_path)!r}) / 'tree'\n"
        "os.getuid() == 0 and os.setresuid(65534, 65534, 65534)\n"
        "(tree / 'a' / 'b').mkdir(parents=True)\n"
        "(tree / 'a' / 'b' / 'f').write_text('x')\n"
        "[p.chmod(0o500) for p in (tree / 'a' / 'b', tree / 'a')]\n"
        "remove_tree(tree)\n"
        "assert not tree.exists()\n"
    )
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    if "ModuleNotFoundError" in done.stderr or "Permission denied: '/" in done.stderr.partition("remove_tree")[0]:
        pytest.skip("another user cannot read the sources here")
    assert done.returncode == 0, done.stderr


def test_read_only_trees_are_removed_too_and_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "stays").write_text("x")
    tree = tmp_path / "tree"
    (tree / "mod" / "cache").mkdir(parents=True)
    (tree / "mod" / "cache" / "file").write_text("x")
    (tree / "link").symlink_to(outside)
    (tree / "mod" / "cache").chmod(0o500)
    (tree / "mod").chmod(0o500)
    empty(tree)
    assert list(tree.iterdir()) == []
    assert (outside / "stays").exists()
    remove_tree(tree)
    assert not tree.exists()
