"""The plugin webhooks: each event of the wanted kinds is posted to an address, in order, a few times if need be."""

from __future__ import annotations

import queue
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from .stream import encode


@dataclass
class Remote:
    """`kinds` empty: every event. `answers`: the statuses it got, 0 where there was no answer."""

    url: str
    kinds: frozenset[str] = frozenset()
    headers: dict[str, str] = field(default_factory=dict)
    answers: list[int] = field(default_factory=list)


class Webhooks:
    """`gerrit.webhooks`. One thread, as the plugin has by default; an address that fails is tried again."""

    def __init__(self, tries: int = 5, interval: float = 1.0, timeout: float = 60.0) -> None:
        self.remotes: list[Remote] = []
        self.tries = tries
        self.interval = interval
        self.timeout = timeout
        self._waiting: queue.Queue[tuple[Remote, bytes] | None] = queue.Queue()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gerrit webhooks", daemon=True)

    def add(self, url: str, *kinds: str, headers: dict[str, str] | None = None) -> Remote:
        remote = Remote(url, frozenset(kinds), headers or {})
        self.remotes.append(remote)
        if not self._thread.is_alive():
            self._thread.start()
        return remote

    def take(self, event: dict[str, Any]) -> None:
        """Called with every event."""
        for remote in self.remotes:
            if not remote.kinds or event["type"] in remote.kinds:
                self._waiting.put((remote, encode(event).rstrip(b"\n")))

    def end(self) -> None:
        self._ended.set()
        self._waiting.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while (one := self._waiting.get()) is not None:
            for _ in range(self.tries):
                if self._post(*one) or self._ended.wait(self.interval):
                    break

    def _post(self, remote: Remote, body: bytes) -> bool:
        headers = {"Content-Type": "application/json; charset=UTF-8", **remote.headers}
        asked = urllib.request.Request(remote.url, body, headers, method="POST")
        try:
            with urllib.request.urlopen(asked, timeout=self.timeout) as answer:
                remote.answers.append(answer.status)
                return True
        except urllib.error.HTTPError as refused:
            remote.answers.append(refused.code)
            return refused.code < 500
        except OSError:
            remote.answers.append(0)
            return False
