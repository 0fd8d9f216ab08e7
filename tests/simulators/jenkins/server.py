"""A Jenkins on a real socket that runs pipelines: `with Jenkins() as jenkins:` serves at `jenkins.url`.

Answers as Jenkins 2.440 with 77 plugins does (tests/recordings/jenkins holds it to that). `jenkins.faults` makes it go
wrong, `jenkins.requests` counts, `jenkins.synthetic` has builds by the thousand that run nothing, `jenkins.clock` may be
pushed. Everything in memory; files of builds under `home`.
"""

from __future__ import annotations

import secrets
import shutil
import ssl
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from . import routes
from .answers import Answer, Marks, Request, jetty, starting
from .auth import COOKIE, Doorkeeper, User
from .beans import Bean
from .clock import Clock
from .config import FOLDER, Config
from .faults import Faults
from .freestyle import FreestyleRun
from .items import Folder, Job
from .nodes import Nodes
from .pipeline import PipelineRun
from .queue import Queue, QueueItem
from .requests import Requests
from .runs import Run
from .synthetic import Synthetic
from .values import Value
from .wire import Wire

PLUGINS = {
    "workflow-aggregator": "596.v8c21c963d92d", "workflow-job": "1400.v7fd111b_ec82f",
    "workflow-cps": "3883.vb_3ff2a_e3eea_f", "pipeline-model-definition": "2.2184.v0b_358b_953e69",
    "pipeline-rest-api": "2.34", "pipeline-input-step": "491.vb_07d21da_1a_fb_", "git": "5.2.1", "junit": "1259.v65ffcef24a_88",
    "cloudbees-folder": "6.928.v7c780211d66e", "credentials": "1337.v60b_d7b_c7b_c9f", "credentials-binding": "657.v2b_19db_7d6e6d",
    "script-security": "1335.vf07d9ce377a_e", "matrix-auth": "3.2.2", "timestamper": "1.26", "ws-cleanup": "0.45",
}  # fmt: skip


