"""Steps that read, write, keep and remove files; all of them stay within the build's own folders."""

from __future__ import annotations

import codecs
from typing import Any

from fangduoduo_release.common.sentence import S

from ...base import ArtifactFile
from ..antglob import find, open_inside
from ..context import Branch, StepCall
from ..control import StepFailed
from ..workspace import empty, remove_tree

_READ_LIMIT = 16 * 1024 * 1024


def _encoding(call: StepCall, index: int | None = None) -> str:
    name = call.text("encoding", index, default="UTF-8")
    if name == "Base64":
        return name
    try:
        codecs.lookup(name)
    except LookupError:
        raise StepFailed(S("“%(encoding)s” is no character encoding.", encoding=name[:40])) from None
    return name


def read_file(branch: Branch, call: StepCall) -> str:
    path = call.text("file", 0)
    target = branch.build.workspaces.inside(branch.folder(), path)
    encoding = _encoding(call, 1)
    file = open_inside(branch.build.workspaces.root, str(target))
    if file is None:
        raise StepFailed(S("There is no file “%(path)s” in the workspace.", path=path[:200]))
    with file:
        data = file.read(_READ_LIMIT + 1)
    if len(data) > _READ_LIMIT:
        raise StepFailed(S("“%(path)s” is larger than the %(mib)d MiB that can be read.", path=path[:200], mib=16))
    if encoding == "Base64":
        return codecs.encode(data, "base64").decode().replace("\n", "")
    return data.decode(encoding, "replace")


def write_file(branch: Branch, call: StepCall) -> None:
    path, text = call.text("file", 0), call.text("text", 1)
    target = branch.build.workspaces.inside(branch.folder(), path)
    encoding = _encoding(call, 2)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        data = codecs.decode(text.encode(), "base64") if encoding == "Base64" else text.encode(encoding, "replace")
    except ValueError as error:
        raise StepFailed(S("writeFile: the text is no Base64.")) from error
    target.write_bytes(data)


def file_exists(branch: Branch, call: StepCall) -> bool:
    return branch.build.workspaces.inside(branch.folder(), call.text("file", 0)).exists()


def pwd(branch: Branch, call: StepCall) -> str:
    folder = branch.folder()
    return str(branch.build.workspaces.tmp) if call.flag("tmp") else str(folder)


def change_folder(branch: Branch, call: StepCall) -> Any:
    target = branch.build.workspaces.inside(branch.folder(), call.text("path", 0))
    target.mkdir(parents=True, exist_ok=True)
    with branch.within(folder=target):
        return call.run_body()


def delete_dir(branch: Branch, call: StepCall) -> None:
    folder = branch.folder()
    if not folder.is_dir():
        return
    if folder == branch.context.workspace:
        empty(folder)
    else:
        remove_tree(branch.build.workspaces.inside(folder, "."))


def clean_ws(branch: Branch, call: StepCall) -> None:
    """Everything, or what `patterns: [[pattern: 'x', type: 'INCLUDE'|'EXCLUDE']]` say. `deleteDirs` is as by default."""
    folder = branch.folder()
    patterns = [p for p in call.get("patterns") or [] if isinstance(p, dict)]
    includes = ",".join(str(p.get("pattern", "")) for p in patterns if p.get("type", "INCLUDE") == "INCLUDE")
    excludes = ",".join(str(p.get("pattern", "")) for p in patterns if p.get("type") == "EXCLUDE")
    if not patterns:
        empty(folder)
        return
    for path in list(find(folder, includes or "**", excludes, default_excludes=False)):
        (folder / path).unlink(missing_ok=True)


def stash(branch: Branch, call: StepCall) -> None:
    name = call.text("name", 0)
    count = branch.build.stashes.save(
        name,
        branch.folder(),
        call.text("includes", default="**"),
        call.text("excludes", default=""),
        default_excludes=call.flag("useDefaultExcludes", default=True),
        allow_empty=call.flag("allowEmpty"),
    )
    branch.log(f"Stashed {count} file(s)")


def unstash(branch: Branch, call: StepCall) -> None:
    branch.folder().mkdir(parents=True, exist_ok=True)
    branch.build.stashes.restore(call.text("name", 0), branch.folder())


def archive_artifacts(branch: Branch, call: StepCall) -> None:
    includes, excludes = call.text("artifacts", 0), call.text("excludes", default="")
    branch.log("Archiving artifacts")
    kept = 0
    for found in branch.build.archiver.keep(
        branch.folder(),
        includes,
        excludes,
        default_excludes=call.flag("defaultExcludes", default=True),
        case_sensitive=call.flag("caseSensitive", default=True),
    ):
        if isinstance(found, str):
            branch.log(f"Left out, because it leads out of the workspace or has a name that cannot be kept: {found}")
            continue
        kept += 1
        _tell(branch, found)
        branch.check()
    if kept:
        return
    if call.flag("allowEmptyArchive"):
        branch.log(f'No artifacts found that match the file pattern "{includes}". Nothing is archived.')
        return
    raise StepFailed(S("No artifacts found that match the file pattern “%(pattern)s”.", pattern=includes[:200]))


def _tell(branch: Branch, artifact: ArtifactFile) -> None:
    branch.build.writer.call(lambda sink: sink.artifact(artifact))


STEPS = {
    "readFile": read_file,
    "writeFile": write_file,
    "fileExists": file_exists,
    "pwd": pwd,
    "dir": change_folder,
    "ws": change_folder,
    "deleteDir": delete_dir,
    "cleanWs": clean_ws,
    "stash": stash,
    "unstash": unstash,
    "archiveArtifacts": archive_artifacts,
    "archive": archive_artifacts,
}
