"""`python -m benchmarks.scale.visitor SHAPE`: fill the database that the settings name, then look at pages as told.

The first line out says what was filled. Then one JSON line per request, in: {"who", "path"}; out: {"status", "ms",
"cpu_ms", "queries", "db_ms"}. Requests go through Django's test client, in this process: what is measured is the
portal's own work, without a socket and without the server in front.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from typing import Any

import django
from django.conf import settings

settings.STORAGES = {  # nothing was collected here; what a page costs does not depend on it
    **settings.STORAGES,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
django.setup()

from django.db import connection  # noqa: E402 - wants the apps to be known
from django.test import Client  # noqa: E402

from benchmarks.scale.fill import fill  # noqa: E402
from benchmarks.scale.filled import SHAPES  # noqa: E402
from permissions.models import User  # noqa: E402


class Tally:
    """Counts the statements of one request and the time they took."""

    def __init__(self) -> None:
        self.count, self.ms = 0, 0.0
        self.statements: list[tuple[float, str]] = []

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            took = (time.perf_counter() - began) * 1000
            self.count += 1
            self.ms += took
            self.statements.append((took, sql))


def visit(client: Client, path: str) -> dict[str, Any]:
    tally = Tally()
    with connection.execute_wrapper(tally):
        began, cpu = time.perf_counter(), time.process_time()
        response = client.get(path)
        if response.streaming:
            b"".join(response)  # type: ignore[arg-type]
        ms, cpu_ms = (time.perf_counter() - began) * 1000, (time.process_time() - cpu) * 1000
    slowest = max(tally.statements, default=(0.0, ""))
    return {
        "status": response.status_code,
        "ms": ms,
        "cpu_ms": cpu_ms,
        "queries": tally.count,
        "db_ms": tally.ms,
        "slowest": [round(slowest[0], 1), slowest[1][:1500]],
    }


def say(what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main(shape: str) -> None:
    say(asdict(fill(SHAPES[shape])))
    clients = {}
    for name in ("dev", "ops"):
        clients[name] = Client(raise_request_exception=False)
        clients[name].force_login(User.objects.get(username=name), "permissions.backends.PasswordBackend")
    for line in sys.stdin:
        wanted = json.loads(line)
        say(visit(clients[wanted["who"]], wanted["path"]))


if __name__ == "__main__":
    main(sys.argv[1])
