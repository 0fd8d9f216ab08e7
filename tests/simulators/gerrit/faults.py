"""Everything that goes wrong with a Gerrit, on demand.

What concerns HTTP is a *rule*: it holds for requests whose line (`GET /a/projects/team/app/branches/?n=5`, nothing
quoted) its pattern is found in, so many `times`, until it is lifted (a rule is a context manager) or all are (`clear`).
What concerns events and SSH happens at once.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

from . import events
from .accounts import Account
from .stream import encode

if TYPE_CHECKING:
    from .server import Gerrit

Kind = Literal["status", "starting", "late", "held", "reset", "lost", "truncated"]
_WORDS = {
    400: "Bad Request", 401: "Unauthorized", 403: "not permitted", 404: "Not found", 409: "conflict",
    429: "Too many requests", 500: "Internal server error", 502: "Bad Gateway", 503: "Service Unavailable",
}  # fmt: skip


@dataclass(eq=False)
class Rule:
    """One way in which requests go wrong. `hits`: how often it has so far. `lifted`: it holds no more."""

    kind: Kind
    pattern: re.Pattern[str]
    value: float = 0
    text: str = ""
    times: int | None = None
    hits: int = 0
    lifted: threading.Event = field(default_factory=threading.Event, repr=False)
    _faults: Faults | None = field(default=None, repr=False)

    def lift(self) -> None:
        if self._faults is not None:
            self._faults.lift(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.lift()


class Faults:
    """`gerrit.faults`."""

    def __init__(self, gerrit: Gerrit) -> None:
        self._gerrit = gerrit
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self.restarting = False
        self.reflog: int = 0
        self.paging_overlaps = False
        self.restricted: set[tuple[str, int]] = set()

    # -- over HTTP ------------------------------------------------------------------------------------------------------

    def status(self, status: int, pattern: str = "", times: int | None = None, text: str = "") -> Rule:
        """A status instead of an answer and its effect; 401, 403, 404, 409, 500 … in plain text."""
        return self._add(Rule("status", re.compile(pattern), status, text or _WORDS.get(status, "failed"), times))

    def starting(self, pattern: str = "", times: int | None = None) -> Rule:
        """503 with a page of HTML."""
        return self._add(Rule("starting", re.compile(pattern), 503, "", times))

    def late(self, seconds: float, pattern: str = "", times: int | None = None) -> Rule:
        """The answer comes so much later."""
        return self._add(Rule("late", re.compile(pattern), seconds, "", times))

    def held(self, pattern: str = "", times: int | None = None) -> Rule:
        """The answer comes when the rule is lifted."""
        return self._add(Rule("held", re.compile(pattern), 0, "", times))

    def reset(self, pattern: str = "", times: int | None = 1, *, after_effect: bool = False) -> Rule:
        """Reset the connection: before anything is done, or when all is done and only the answer is missing."""
        return self._add(Rule("lost" if after_effect else "reset", re.compile(pattern), 0, "", times))

    def truncated(self, pattern: str = "", times: int | None = None) -> Rule:
        """Half of the body, as if that were all: broken JSON."""
        return self._add(Rule("truncated", re.compile(pattern), 0, "", times))

    def reflog_off(self, status: int = 404) -> None:
        """Nobody reads reflogs: 404 as without the permission to see the branch's, 403, or 405 as from a store without."""
        self.reflog = status

    def overlap_pages(self) -> None:
        """Branches are paged as by some versions: HEAD and the configuration are counted last but shown first, and a
        page that does not begin at 0 begins with the last of the page before."""
        self.paging_overlaps = True

    def clear(self) -> None:
        """All is well again over HTTP."""
        with self._lock:
            for rule in self._rules:
                rule.lifted.set()
            self._rules.clear()
        self.reflog = 0
        self.paging_overlaps = False
        self.restricted.clear()

    def lift(self, rule: Rule) -> None:
        rule.lifted.set()
        with self._lock:
            if rule in self._rules:
                self._rules.remove(rule)

    def meet(self, line: str) -> dict[Kind, Rule]:
        """The rules that hold for this request, one of a kind, each counted."""
        met: dict[Kind, Rule] = {}
        with self._lock:
            for rule in list(self._rules):
                if rule.kind in met or not rule.pattern.search(line):
                    continue
                rule.hits += 1
                met[rule.kind] = rule
                if rule.times is not None and rule.hits >= rule.times:
                    self._rules.remove(rule)
        return met

    def _add(self, rule: Rule) -> Rule:
        rule._faults = self
        with self._lock:
            self._rules.append(rule)
        return rule

    # -- in votes and access --------------------------------------------------------------------------------------------

    def restrict(self, label: str, *values: int) -> None:
        """Nobody may vote these."""
        self.restricted |= {(label, value) for value in values}

    def hide(self, project: str, username: str) -> None:
        """As if there were no such project, for this account."""
        self._gerrit.project(project).hidden_from.add(username)

    def forbid(self, username: str, capability: str) -> None:
        """Take `streamEvents`, `createProject` … from an account."""
        self._account(username).capabilities.discard(capability)

    def change_password(self, username: str, password: str) -> None:
        """Over HTTP, with effect at once."""
        self._account(username).password = password

    # -- in events ------------------------------------------------------------------------------------------------------

    def drop_events(self, *, mid_line: bool = True) -> None:
        """End all SSH connections, after half of a line."""
        if mid_line:
            whole = encode(events.project_created("half/of/a/line", "refs/heads/master"))
            self._gerrit.stream.line(whole[: len(whole) // 2])
        self._gerrit.daemon.drop()

    def fall_silent(self, *, new_too: bool = False) -> None:
        """Sockets stay open, and nothing comes any more: no event, no answer to a keepalive. `new_too`: also new
        connections are accepted and never hear a word, until `speak_again`."""
        for listener in self._gerrit.stream.listeners:
            listener.silent = True
        self._gerrit.daemon.mute = new_too
        self._gerrit.daemon.pause()

    def speak_again(self) -> None:
        """To new connections."""
        self._gerrit.daemon.mute = False

    def garbage(self, text: str = "this is no JSON {") -> None:
        """A line that nobody understands."""
        self._gerrit.stream.line(text.encode() + b"\n")

    def huge_event(self, size: int = 10_000_000) -> None:
        """A line of so many bytes: a patch set with a commit message beyond reason."""
        event = {**events.project_created("huge", "refs/heads/master"), "commitMessage": "x" * size}
        self._gerrit.stream.line(encode({**event, "type": "patchset-created"}))

    def lose_output(self) -> None:
        """What Gerrit says to a listener that reads too slowly."""
        self._gerrit.stream.publish(events.dropped_output())

    # -- in SSH ---------------------------------------------------------------------------------------------------------

    def change_host_key(self) -> None:
        """Another server, or somebody in between; connections end."""
        self._gerrit.daemon.change_key()

    def revoke_keys(self, username: str) -> None:
        """New connections are refused; those there are go on, as in the real one."""
        self._account(username).keys.clear()

    def authorize(self, username: str, key: str) -> None:
        self._account(username).keys.append(key)

    def refuse_ssh(self) -> None:
        """Listen no more, until `accept_ssh`. HTTP goes on."""
        self._gerrit.daemon.refuse()

    def accept_ssh(self) -> None:
        self._gerrit.daemon.listen()

    def refuse_git(self, project: str, said: str) -> None:
        """The repository is listed, but git over SSH gets only these words and an exit status; others are well."""
        self._gerrit.daemon.refusals[project] = said

    def restart(self, seconds: float | None = None) -> None:
        """SSH is refused and HTTP answers 503, for so long or until `come_back`. Nobody hears of what happens meanwhile."""
        self.restarting = True
        self.refuse_ssh()
        if seconds is not None:
            self._timer = threading.Timer(seconds, self.come_back)
            self._timer.daemon = True
            self._timer.start()

    def come_back(self) -> None:
        self.accept_ssh()
        self.restarting = False

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()

    # -- in the state ---------------------------------------------------------------------------------------------------

    def skew(self, seconds: float) -> None:
        """The server's clock goes wrong: `Date` and `eventCreatedOn`."""
        self._gerrit.clock.push(seconds)

    def many_refs(self, project: str, count: int, prefix: str = "refs/heads/many") -> None:
        """So many refs to the tip of HEAD, written as git packs them; no event tells of them."""
        repository = self._gerrit.project(project).repository
        tip = repository.resolve("HEAD") or ""
        with repository.lock:
            repository.run("pack-refs", "--all")
            packed = repository.path / "packed-refs"
            head, *lines = packed.read_text().splitlines()
            lines = [line for line in lines if not line.startswith("^")]
            lines += [f"{tip} {prefix}/{number:06}" for number in range(count)]
            lines.sort(key=lambda line: line.partition(" ")[2])
            packed.write_text("\n".join([head.replace(" fully-peeled", "").replace(" peeled", ""), *lines, ""]))

    def _account(self, username: str) -> Account:
        found = self._gerrit.accounts.named(username)
        if found is None:
            raise KeyError(username)
        return found
