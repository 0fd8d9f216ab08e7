"""Which steps exist and which of them the embedded builder can run: one list, shared with the executor.

Knows names and shapes only; how a step is carried out is the executor's business.
"""

from __future__ import annotations

# Steps whose trailing closure holds further steps.
BLOCK_STEPS = frozenset({
    "ansiColor", "catchError", "container", "dir", "lock", "node", "parallel", "podTemplate", "retry", "script",
    "sshagent", "stage", "timeout", "timestamps", "waitUntil", "warnError", "withCredentials", "withEnv", "withMaven",
    "withSonarQubeEnv", "wrap", "ws",
})  # fmt: skip

# What the embedded builder carries out itself, inside and outside of `script`.
RUNNABLE_STEPS = frozenset({
    "archiveArtifacts", "catchError", "checkout", "cleanWs", "deleteDir", "dir", "echo", "error", "fileExists", "git",
    "isUnix", "junit", "print", "println", "pwd", "readFile", "retry", "script", "sh", "sleep", "stash", "timeout",
    "timestamps", "unstable", "unstash", "warnError", "withCredentials", "withEnv", "writeFile",
})  # fmt: skip
