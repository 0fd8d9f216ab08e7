"""Git over HTTP when things go wrong: killed clients, killed servers, a portal that fails, slow readers, big packs."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from projects.drivers.source.base import ZERO, Repository
from projects.git_http.pushes import pending
from tests.projects.git.conftest import CLIENT_ENV, SERVERS, Server, commit, git
from tests.projects.git.serve import PEOPLE
from tests.waiting import until

Launch = Callable[..., Server]
pytestmark = pytest.mark.slow
ON = pytest.mark.parametrize("kind", SERVERS)
MIB = 1 << 20


def big_commit(work: Path, size: int) -> str:
    """A commit with `size` bytes that no packing makes smaller, in as many files as make git keep them as a pack."""
    for number in range(128):
        (work / f"{number}.bin").write_bytes(random.randbytes(size // 128))
    for key in ("core.compression", "pack.window"):  # the server is tested, not the client's patience
        git("config", key, "0", cwd=work)
    git("add", "--all", cwd=work)
    git("commit", "--quiet", "-m", "Something big", cwd=work)
    return git("rev-parse", "HEAD", cwd=work).stdout.strip()


def start_push(work: Path) -> subprocess.Popen[bytes]:
    """A push that runs beside the test, in a group of its own."""
    return subprocess.Popen(
        ["git", "push", "origin", "main"],
        cwd=work,
        env=CLIENT_ENV,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def begin_request(server: Server, slug: str, service: str, *, body: bytes, length: int) -> socket.socket:
    """A raw POST whose body may be shorter than it says, on a connection that nobody reads."""
    login = b64encode(f"dev:{PEOPLE['dev']}".encode()).decode()
    raw = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
    head = (
        f"POST /git/{slug}.git/{service} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {login}\r\n"
        f"Content-Type: application/x-{service}-request\r\nContent-Length: {length}\r\n\r\n"
    )
    raw.sendall(head.encode() + body)
    return raw


def want_everything(head: str) -> bytes:
    return f"0032want {head}\n0000".encode() + b"0009done\n"


@ON
def test_a_client_killed_while_it_pushes_leaves_nothing(kind: str, launch: Launch, tmp_path: Path) -> None:
    server = launch(kind)
    bare = server.create("half")
    work = server.clone("half", tmp_path / "work")
    old = git("rev-parse", "HEAD", cwd=work).stdout.strip()
    update = f"{old} {'1' * 40} refs/heads/main\0report-status side-band-64k"
    body = f"{len(update) + 4:04x}{update}0000".encode() + b"PACK\0\0\0\2\0\0\0\3"
    client = begin_request(server, "half", "git-receive-pack", body=body, length=10 * MIB)
    if kind == "uvicorn":  # daphne starts no backend before the whole body is there
        until(server.backends, what="a backend at work")
    client.close()
    until(lambda: not server.backends(), what="its group is gone")
    assert server.source.resolve(Repository("half"), "main").sha == old
    until(lambda: not list((bare / "objects").glob("tmp_objdir*")), what="its half pack is removed")
    assert not list(bare.rglob("*.lock"))
    assert server.pushes("half") == []
    commit(work, "next.txt", "1")
    git("push", "--quiet", "origin", "main", cwd=work)
    assert len(server.pushes("half")) == 1


@ON
def test_a_reader_that_hangs_up_stops_its_backend(kind: str, launch: Launch, tmp_path: Path) -> None:
    server = launch(kind)
    server.create("large")
    work = server.clone("large", tmp_path / "work")
    head = big_commit(work, 12 * MIB)
    git("push", "--quiet", "origin", "main", cwd=work)
    wanted = want_everything(head)
    before = server.memory("VmRSS")
    readers = [begin_request(server, "large", "git-upload-pack", body=wanted, length=len(wanted)) for _ in range(3)]
    until(lambda: server.places() == 3, what="three backends at work")
    assert all(reader.recv(1, socket.MSG_PEEK) for reader in readers), "three answers have begun"
    time.sleep(0.5)  # long enough for a server without flow control to take all of three packs
    assert server.memory("VmRSS") - before < 10 * MIB, "a reader that never reads costs no memory"
    assert git("ls-remote", "origin", cwd=work).returncode == 0, "and does not stand in anybody's way"
    for reader in readers:
        reader.close()
    until(lambda: not server.backends(), what="no backend is left")


@ON
def test_more_clients_than_places_wait_for_their_turn(kind: str, launch: Launch, tmp_path: Path) -> None:
    server = launch(kind)
    server.create("large")
    work = server.clone("large", tmp_path / "work")
    head = big_commit(work, 8 * MIB)
    git("push", "--quiet", "origin", "main", cwd=work)
    wanted = want_everything(head)
    readers = [begin_request(server, "large", "git-upload-pack", body=wanted, length=len(wanted)) for _ in range(4)]
    until(lambda: server.places() == 4, what="every place taken")
    admitted = len((server.root / "admitted").read_text().splitlines())
    waiting = subprocess.Popen(
        ["git", "ls-remote", "origin"], cwd=work, env=CLIENT_ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    until(lambda: len((server.root / "admitted").read_text().splitlines()) > admitted, what="the fifth to be let in")
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(0.5)
    assert server.places() == 4
    readers[0].close()
    out, err = waiting.communicate(timeout=240)
    assert head.encode() in out, err
    for reader in readers[1:]:
        reader.close()


@ON
def test_a_server_killed_while_a_push_is_taken_over_loses_nothing(kind: str, launch: Launch, tmp_path: Path) -> None:
    server = launch(kind)
    server.create("kept")
    work = server.clone("kept", tmp_path / "work")
    old = git("rev-parse", "HEAD", cwd=work).stdout.strip()
    seen = dict(server.source.poll(Repository("kept"), None).tips)
    (server.root / "hold").touch()
    new = commit(work, "a.txt", "a")
    client = start_push(work)
    until(lambda: (server.root / "arrived").exists(), what="the push to arrive")
    server.kill()
    client.wait(60)
    until(lambda: not server.backends(), what="no backend is left")
    assert server.pushes("kept") == []
    (note,) = pending(server.root / "spool", older_than=0)
    assert (note.slug, note.actor) == ("kept", "dev")
    assert [(u.ref, u.old, u.new) for u in note.updates] == [("refs/heads/main", old, new)]
    (event,) = server.source.poll(Repository("kept"), seen).events
    assert event.key == note.updates[0].key, "the poll finds the same move under the same key"
    note.settle()
    assert pending(server.root / "spool", older_than=0) == []
    (server.root / "hold").unlink()
    again = launch(kind, server.root)
    git("remote", "set-url", "origin", again.url("kept"), cwd=work)
    commit(work, "b.txt", "b")
    git("push", "--quiet", "origin", "main", cwd=work)
    assert len(again.pushes("kept")) == 1
    assert len(list((server.root / "spool" / "pushes").glob("*.sock"))) == 1, "the dead server's socket is cleared away"


@ON
def test_a_push_that_the_portal_cannot_take_over_succeeds_and_stays_noted(
    kind: str, launch: Launch, tmp_path: Path
) -> None:
    server = launch(kind)
    server.create("later")
    work = server.clone("later", tmp_path / "work")
    (server.root / "fail").touch()
    new = commit(work, "a.txt", "a")
    git("push", "--quiet", "origin", "main", cwd=work)
    assert [push.updates[0].new for push in pending(server.root / "spool", older_than=0)] == [new]
    assert pending(server.root / "spool", older_than=3600) == [], "fresh notes are left to the request they belong to"


@ON
def test_a_push_goes_on_when_its_client_leaves_after_sending(kind: str, launch: Launch, tmp_path: Path) -> None:
    server = launch(kind)
    server.create("left")
    work = server.clone("left", tmp_path / "work")
    (server.root / "hold").touch()
    commit(work, "a.txt", "a")
    client = start_push(work)
    until(lambda: (server.root / "arrived").exists(), what="the push to arrive")
    os.killpg(client.pid, signal.SIGKILL)
    client.wait()
    (server.root / "hold").unlink()
    until(lambda: server.pushes("left"), what="the push to be taken over")
    until(lambda: not server.notes(), what="its note to be settled")


@ON
def test_a_push_that_is_too_large_is_refused_in_words(kind: str, launch: Launch, tmp_path: Path) -> None:
    root = tmp_path / "server"
    root.mkdir()
    (root / "tiny").touch()
    server = launch(kind, root)
    server.create("small")
    work = server.clone("small", tmp_path / "work")
    old = git("rev-parse", "HEAD", cwd=work).stdout.strip()
    big_commit(work, 3 * MIB)
    declared = git("-c", "http.postBuffer=16777216", "push", "origin", "main", cwd=work, ok=False)
    assert "remote: The request is larger than 1 MiB, the most that is taken here." in declared.stderr
    streamed = git("-c", "http.postBuffer=65536", "push", "origin", "main", cwd=work, ok=False)
    assert "remote: The request is larger than 1 MiB, the most that is taken here." in streamed.stderr
    assert server.source.resolve(Repository("small"), "main").sha == old
    assert server.pushes("small") == []
    until(lambda: not server.backends(), what="no backend is left")


@ON
def test_a_big_pack_passes_both_ways_without_filling_memory(kind: str, launch: Launch, tmp_path: Path) -> None:
    size = int(os.environ.get("FDD_BIG_PACK_MIB", "48")) * MIB
    server = launch(kind)
    server.create("big")
    work = server.clone("big", tmp_path / "work")
    before = server.memory()
    new = big_commit(work, size)
    git("push", "--quiet", "origin", "main", cwd=work)
    pushed = server.memory()
    git("clone", "--quiet", server.url("big"), str(tmp_path / "copy"), cwd=tmp_path)
    cloned = server.memory()
    assert git("rev-parse", "HEAD", cwd=tmp_path / "copy").stdout.strip() == new
    print(f"{kind}: {size // MIB} MiB: push +{(pushed - before) >> 20} MiB, clone +{(cloned - pushed) >> 20} MiB")
    assert cloned - before < 32 * MIB
    assert server.pushes("big")[0]["updates"][0][2] == new  # type: ignore[index]


def test_plain_daphne_serves_as_well(launch: Launch, tmp_path: Path) -> None:
    server = launch("plain-daphne")
    server.create("plain", starter="")
    work = server.clone("plain", tmp_path / "work")
    new = commit(work, "a.txt", "a" * 200_000)
    git("push", "--quiet", "origin", "main", cwd=work)
    assert server.pushes("plain")[0]["updates"] == [["refs/heads/main", ZERO, new]]
    assert (server.clone("plain", tmp_path / "copy") / "a.txt").stat().st_size == 200_000
