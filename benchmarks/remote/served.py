"""A simulated server as the benchmark holds it: another process, told what to do line by line."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Self

from tests.portal import ROOT


class Told:
    """`with Told("package.module") as server:`; every method of that module's `Commands` by `do`."""

    def __init__(self, module: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def do(self, command: str, **given: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": command, **given}).encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

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


class Served(Told):
    """The simulated Jenkins: `with Served() as jenkins:`."""

    def __init__(self) -> None:
        super().__init__("benchmarks.remote.server")
        hello = self.do("hello")
        self.url, self.user, self.token = str(hello["url"]), str(hello["user"]), str(hello["token"])

    def as_arguments(self) -> tuple[str, str, str]:
        return self.url, self.user, self.token
