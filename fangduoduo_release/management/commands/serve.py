"""`manage.py serve`: the whole portal on this machine, for FDD_ENV=local. What `make run` calls.

It prepares (one copy per data folder, a free port, migrations, static files, the sample) and then *becomes* the
supervisor, so that no Django stays in memory only to watch three children.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import socket
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command, get_commands
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

PORT_PATIENCE_S = 3.0  # a portal killed a moment ago may still be letting go of its port


def hold_data_folder(var: Path) -> int:
    """Lock `var` for this process; the lock survives becoming the supervisor and ends with it. CommandError if held."""
    folder = var / "run"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / "serve.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise CommandError(f"A portal is already running on {var}{where_it_runs(folder)}.") from error
    os.set_inheritable(descriptor, True)
    return descriptor


def where_it_runs(folder: Path) -> str:
    try:
        state = json.loads((folder / "portal.json").read_text())
        return f" at {state['url']} (process {state['pid']})"
    except (OSError, ValueError, KeyError):
        return ""


def check_port(port: int) -> None:
    """CommandError with the way out when `port` cannot be had."""
    deadline = time.monotonic() + PORT_PATIENCE_S
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return
            except PermissionError as error:
                raise CommandError(f"Port {port} needs root; choose another: make run PORT=8000") from error
            except OSError as error:
                if time.monotonic() > deadline:
                    raise CommandError(
                        f"Port {port} is taken by another program; stop that, or choose another: make run PORT={port + 1}"
                    ) from error
        time.sleep(0.1)


def chosen_port(given: str) -> int:
    if not given.isdecimal() or not 0 < int(given) < 65536:
        raise CommandError(f"“{given}” is not a port; choose a number from 1 to 65535: make run PORT=8000")
    return int(given)


class Command(BaseCommand):
    help = "Prepare and run the whole portal (web, worker, watch) on this machine."
    requires_system_checks: list[str] = []  # the web process makes them when it starts

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", default=os.environ.get("PORT") or "8000")
        parser.add_argument("--no-demo", action="store_true", help="start without the sample project and its people")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.LOCAL:
            raise CommandError("serve is for FDD_ENV=local; docs/operations.md says how production runs its processes.")
        port = chosen_port(options["port"])
        hold_data_folder(settings.VAR)
        check_port(port)
        try:
            first_start = self.prepare(with_demo=not options["no_demo"])
        except KeyboardInterrupt:
            raise CommandError("Stopped before it was ready; the same command goes on from here.") from None
        except DatabaseError as error:
            raise CommandError(f"The database cannot be used: {error}") from error
        self.become_supervisor(port, first_start)

    def prepare(self, *, with_demo: bool) -> bool:
        """Everything before the first process starts. True when the sample's people were made just now."""
        self.migrate()
        self.collect_static()
        if "templates" in get_commands():
            call_command("templates", stdout=io.StringIO())
        credentials = settings.VAR / "demo-credentials.json"
        had_people = credentials.exists()
        if with_demo and "demo" in get_commands():
            call_command("demo")
        return credentials.exists() and not had_people

    def migrate(self) -> None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self.stdout.write("Bringing the database up to date")
            call_command("migrate", interactive=False, verbosity=0)
        connection.close()

    def collect_static(self) -> None:
        """Collect and compress static files when any of them changed."""
        target = Path(settings.STATIC_ROOT)
        stamp, wanted = target / ".stamp", self.static_fingerprint()
        target.mkdir(parents=True, exist_ok=True)
        with (target / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if stamp.is_file() and stamp.read_text() == wanted:
                return
            self.stdout.write("Collecting static files")
            call_command("collectstatic", interactive=False, verbosity=0)
            stamp.write_text(wanted)

    @staticmethod
    def static_fingerprint() -> str:
        """From names, sizes and times: reading every file at every start would cost more than it saves."""
        digest = hashlib.sha256((settings.BASE_DIR / "requirements.txt").read_bytes())
        for folder in settings.STATICFILES_DIRS:
            for path in sorted(Path(folder).rglob("*")):
                facts = path.stat()
                if path.is_file():
                    digest.update(f"{path}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
        digest.update(" ".join(config.name for config in apps.get_app_configs()).encode())
        return digest.hexdigest()

    def become_supervisor(self, port: int, first_start: bool) -> None:
        commands = get_commands()
        roles = ["web", *(role for role in ("worker", "watch") if role in commands)]
        arguments = ["--var", str(settings.VAR), "--port", str(port), "--roles", ",".join(roles)]
        arguments += ["--first-start"] if first_start else []
        arguments += ["--stop-services"] if "local_services" in commands else []
        self.stdout.flush()
        os.chdir(settings.BASE_DIR)
        command = [sys.executable, "-m", "fangduoduo_release.supervisor", *arguments]
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted here
