"""Which steps exist and which of them the embedded builder can run: one list, shared with the executor.

Knows names and shapes only; how a step is carried out is the executor's business.
"""

from __future__ import annotations

from collections.abc import Mapping

from fangduoduo_release.common.sentence import S, Sentence

from .signatures import ANY, BOOLEAN, INTEGER, STRING, Signature

# What the embedded builder carries out itself, inside and outside of `script`.
RUNNABLE_STEPS = frozenset({
    "archiveArtifacts", "catchError", "checkout", "cleanWs", "deleteDir", "dir", "echo", "error", "fileExists", "git",
    "isUnix", "junit", "print", "println", "pwd", "readFile", "retry", "script", "sh", "sleep", "stash", "timeout",
    "timestamps", "unstable", "unstash", "warnError", "withCredentials", "withEnv", "writeFile",
    "ansiColor", "node", "parallel", "stage", "archive", "input", "waitUntil", "ws",
})  # fmt: skip
# Calls that only make a value for a step around them: bindings, parameters of `input`, a repository.
VALUE_STEPS = frozenset({
    "booleanParam", "choice", "file", "password", "scmGit", "sshUserPrivateKey", "string", "text",
    "usernameColonPassword", "usernamePassword",
})  # fmt: skip

WINDOWS_STEPS = frozenset({"bat", "powershell", "pwsh"})
# Steps that Jenkins refuses in a declarative `steps` block, with its reason.
BLOCKED_STEPS: Mapping[str, str] = {
    "stage": "The stage step cannot be used in Declarative Pipelines",
    "properties": "The properties step cannot be used in Declarative Pipelines",
    "parallel": "The parallel step can only be used as the only top-level step in a stages step block",
}

_SHELL = Signature(
    {"script": STRING, "returnStdout": BOOLEAN, "returnStatus": BOOLEAN, "encoding": STRING, "label": STRING},
    ("script",),
)
SIGNATURES: Mapping[str, Signature] = {
    "sh": _SHELL,
    "bat": _SHELL,
    "powershell": Signature(_SHELL.parameters, _SHELL.required, closed=False),
    "pwsh": Signature(_SHELL.parameters, _SHELL.required, closed=False),
    "echo": Signature({"message": STRING}, ("message",)),
    "error": Signature({"message": STRING}, ("message",)),
    "unstable": Signature({"message": STRING}, ("message",)),
    "sleep": Signature({"time": INTEGER, "unit": STRING}, ("time",)),
    "dir": Signature({"path": STRING}, ("path",), block=True),
    "ws": Signature({"dir": STRING}, ("dir",), block=True),
    "timeout": Signature({"time": INTEGER, "unit": STRING, "activity": BOOLEAN}, ("time",), block=True),
    "retry": Signature({"count": INTEGER, "conditions": ANY}, ("count",), block=True),
    "withEnv": Signature({"overrides": ANY}, ("overrides",), block=True),
    "withCredentials": Signature({"bindings": ANY}, ("bindings",), closed=False, block=True),
    "catchError": Signature(
        {"buildResult": ANY, "stageResult": ANY, "message": STRING, "catchInterruptions": BOOLEAN}, block=True
    ),
    "warnError": Signature({"message": STRING, "catchInterruptions": BOOLEAN}, ("message",), block=True),
    "stash": Signature(
        {"name": STRING, "includes": STRING, "excludes": STRING, "allowEmpty": BOOLEAN, "useDefaultExcludes": BOOLEAN},
        ("name",),
    ),
    "unstash": Signature({"name": STRING}, ("name",)),
    "readFile": Signature({"file": STRING, "encoding": STRING}, ("file",)),
    "writeFile": Signature({"file": STRING, "text": STRING, "encoding": STRING}, ("file", "text")),
    "fileExists": Signature({"file": STRING}, ("file",)),
    "deleteDir": Signature({}),
    "isUnix": Signature({}),
    "pwd": Signature({"tmp": BOOLEAN}),
    "archiveArtifacts": Signature({"artifacts": STRING}, ("artifacts",), closed=False),
    "junit": Signature({"testResults": STRING}, ("testResults",), closed=False),
    "checkout": Signature({"scm": ANY}, (), closed=False),
    "git": Signature({"url": STRING, "branch": STRING}, ("url",), closed=False),
    "build": Signature({"job": STRING}, ("job",), closed=False),
}


def not_runnable(name: str) -> Sentence:
    """Why a step cannot run here: the warning of `validate` and the failure at run time are the same sentence."""
    if name in WINDOWS_STEPS:
        return S(
            "The step “%(step)s” needs Windows and cannot run in the embedded builder; the stage will fail there.",
            step=name,
        )
    return S(
        "The step “%(step)s” comes from a Jenkins plugin and cannot run in the embedded builder; "
        "the stage will fail there.",
        step=name,
    )
