"""What git's complaints mean, each as one sentence: what may be tried again, and what stays as it is until somebody acts.

The first line of the table that fits wins, so what is said for certain stands before what git and ssh add to every end
of a connection. It must not know which command was run.
"""

from __future__ import annotations

import re
import signal

from fangduoduo_release.common.errors import AppError, NotFound, Rejected, Unavailable
from fangduoduo_release.common.sentence import S, Sentence

_EVIDENCE = 2_000
_SIGXFSZ = int(signal.SIGXFSZ)
_ADDRESS = re.compile(r"(?:https?|ssh)://[^\s']+")
_CUT_OFF = (
    r"(?i)early EOF|unexpected disconnect|hung up unexpectedly|unexpected eof|not closed cleanly|\bcurl (16|18|28|52|55|56|92)\b"
    r"|SSL_ERROR_SYSCALL|non-properly terminated|error in the (pull|push) function|unexpected length was received"
    r"|ssl connection timeout|broken pipe|not responding|connection to \S+ closed by|(recv|send) failure"
    # Not when a server greets with words that are no git, such as a banner: it will again.
    r"|protocol error(?!: bad line length character)"
)

_NO_REPOSITORY = S("There is no Git repository at this address, or this account may not see it.")

_COMPLAINTS: tuple[tuple[str, type[AppError], str, Sentence], ...] = (
    (
        r"No space left on device|Disk quota exceeded",
        Unavailable,
        "disk_full",
        S("There is no space left for repositories on this machine."),
    ),
    (
        r"File size limit exceeded|died of signal 25",
        Rejected,
        "repository_too_large",
        S("The repository is larger than is allowed here."),
    ),
    (
        r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED",
        Rejected,
        "host_key",
        S("The server's SSH host key is not the one known here."),
    ),
    (
        r"(?i)authentication failed|could not read (username|password)|permission denied \(|access denied"
        r"|returned error: 40[13]|invalid credentials|load key",
        Rejected,
        "authentication_failed",
        S("The repository's server refused the sign-in; check the user name and the password or key."),
    ),
    (
        r"(?i)certificate",
        Rejected,
        "bad_certificate",
        S("The server's TLS certificate is not trusted here."),
    ),
    (
        r"(?i)redirect",
        Rejected,
        "redirected",
        S("The server sends us on to another address; enter the final address of the repository."),
    ),
    (
        r"(?i)could not resolve|failed to connect|couldn't connect|connection (refused|timed out|reset|closed)"
        r"|no route to host|network is unreachable|operation (timed out|too slow)|empty reply|returned error: (429|5\d\d)",
        Unavailable,
        "host_unreachable",
        S("The repository's server cannot be reached now."),
    ),
    (
        r"(?i)not a git repository|does not appear to be a git repository|repository .*not found|is this a git repository"
        r"|not valid: |returned error: 404|'[^']*' not found",
        Rejected,
        "not_a_repository",
        _NO_REPOSITORY,
    ),
    (
        r"(?i)bad revision|unknown revision|not a valid object|bad object|couldn't find remote ref|not our ref",
        NotFound,
        "unknown_ref",
        S("There is no such branch, tag or commit."),
    ),
    (
        _CUT_OFF,
        Unavailable,
        "connection_lost",
        S("The connection to the repository's server broke off."),
    ),
    (
        r"(?i)could not read from remote",  # ssh's last words, whatever the reason
        Rejected,
        "not_a_repository",
        _NO_REPOSITORY,
    ),
)


def explain(stderr: str, *, code: int = 1) -> AppError:
    """The error that says in one sentence what git's complaint means; the complaint itself is the evidence."""
    evidence = stderr.strip()[-_EVIDENCE:]
    if code in (-_SIGXFSZ, 128 + _SIGXFSZ):
        evidence = f"File size limit exceeded\n{evidence}"
    said = _ADDRESS.sub("", evidence)  # a repository may be called anything, also “certificates”
    for pattern, kind, name, sentence in _COMPLAINTS:
        if re.search(pattern, said):
            return (
                kind(sentence, evidence=evidence, code=name)
                if issubclass(kind, Rejected | Unavailable)
                else kind(sentence, code=name)
            )
    return Rejected(S("Git refused: %(reason)s", reason=_last_line(evidence) or f"exit {code}"), evidence=evidence)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return (fatal or lines or [""])[-1][:300]
