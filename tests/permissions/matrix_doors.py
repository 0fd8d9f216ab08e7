"""What the doors beside Django expect of whom: sockets and git over HTTP."""

from __future__ import annotations

from dataclasses import dataclass

from .matrix import DEVELOPER, SIGNED_IN, VIEWER, suffices

NOT_SIGNED_IN, NOT_ALLOWED, UNSEEN, OPEN = 4401, 4403, 4404, 0


@dataclass(frozen=True, slots=True)
class Socket:
    """`path` with the world's values in braces; who reaches `level` stays connected. `needs`: what one reaches to be let in,
    where seeing it (`level`) is not enough; `then`: what becomes of who is let in, where that is something else."""

    path: str
    level: str
    needs: str = ""
    then: int = OPEN

    def expected(self, role: str) -> int:
        """The code the socket is closed with, 0 when it stays open."""
        if role == "anonymous":
            return NOT_SIGNED_IN
        if not suffices(role, self.level):
            return UNSEEN
        if self.needs and role == "token":
            return NOT_ALLOWED  # it only reads
        return self.then if suffices(role, self.needs or self.level) else NOT_ALLOWED


@dataclass(frozen=True, slots=True)
class Git:
    """One request of git's below `/git/<slug>.git/`."""

    method: str
    path: str
    level: str
    body: bytes = b""

    @property
    def writes(self) -> bool:
        return "receive-pack" in self.path

    def expected(self, role: str) -> int:
        if role == "anonymous":
            return 401
        if not suffices(role, VIEWER):
            return 404
        if role == "token" and self.writes:
            return 403
        return 200 if suffices(role, self.level) else 403


SOCKETS = [
    Socket("/ws/home/", SIGNED_IN),
    Socket("/ws/builds/{builds}/", VIEWER),
    Socket("/ws/deployments/{deployments}/", VIEWER),
    Socket("/ws/services/{services}/", VIEWER),
    Socket("/ws/builds/{builds}/log/", VIEWER),
    # what services write, and terminals: in the world of these tests no instance and no pod runs
    Socket("/ws/services/{services}/logs/", VIEWER),
    Socket("/ws/services/{services}/terminal/", VIEWER, needs=DEVELOPER, then=UNSEEN),
    Socket("/ws/clusters/{east}/k8s/{exec}/?", VIEWER, then=UNSEEN),
]

GIT = [
    Git("GET", "info/refs?service=git-upload-pack", VIEWER),
    Git("GET", "info/refs?service=git-receive-pack", DEVELOPER),
    Git("POST", "git-upload-pack", VIEWER, b"0000"),
    Git("POST", "git-receive-pack", DEVELOPER, b"0000"),
]

# (method, path, status): webhooks know no people, only who has a connection's secret; everybody here is a stranger.
HOOKS = [
    ("GET", "/hooks/github/forge/", 405),
    ("POST", "/hooks/github/forge/", 401),
    ("POST", "/hooks/gerrit/forge/", 401),
    ("POST", "/hooks/nothing/forge/", 404),
]
