"""`make run`'s supervisor: it starts everything, brings back what dies, and stops all in order."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable

import httpx
import psutil
import pytest

from tests.portal import ROOT, Portal, wait_gone
from tests.waiting import until

pytestmark = pytest.mark.slow
Portals = Callable[..., Portal]


def serve(portal: Portal, **env: str) -> subprocess.CompletedProcess[str]:
    """A second `serve` with this portal's settings, which is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "manage.py", "serve", "--no-demo"],
        cwd=ROOT, env={**portal.env, **env}, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def leaves_nothing(portal: Portal) -> None:
    """Nobody goes on; what was killed is still to be seen for a moment."""
    until(lambda: not portal.processes(), what="all processes of the portal gone")


def test_it_says_when_it_is_ready_and_leaves_nothing_behind(portals: Portals) -> None:
    portal = portals(demo=False).start()
    until(lambda: f"is ready at {portal.url}" in portal.log(), what="the welcome")
    assert "web" in portal.roles()
    assert portal.process is not None
    portal.process.send_signal(signal.SIGINT)  # not portal.stop(), which sweeps
    assert portal.process.wait(60) == 0
    leaves_nothing(portal)
    assert portal.log().rstrip().endswith("Stopped.")


def test_a_second_start_goes_on_with_the_same_data_and_prepares_nothing_twice(portals: Portals) -> None:
    portal = portals().start()
    people = portal.credentials()
    until(lambda: all(password in portal.log() for password in people["users"].values()), what="the first welcome")
    portal.stop()
    first = len(portal.log())
    portal.start()
    until(lambda: "is ready" in portal.log()[first:], what="the second welcome")
    assert portal.credentials() == people
    second = portal.log()[first:]
    assert "Bringing the database up to date" not in second
    assert "Collecting static files" not in second
    assert not any(password in second for password in people["users"].values()), "passwords are shown once"


def test_whoever_dies_is_started_again_and_it_says_so(portals: Portals) -> None:
    portal = portals(demo=False).start()
    for role in portal.roles():
        old = portal.kill(role)
        assert portal.wait_for_new(role, old) != old
        until(lambda role=role: f"{role} ended (SIGKILL)" in portal.log(), what=f"a line about {role}")
    until(lambda: answers(portal), what="the web to answer again")


def answers(portal: Portal) -> bool:
    try:
        return portal.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def test_a_killed_supervisor_takes_its_children_along(portals: Portals) -> None:
    portal = portals(demo=False).start()
    mine = [pid for role in portal.roles() for pid in portal.tree(role)]
    assert portal.process is not None
    portal.process.kill()
    portal.process.wait()
    portal.process = None
    wait_gone(mine)
    portal.start()
    assert answers(portal)


def test_sigterm_stops_it_as_ctrl_c_does(portals: Portals) -> None:
    portal = portals(demo=False).start()
    assert portal.process is not None
    portal.process.terminate()
    assert portal.process.wait(60) == 0
    leaves_nothing(portal)


def test_a_second_ctrl_c_stops_at_once(portals: Portals) -> None:
    portal = portals(demo=False, env={"FDD_STOP_S": "600"}).start()  # nobody ends before the second one
    assert portal.process is not None
    for role in portal.roles():
        psutil.Process(portal.pid(role)).suspend()  # it will not hear SIGTERM
    portal.process.send_signal(signal.SIGINT)
    until(lambda: "Stopping" in portal.log(), what="the first Ctrl-C to be heard")
    portal.process.send_signal(signal.SIGINT)
    assert portal.process.wait(60) == 0
    leaves_nothing(portal)
    assert portal.log().rstrip().endswith("Stopped at once; services may go on.")


def test_a_child_that_does_not_listen_is_killed_in_time(portals: Portals) -> None:
    portal = portals(demo=False).start()
    assert portal.process is not None
    psutil.Process(portal.pid("web")).suspend()  # for ever
    portal.process.send_signal(signal.SIGINT)
    assert portal.process.wait(60) == 0
    leaves_nothing(portal)


def test_one_portal_per_data_folder(portals: Portals) -> None:
    portal = portals(demo=False).start()
    second = serve(portal)
    assert second.returncode != 0
    assert f"A portal is already running on {portal.var} at {portal.url}" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_taken_port_is_said_in_one_sentence(portals: Portals) -> None:
    portal = portals(demo=False)
    with socket.socket() as other:
        other.bind(("127.0.0.1", portal.port))
        other.listen()
        done = serve(portal)
    assert done.returncode != 0
    assert f"Port {portal.port} is taken by another program" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("port", ["", "abc", "0", "70000", "-1", "80 80"])
def test_a_port_that_is_none_is_refused(portals: Portals, port: str) -> None:
    portal = portals(demo=False)
    done = serve(portal, PORT=port or "x")
    assert done.returncode != 0
    assert "is not a port" in done.stderr


def test_it_is_not_for_production(portals: Portals) -> None:
    portal = portals(demo=False)
    done = serve(portal, FDD_ENV="production", SECRET_KEY="x" * 60)
    assert done.returncode != 0
    assert "FDD_ENV=local" in done.stderr


def test_it_leaves_no_lock_behind_when_it_is_killed(portals: Portals) -> None:
    portal = portals(demo=False).start()
    portal.crash()
    until(lambda: not portal.processes(), what="what the worker had just started to notice")
    portal.start()
    assert portal.stop() == 0
