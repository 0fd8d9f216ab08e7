"""One instance of a service on this host: its folder, its record, how it is started, looked at and ended.

Must not decide when any of that happens (that is `converge`).
"""

from __future__ import annotations

import os
import re
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from clusters.drivers.process import procfs
from clusters.drivers.process.handle import Handle, Orders, ShimStatus
from clusters.drivers.runtime.base import Instance, ServiceRef, Wanted
from clusters.drivers.runtime.spec import Check, safe_path
from fangduoduo_release.common.errors import Rejected
from fangduoduo_release.common.sentence import S, Sentence

from .archive import copy_release
from .layout import GroupDir, now_boot, read_json, write_json

REFERENCE = re.compile(r"\$(\$?)\{([A-Za-z_][A-Za-z0-9_]*)\}")
PASSED_ON = ("LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True, slots=True)
class Record:
    """What an instance was made from; written once, before anything of it exists."""

    name: str
    generation: int
    deployment: str
    template: str
    digest: str
    port: int
    grace_s: float
    created_at: float
    created_boot: float


class LocalInstance:
    """An instance's folder as it is now. Read once per look; make a new object to look again."""

    def __init__(self, path: Path, record: Record, root: Path, service: ServiceRef) -> None:
        self.path = path
        self.record = record
        self.handle = Handle(path, marks(root, service, path.name))

    @cached_property
    def alive(self) -> bool:
        return self.handle.alive()

    @cached_property
    def status(self) -> ShimStatus | None:
        return self.handle.status()

    @cached_property
    def drain(self) -> dict[str, Any] | None:
        """Set once the instance is on its way out: {"since", "quiet"?, "stop"?}, seconds since boot."""
        return read_json(self.path / "drain.json")

    @property
    def ready(self) -> bool:
        return self.alive and self.status is not None and self.status.ready

    @property
    def age_s(self) -> float:
        return now_boot() - self.record.created_boot

    def write_drain(self, **values: float) -> None:
        self.drain = {**(self.drain or {"since": now_boot()}), **values}
        write_json(self.path / "drain.json", self.drain)

    @property
    def state(self) -> str:
        if self.drain is not None and "stop" in self.drain:
            return "stopping"
        if not self.alive:
            return "dead"
        if self.drain is not None:
            return "draining"
        status = self.status
        if status is None:
            return "starting"
        if status.state == "running":
            return "running" if status.ever_ready else "starting"
        return "restarting" if status.state in ("restarting", "starting") else "stopping"

    def observed(self, template: str) -> Instance:
        status = self.status or ShimStatus()
        pid = status.pid if self.alive and procfs.same_process(status.pid, status.ticks) else 0
        given = procfs.environment(pid) if pid else {}
        digest = given.get("FDD_VERSION_DIGEST", "") if given.get("FDD_INSTANCE") == self.record.name else ""
        return Instance(
            name=self.record.name,
            state=self.state,
            ready=self.ready,
            current=self.record.template == template and self.drain is None,
            digest=digest,
            restarts=status.restarts,
            started_at=datetime.fromtimestamp(status.started_at, UTC) if status.started_at else None,
            node=os.uname().nodename,
            port=self.record.port,
            pid=pid,
            exit_code=status.exit_code,
            exit_signal=status.exit_signal,
            reason=self.reason(),
        )

    def reason(self) -> Sentence | None:
        """Why it is not ready, as a sentence."""
        status = self.status
        if status is None or status.ready:
            return None
        if status.reason == "cannot_start":
            return S("The program could not be started: %(reason)s.", reason=status.detail)
        if status.reason == "port_taken":
            return S("Port %(port)d is taken by another process.", port=self.record.port)
        if status.reason == "not_ready":
            return S("The readiness check does not pass: %(reason)s.", reason=status.detail)
        if status.reason in ("liveness", "startup"):
            return S("It was restarted because its %(check)s check failed: %(reason)s.", check=status.reason,
                     reason=status.detail)  # fmt: skip
        if status.exit_signal is not None:
            return S("The process was ended by signal %(number)d.", number=status.exit_signal)
        if status.exit_code is not None:
            return S("The process ended with exit code %(code)d.", code=status.exit_code)
        return None


def marks(root: Path, service: ServiceRef, name: str) -> dict[str, str]:
    """The environment variables by which an instance's processes are found again."""
    return {"FDD_INSTANCE": name, "FDD_SERVICE_KEY": service.key, "FDD_RUNTIME": str(root)}


def read_instances(group: GroupDir, root: Path) -> list[LocalInstance]:
    """Every instance on disk, oldest first."""
    found = []
    for path in group.instance_dirs():
        data = read_json(path / "instance.json")
        if data is not None:
            found.append(LocalInstance(path, Record(**data), root, group.service))
    return sorted(found, key=lambda instance: (instance.record.created_at, instance.record.name))


def create(group: GroupDir, wanted: Wanted, template: str, port: int) -> Path:
    """A new instance's folder with its record, complete when it appears."""
    name = f"{wanted.artifact.digest.rpartition(':')[2][:6]}-{secrets.token_hex(4)}"
    record = Record(
        name=name, generation=wanted.generation, deployment=wanted.deployment, template=template,
        digest=wanted.artifact.digest, port=port, grace_s=wanted.spec.stop_grace_s, created_at=time.time(),
        created_boot=now_boot(),
    )  # fmt: skip
    new = group.instances / f".{name}"
    new.mkdir(mode=0o700)
    write_json(new / "instance.json", asdict(record))
    path = group.instances / name
    new.rename(path)
    return path


def prepare(path: Path, wanted: Wanted, release: Path) -> None:
    """Fill the working directory: a private copy of the version, then the config files. Raises Rejected (bad_file)."""
    work = path / "work"
    copy_release(release, work)
    (path / "home").mkdir(mode=0o700, exist_ok=True)
    for file in wanted.spec.files:
        target = work / file.path
        try:
            if not safe_path(file.path) or not target.parent.resolve().is_relative_to(work.resolve()):
                raise OSError("it leaves the working directory")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            target.write_text(file.content)
        except OSError as error:
            sentence = S("The config file “%(path)s” cannot be written.", path=file.path[:200])
            raise Rejected(sentence, evidence=str(error), code="bad_file") from error


def orders(path: Path, wanted: Wanted, root: Path, host: str, port: int, search_path: str) -> Orders:
    """What the shim is told: argv with its references filled in, a clean environment, limits and checks."""
    spec = wanted.spec
    env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    env |= {"PATH": search_path, "LANG": env.get("LANG", "C.UTF-8"), "HOME": str(path / "home")}
    env |= {"TMPDIR": str(path / "home"), "FDD_PROJECT": wanted.project, "FDD_MACHINE": wanted.machine}
    env |= dict(spec.env) | dict(spec.secrets) | marks(root, wanted.service, path.name)
    env |= {"HOST": host, "PORT": str(port), "FDD_VERSION_DIGEST": wanted.artifact.digest}
    env["FDD_DEPLOYMENT_KEY"] = wanted.deployment
    checks = {"startup": spec.health.startup, "readiness": spec.health.readiness, "liveness": spec.health.liveness}
    if spec.port_name and checks["readiness"] is None:
        checks["readiness"] = Check("tcp")
    return Orders(
        argv=tuple(substitute(word, env) for word in spec.command),
        env=env,
        cwd=path / "work",
        memory=spec.resources.memory,
        grace_s=spec.stop_grace_s,
        host=host,
        port=port if spec.port_name else 0,
        checks={
            name: {**asdict(check), "command": [substitute(word, env) for word in check.command]} if check else None
            for name, check in checks.items()
        },
    )


def substitute(word: str, env: Mapping[str, str]) -> str:
    """`${NAME}` by the variable's value; `$${` is a literal `${`; unknown names stay."""
    return REFERENCE.sub(
        lambda found: found[0][1:] if found[1] else env.get(found[2], found[0]),
        word,
    )


def default_search_path() -> str:
    """The portal's PATH without the portal's own virtual environment."""
    own = Path(sys.prefix, "bin") if sys.prefix != sys.base_prefix else None
    folders = [folder for folder in os.environ.get("PATH", os.defpath).split(":") if folder.startswith("/")]
    return ":".join(folder for folder in folders if Path(folder) != own) or os.defpath