class Jenkins:
    """`credentials`: Jenkins-side ones by id, (user, password), with which it reads repositories. `quiet_period` in
    seconds, for builds triggered without `delay`. `prefix`: the context path. `tls`: certificate and key files."""

    def __init__(
        self,
        *,
        user: str = "admin",
        token: str = "",
        password: str = "",
        credentials: Mapping[str, tuple[str, str]] | None = None,
        prefix: str = "",
        quiet_period: float = 5.0,
        home: Path | None = None,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self.clock = Clock()
        self.doors = Doorkeeper()
        self.admin = self.doors.add(User(user, token or f"11{secrets.token_hex(16)}", password or secrets.token_hex(8)))
        self.credentials = dict(credentials or {})
        self.prefix = prefix
        self.quiet_period = quiet_period
        self.plugins = dict(PLUGINS)
        self.root = Folder()
        self.nodes = Nodes()
        self.requests = Requests()
        self.faults = Faults(self)
        self.synthetic = Synthetic(self)
        self.marks = Marks(secrets.token_hex(4))
        self.queue = Queue(self.clock, self.lock, self._begin)
        self._lives: dict[int, PipelineRun | FreestyleRun] = {}
        self._running: dict[int, Run] = {}
        self._own_home = home is None
        self.home = home or Path(tempfile.mkdtemp(prefix="jenkins-"))
        self._tls = tls
        self._wire: Wire | None = None

    # -- its life -------------------------------------------------------------------------------------------------------

    def start(self, port: int = 0) -> Self:
        context = None
        if self._tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self._tls)
        self._wire = Wire(self, port, context)
        self._wire.start()
        self.queue.start()
        return self

    def stop(self) -> None:
        self.queue.end()
        lives = list(self._lives.values())
        for life in lives:
            life.kill("Jenkins was stopped")
        for life in lives:
            life.run.done.wait(60)
        if self._wire is not None:
            self._wire.stop()
        if self._own_home:
            shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def restart(self, *, kill: bool, lose_queue: bool) -> None:
        """A new session. The page for the time in between is a fault of its own (`faults.starting`)."""
        self.doors.forget_sessions()
        self.queue.forget(waiting=lose_queue)
        for run in self.running():
            life = self._lives.get(id(run))
            if kill and life is not None:
                life.kill("Jenkins was killed while this build ran, and it cannot be resumed")
            elif kill:
                run.end("FAILURE")
            else:
                run.log.line("Resuming build after Jenkins restart", annotated=False)
        self.marks = Marks(secrets.token_hex(4))

    @property
    def port(self) -> int:
        assert self._wire is not None, "it does not run"
        return self._wire.port

    @property
    def url(self) -> str:
        """Its root, ending in `/`."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}{self.prefix}/"

    @property
    def user(self) -> str:
        return self.admin.name

    @property
    def token(self) -> str:
        return self.admin.token

    # -- jobs and builds, for tests -------------------------------------------------------------------------------------

    def job(self, name: str) -> Job:
        """The job of that full name (`folder/shop`)."""
        found = self.root.find(name.split("/"))
        assert isinstance(found, Job), f"no job {name}"
        return found

    def run(self, job: str, number: int) -> Run:
        return self.job(job).runs[number]

    def add_job(self, name: str, xml: str) -> Job:
        """A job by its full name and config.xml; folders are made."""
        *folders, last = name.split("/")
        with self.lock:
            folder = self.root
            for part in folders:
                child = folder.children.get(part)
                folder = child if isinstance(child, Folder) else self._add_folder(folder, part)
            self.add_item(folder, last, Config(xml))
        return self.job(name)

    def add_item(self, folder: Folder, name: str, config: Config) -> None:
        if config.kind == FOLDER:
            folder.children[name] = Folder(folder, name, config)
        else:
            folder.children[name] = Job(folder, name, config)

    def _add_folder(self, parent: Folder, name: str) -> Folder:
        folder = parent.children[name] = Folder(parent, name)
        return folder

    def delete_item(self, item: Folder | Job) -> None:
        """With all within; what runs is killed, what waits is cancelled."""
        with self.lock:
            for job in [item] if isinstance(item, Job) else list(item.jobs()):
                self.queue.cancel_all_of(job)
                for number in list(job.runs):
                    self.delete_run(job, number)
            if item.parent is not None:
                item.parent.children.pop(item.name, None)

    def delete_run(self, job: Job, number: int) -> None:
        with self.lock:
            run = job.runs.pop(number, None)
            if run is None:
                return
            self._running.pop(id(run), None)
            life = self._lives.get(id(run))
            for other in job.runs.values():
                other.forget()
        if life is not None and run.building:
            life.kill("deleted")

    def running(self) -> list[Run]:
        with self.lock:
            for key in [key for key, run in self._running.items() if not run.building]:
                del self._running[key]
                self._lives.pop(key, None)
            return list(self._running.values())

    def new_run(self, job: Job, queue_id: int, values: tuple[Value, ...], users: tuple[str, ...]) -> Run:
        """The job's next build, told of everywhere, not yet doing anything."""
        with self.lock:
            number, job.next_number = job.next_number, job.next_number + 1
            folder = self.home / "jobs" / job.full_name / "builds" / str(number)
            run = Run(job, number, queue_id, values, users, self.url, self.clock, folder)
            for other in job.newest_first()[:1]:
                other.forget()
            job.runs[number] = run
            self._running[id(run)] = run
        return run

    def _begin(self, item: QueueItem) -> Run:
        run = self.new_run(item.job, item.id, item.values, tuple(item.users))
        if self.synthetic.takes(run):
            return run
        if item.job.freestyle:
            life: PipelineRun | FreestyleRun = FreestyleRun(run, item.job.config.shell_commands, self.queue.wake)
        else:
            life = PipelineRun(self, run)
        self._lives[id(run)] = life
        life.start()
        return run

    def fake_running(self, job: str, count: int = 1, values: Mapping[str, str] | None = None) -> list[Run]:
        return self.synthetic.running(job, count, values)

    def end(self, run: Run, result: str = "SUCCESS") -> None:
        self.synthetic.end(run, result)

    def append_log(self, run: Run, text: str) -> None:
        self.synthetic.append_log(run, text)

    # -- answers --------------------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Answer:
        """What Jenkins says, faults aside."""
        login = request.login = self.doors.login(request.headers)
        if login.by == "wrong":
            return jetty(401, "Unauthorized", request.target, **{
                "WWW-Authenticate": 'Basic realm="Jenkins"',
                "Set-Cookie": "remember-me=; Path=/; Expires=Thu, 01-Jan-1970 00:00:00 GMT; Max-Age=0",
            })  # fmt: skip
        crumb = request.headers.get("Jenkins-Crumb", "")
        if request.method not in ("GET", "HEAD") and login.by != "token" and not self.doors.crumb_fits(login, crumb):
            found = jetty(403, "No valid crumb was included in the request", request.target)
            found.session = bool(crumb)
        elif login.user is None:
            found = self.marks.login_page(request.target)
        else:
            found = routes.answer(self, request)
        if found.session and not login.session:
            self.set_session(found, self.doors.begin_session())
        return found

    def starting(self) -> Answer:
        return starting()

    def export(self, request: Request, bean: Bean) -> Answer:
        return routes.exported(self, request, bean)

    def set_session(self, answer: Answer, session: str) -> None:
        answer.headers["Set-Cookie"] = f"{COOKIE}={session}; Path={self.prefix or '/'}; HttpOnly"

    def user_of(self, request: Request) -> str:
        return request.login.user.name if request.login.user else "anonymous"

    def may(self, request: Request, permission: str) -> bool:
        user = request.login.user
        granted = user is not None and (user.permissions is None or permission in user.permissions)
        return granted and permission not in self.faults.denied

    def refused(self, request: Request, permission: str) -> Answer:
        return self.marks.missing_permission(self.user_of(request), permission)
