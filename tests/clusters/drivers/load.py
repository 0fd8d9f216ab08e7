"""People who use a service while it changes: steady requests with and without keep-alive, every failure kept."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from types import TracebackType


class Load:
    """`rate` requests per second in all, spread over `clients` threads, every other one with keep-alive."""

    def __init__(self, port: int, rate: int = 200, clients: int = 4) -> None:
        self.port = port
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self._pause = clients / rate
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(i % 2 == 0,)) for i in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _client(self, keep_alive: bool) -> None:
        connection = None
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due += self._pause
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                connection.request("GET", "/")
                answer = connection.getresponse()
                body = answer.read().decode()
                if answer.status == 200:
                    self.answers[body.split()[0]] += 1
                else:
                    self.failures.append(f"HTTP {answer.status} {body[:80]}")
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection = None
            if not keep_alive and connection is not None:
                connection.close()
                connection = None
