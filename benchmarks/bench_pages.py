"""Every page with years of data in it, against the same page with a tenth of them; on SQLite, and on PostgreSQL where
$FDD_TEST_DATABASE_URL names one. The reader is an admin, who sees all 500 projects: the hardest case of every page."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg

from tests.portal import ROOT, Portal

from .measure import Number, percentile

TIMES, WARM = 25, 3
FILL_S = 1200
PAGES = {
    "home": "/",
    "projects": "/projects/",
    "board of a project": "/projects/p-0007/",
    "its builds": "/projects/p-0007/builds/",
    "its versions": "/projects/p-0007/versions/",
    "its deployments": "/projects/p-0007/deployments/",
    "all builds": "/builds/",
    "a build": "/builds/{build}/",
    "all deployments": "/deployments/",
    "a deployment": "/deployments/{deployment}/",
    "machines": "/machines/",
    "search": "/search/?q=p-000",
    "API: builds": "/api/builds/",
    "API: projects": "/api/projects/",
}


def measure(scratch: Path) -> Iterator[Number]:
    yield from on("SQLite", scratch / "sqlite", {})
    if os.environ.get("FDD_TEST_DATABASE_URL"):
        with database(os.environ["FDD_TEST_DATABASE_URL"]) as address:
            yield from on("PostgreSQL", scratch / "postgres", {"DATABASE_URL": address})


def on(name: str, folder: Path, env: dict[str, str]) -> Iterator[Number]:
    folder.mkdir()
    portal = Portal(folder / "var", env=env)
    taken = []
    for share in (0.1, 1.0):
        with portal:
            pass  # prepares at the first turn, lets SQLite settle at the second
        fill = [sys.executable, "-m", "benchmarks.dataset", str(share)]
        settings = {**portal.env, "DJANGO_SETTINGS_MODULE": "fangduoduo_release.settings"}
        subprocess.run(fill, cwd=ROOT, env=settings, check=True, timeout=FILL_S)
        with portal:
            taken.append(read(portal))
    for label in PAGES:
        small, large = taken[0][label] * 1000, taken[1][label] * 1000
        yield Number(f"{label}, {name}, p95", large, "ms", limit=150)
        yield Number("… against a tenth of the data", large, "ms", baseline=small, baseline_name="1/10", limit=1.3)


def read(portal: Portal) -> dict[str, float]:
    """label -> p95 in seconds, one request after the other."""
    found = {}
    with signed_in(portal, "admin") as client:
        some = {kind: client.get(f"/api/{kind}s/").json()["results"][0]["id"] for kind in ("build", "deployment")}
        for label, path in PAGES.items():
            taken = []
            for _ in range(WARM + TIMES):
                began = time.monotonic()
                answer = client.get(path.format(**some))
                taken.append(time.monotonic() - began)
                if answer.status_code != 200:
                    raise RuntimeError(f"{path}: {answer.status_code}")
            found[label] = percentile(taken[WARM:], 0.95)
    return found


@contextlib.contextmanager
def signed_in(portal: Portal, who: str) -> Iterator[httpx.Client]:
    """A browser's session."""
    with httpx.Client(base_url=portal.url, timeout=60) as client:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', client.get("/sign-in/").text)
        form = {"username": who, "password": portal.credentials()["users"][who]}
        form["csrfmiddlewaretoken"] = token[1] if token else ""
        answer = client.post("/sign-in/", data=form, headers={"Referer": f"{portal.url}/sign-in/"})
        if answer.status_code != 302:
            raise RuntimeError(f"{who} cannot sign in: {answer.status_code}")
        yield client


@contextlib.contextmanager
def database(server: str) -> Iterator[str]:
    """A new database on the server, dropped afterwards; yields its address."""
    name = f"fdd_bench_{uuid.uuid4().hex[:10]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlsplit(server)._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
