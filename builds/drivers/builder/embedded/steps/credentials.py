"""`withCredentials` and its bindings, and `credentials('id')` of `environment`.

Files are written readable by this user alone, outside of the workspace, and removed when the block ends.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fangduoduo_release.common.sentence import S

from ...base import Credential
from ..context import Branch, StepCall
from ..control import StepFailed
from ..values import text_of
from .people import parameter_call

_CLASSES = {
    "StringBinding": "string",
    "UsernamePasswordMultiBinding": "usernamePassword",
    "UsernamePasswordBinding": "usernameColonPassword",
    "FileBinding": "file",
    "SSHUserPrivateKeyBinding": "sshUserPrivateKey",
}


@dataclass(frozen=True, slots=True)
class Binding:
    """One entry of `withCredentials([...])`."""

    kind: str
    values: Mapping[str, Any]

    def text(self, name: str) -> str:
        return text_of(self.values[name]) if self.values.get(name) is not None else ""


def _binding_call(branch: Branch, call: StepCall) -> Binding:
    values = dict(call.named)
    if len(call.args) == 1 and isinstance(call.args[0], Mapping):
        values |= call.args[0]
    return Binding(call.name, values)


def _string(branch: Branch, call: StepCall) -> Any:
    """`string(…)` is a binding in withCredentials and a parameter in `input`; the arguments tell."""
    binding = _binding_call(branch, call)
    return binding if "credentialsId" in binding.values else parameter_call(branch, call)


def with_credentials(branch: Branch, call: StepCall) -> Any:
    raw = call.get("bindings", 0, [])
    bindings = [_as_binding(item) for item in (raw if isinstance(raw, list | tuple) else [raw])]
    with _bound(branch, bindings) as values, branch.within(environment=branch.with_environment(values)):
        return call.run_body()


def _as_binding(item: Any) -> Binding:
    if isinstance(item, Binding):
        return item
    if isinstance(item, Mapping) and "$class" in item:
        name = text_of(item["$class"]).rpartition(".")[2]
        if name in _CLASSES:
            return Binding(_CLASSES[name], item)
    raise StepFailed(S("withCredentials: this kind of binding cannot be used here."))


@contextmanager
def _bound(branch: Branch, bindings: list[Binding]) -> Iterator[dict[str, str]]:
    values: dict[str, str] = {}
    files: list[Path] = []
    try:
        for binding in bindings:
            values |= _values(branch, binding, files)
        yield values
    finally:
        for file in files:
            branch.build.workspaces.forget_private(file)


def _values(branch: Branch, binding: Binding, files: list[Path]) -> dict[str, str]:
    identity = binding.text("credentialsId")
    build = branch.build
    if binding.kind == "string":
        return {binding.text("variable"): build.credential(identity, "text").values.get("secret", "")}
    if binding.kind in ("usernamePassword", "usernameColonPassword"):
        found = build.credential(identity, "username_password").values
        user, password = found.get("username", ""), found.get("password", "")
        if binding.kind == "usernameColonPassword":
            return {binding.text("variable"): f"{user}:{password}"}
        pairs = {binding.text("usernameVariable"): user, binding.text("passwordVariable"): password}
        return {k: v for k, v in pairs.items() if k}
    if binding.kind == "file":
        return {binding.text("variable"): str(_file(branch, build.credential(identity, "file"), files))}
    key = build.credential(identity, "ssh_key")
    pairs = {
        binding.text("keyFileVariable"): str(_file(branch, key, files)),
        binding.text("usernameVariable"): key.values.get("username", ""),
        binding.text("passphraseVariable"): key.values.get("passphrase", ""),
    }
    return {k: v for k, v in pairs.items() if k}


def _file(branch: Branch, credential: Credential, files: list[Path]) -> Path:
    values = credential.values
    if credential.kind == "ssh_key":
        content, name = (values.get("private_key", "").rstrip("\n") + "\n").encode(), "key"
    elif "content_base64" in values:
        content, name = base64.b64decode(values["content_base64"]), values.get("name", "secret")
    else:
        content, name = values.get("content", "").encode(), values.get("name", "secret")
    file = branch.build.workspaces.private_file(name, content)
    files.append(file)
    return file


@contextmanager
def environment_credentials(branch: Branch, wanted: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """What `NAME = credentials('id')` puts into the environment, for each name and id; files live as long as the block."""
    values: dict[str, str] = {}
    files: list[Path] = []
    try:
        for name, identity in wanted.items():
            values |= _environment_values(branch, name, branch.build.credential(identity), files)
        yield values
    finally:
        for file in files:
            branch.build.workspaces.forget_private(file)


def _environment_values(branch: Branch, name: str, found: Credential, files: list[Path]) -> dict[str, str]:
    values = found.values
    if found.kind == "text":
        return {name: values.get("secret", "")}
    if found.kind == "username_password":
        user, password = values.get("username", ""), values.get("password", "")
        branch.build.writer.add_secrets([f"{user}:{password}"])
        return {name: f"{user}:{password}", f"{name}_USR": user, f"{name}_PSW": password}
    if found.kind == "file":
        return {name: str(_file(branch, found, files))}
    return {
        name: str(_file(branch, found, files)),
        f"{name}_USR": values.get("username", ""),
        f"{name}_PSW": values.get("passphrase", ""),
    }


STEPS = {
    "withCredentials": with_credentials,
    "string": _string,
    **dict.fromkeys(("usernamePassword", "usernameColonPassword", "file", "sshUserPrivateKey"), _binding_call),
}
