"""The simulated Jenkins as the benchmark holds it: another process, told what to do line by line."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Self

from tests.portal import ROOT


class Served:
    """`with Served() as jenkins:`; every method of `server.Commands` by `do`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.remote.server"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        hello = self.do("hello")
        self.url, self.user, self.token = str(hello["url"]), str(hello["user"]), str(hello["token"])

    def do(self, command: str, **given: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": command, **given}).encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def as_arguments(self) -> tuple[str, str, str]:
        return self.url, self.user, self.token

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
