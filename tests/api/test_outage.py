"""The database is away: 503, with the time to wait, at every door that needs it; liveness needs none."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from .door import PROBLEM

ASK = """
import json, os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "fangduoduo_release.settings"
django.setup()
from django.conf import settings
from django.test import Client
settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
bearer = {"Authorization": "Bearer fdd_0123456789_x"}
cookie = {"Cookie": "sessionid=abcdefghijklmnopqrstuvwxyz012345"}
asks = [("/api/projects/", bearer), ("/api/builds/1/log/", bearer), ("/api/projects/", cookie), ("/", cookie),
        ("/healthz", {}), ("/readyz", {})]
client = Client(raise_request_exception=False)
for path, headers in asks:
    answer = client.get(path, headers=headers)
    print(json.dumps([path, answer.status_code, answer["Content-Type"], answer.get("Retry-After")]))
"""


def test_without_a_database_every_door_says_503_and_when_to_come_again() -> None:
    away = {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none?connect_timeout=2", "FDD_PROCESS": "test"}
    done = subprocess.run(
        [sys.executable, "-c", ASK], env={**os.environ, **away}, capture_output=True, text=True, timeout=300, check=True
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    found = {(number, line[0]): line[1:] for number, line in enumerate(lines)}
    assert len(found) == 6, done.stderr[-2000:]
    for (_, path), (status, kind, wait) in found.items():
        if path == "/healthz":
            assert status == 200
            continue
        assert (status, wait) == (503, "5"), path
        if path.startswith("/api/"):
            assert kind == PROBLEM
