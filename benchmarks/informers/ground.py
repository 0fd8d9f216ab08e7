"""What the measurements stand on: an API server in a process of its own, a real watch process, and a look at its rows."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

from benchmarks.remote.served import Told
from tests.portal import ROOT, cpu_seconds, pss_mb
from tests.waiting import until

NEEDED = 5  # resources without which a cluster is not followed


class Server(Told):
    """`with Server() as server:`."""

    def __init__(self) -> None:
        super().__init__("benchmarks.informers.server")
        self.facts: dict[str, Any] = self.do("hello")

    @property
    def url(self) -> str:
        return str(self.facts["url"])


class Watch:
    """`manage.py watch` with its own data, following clusters and doing nothing else."""

    def __init__(self, var: Path) -> None:
        var.mkdir(parents=True)
        self._env = {
            **os.environ,
            "FDD_ENV": "local",
            "FDD_VAR": str(var),
            "DJANGO_SETTINGS_MODULE": "fangduoduo_release.settings",
            "NO_COLOR": "1",
        }
        self._env.pop("DATABASE_URL", None)
        self._run("manage.py", "migrate", "-v0")
        self._rows = sqlite3.connect(f"file:{next(var.glob('*.sqlite3'))}?mode=ro", uri=True, isolation_level=None)
        self._log = (var / "watch.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "watch", "--only", "clusters"],
            cwd=ROOT, env=self._env, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
        )  # fmt: skip
        until(lambda: self.ask("SELECT count(*) FROM common_beat WHERE kind = 'watch'")[0], 60, what="the watch")
        time.sleep(3)

    def connect(self, url: str) -> None:
        self._run("-m", "benchmarks.informers.fill", url)

    def live(self) -> bool:
        """Whether everything is followed."""
        return int(self.ask("SELECT count(*) FROM clusters_clusterfeed WHERE state = 'live'")[0]) >= NEEDED

    def pods(self) -> dict[str, str]:
        found = self._rows.execute(
            "SELECT name, resource_version FROM clusters_clusterobject WHERE resource = 'pods' AND NOT gone"
        )
        return dict(found.fetchall())

    def feed(self) -> dict[str, int]:
        names = ("lag_ms", "drift", "relists", "reconnects", "objects_count")
        row = self.ask(f"SELECT {', '.join(names)} FROM clusters_clusterfeed WHERE resource = 'pods'")
        return dict(zip(names, row, strict=True))

    def ask(self, query: str) -> tuple[Any, ...]:
        row = self._rows.execute(query).fetchone()
        return tuple(row) if row else (0,)

    def version_of(self, name: str) -> str:
        row = self._rows.execute(
            "SELECT resource_version FROM clusters_clusterobject WHERE resource = 'pods' AND name = ?", (name,)
        ).fetchone()
        return str(row[0]) if row else ""

    @property
    def cpu_s(self) -> float:
        return cpu_seconds([self.process.pid])

    @property
    def mb(self) -> float:
        return pss_mb([self.process.pid])

    def _run(self, *words: str) -> None:
        subprocess.run([sys.executable, *words], cwd=ROOT, env=self._env, check=True, timeout=300)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.close()
        self.process.terminate()
        self.process.wait(30)
        self._log.close()


def bare(url: str, seconds: float) -> dict[str, float]:
    """The same list and watch, read and parsed by a bare loop."""
    command = [sys.executable, "-m", "benchmarks.informers.bare", url, str(seconds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=seconds + 120)
    found: dict[str, float] = json.loads(done.stdout)
    return found
