"""Programs in pods: the protocol as it was recorded, every refusal a sentence, nothing held in memory, nobody left behind."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import json
import ssl
from pathlib import Path

import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from clusters.drivers.runtime.kubernetes.access import Access
from clusters.drivers.runtime.kubernetes.exec import Pods, Program
from clusters.drivers.runtime.kubernetes.exec_answers import ended
from clusters.drivers.runtime.streams import Ended, Output
from fangduoduo_release.common.errors import Invalid, NotFound, Rejected, Unavailable
from tests.portal import free_port

from .exec_server import EXIT_2, NO_COMMAND, SUCCESS, door

POD = "hello-84f5fdbb-cr5jd"
MIB = 1024 * 1024


async def hello(socket: ServerConnection) -> None:
    await socket.send(b"\x01hi\n")
    await socket.send(SUCCESS)


async def everything(program: Program) -> tuple[bytes, bytes, Ended]:
    found = {False: b"", True: b""}
    while isinstance(said := await asyncio.wait_for(program.receive(), 60), Output):
        found[said.error] += said.data
    return found[False], found[True], said


async def test_output_and_the_exit_code_arrive_and_the_empty_first_frame_does_not() -> None:
    async with door(hello) as server:
        program = await Pods(server.access).start("facts", POD, ["echo", "hi"], container="app")
        assert program.protocol == "v5.channel.k8s.io"
        assert await everything(program) == (b"hi\n", b"", Ended(exit_code=0))
        assert await program.receive() == Ended(exit_code=0)  # and again
        path, query = server.asked[0]
    assert path == f"/api/v1/namespaces/facts/pods/{POD}/exec"
    assert query == [
        ("command", "echo"),
        ("command", "hi"),
        ("container", "app"),
        ("stdin", "true"),
        ("stdout", "true"),
        ("tty", "true"),
    ]


async def test_an_older_server_is_spoken_to_in_its_own_protocol() -> None:
    async with door(hello, protocols=("v4.channel.k8s.io",)) as server:
        program = await Pods(server.access).start("facts", POD, ["true"])
        assert program.protocol == "v4.channel.k8s.io"
        await program.end_input()  # has no word there
        assert await everything(program) == (b"hi\n", b"", Ended(exit_code=0))


async def test_errors_come_apart_from_output_and_the_code_from_its_cause() -> None:
    async def shell(socket: ServerConnection) -> None:
        for piece in (b"\x02sh: ", b"\x01out\n", b"\x02-c requires an argument", b"\x02\n", EXIT_2):
            await socket.send(piece)

    async with door(shell) as server:
        program = await Pods(server.access).start("facts", POD, ["sh"], tty=False, stdin=False)
        assert await everything(program) == (b"out\n", b"sh: -c requires an argument\n", Ended(exit_code=2))
        assert [name for name, _ in server.asked[0][1]] == ["command", "stdout", "stderr"]


async def test_a_command_that_is_not_there_is_told_with_the_runtimes_reason() -> None:
    async def nothing(socket: ServerConnection) -> None:
        await socket.send(NO_COMMAND)

    async with door(nothing) as server:
        _, _, end = await everything(await Pods(server.access).start("facts", POD, ["nosuch"]))
    assert end.exit_code is None
    assert "executable file not found" in str(end.sentence)


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (404, {"message": 'pods "none" not found', "code": 404}, NotFound, 'pods "none" not found'),
        (400, {"message": "container nope is not valid for pod x", "code": 400}, NotFound, "container nope"),
        (500, {"message": 'container not found ("app")', "code": 500}, NotFound, "container not found"),
        (403, {"message": 'pods "x" is forbidden: cannot create', "code": 403}, Rejected, "is forbidden"),
        (403, None, Rejected, "no protocol for terminals"),
        (401, {"message": "Unauthorized", "code": 401}, Rejected, "does not accept"),
        (429, {"message": "slow down", "code": 429}, Unavailable, "overloaded"),
        (503, {"message": "starting", "code": 503}, Unavailable, "not ready"),
    ],
)
async def test_a_refused_handshake_is_a_sentence(
    status: int, body: dict[str, object] | None, error: type[Exception], words: str
) -> None:
    async with door(hello, refusal=(status, body)) as server:
        with pytest.raises(error) as refused:
            await Pods(server.access).start("facts", POD, ["true"])
    assert words in str(refused.value)


async def test_a_wrong_token_and_a_server_that_is_away_are_told_apart_and_no_secret_is_shown() -> None:
    async with door(hello) as server:
        with pytest.raises(Rejected) as refused:
            await Pods(Access(server=server.address, token="wrong-secret")).start("facts", POD, ["true"])
        assert "wrong-secret" not in f"{refused.value!r} {refused.value.evidence}"
    with pytest.raises(Unavailable):
        await Pods(Access(server=f"http://127.0.0.1:{free_port()}", token="x")).start("facts", POD, ["true"])


async def test_a_redirect_is_not_followed() -> None:
    async with door(hello) as other, door(hello, refusal=(307, {"message": "elsewhere"})) as server:
        with pytest.raises(Rejected):
            await Pods(server.access).start("facts", POD, ["true"])
        assert other.asked == []


async def test_a_server_that_speaks_none_of_our_protocols_is_refused() -> None:
    async with door(hello, protocols=("channel.k8s.io",)) as server:
        with pytest.raises((Rejected, Unavailable)):
            await Pods(server.access).start("facts", POD, ["true"])


async def test_keys_sizes_and_the_end_of_input_go_their_own_ways() -> None:
    got: list[bytes] = []

    async def listen(socket: ServerConnection) -> None:
        async for message in socket:
            assert isinstance(message, bytes)
            got.append(message)
            if message == b"\xff\x00":
                await socket.send(SUCCESS)
                return

    async with door(listen) as server:
        program = await Pods(server.access).start("facts", POD, ["sh"], size=(100, 30))
        await program.send(b"exit\n")
        await program.resize(80, 24)
        await program.send(b"x" * 40_000)
        await program.end_input()
        assert (await everything(program))[2] == Ended(exit_code=0)
    assert json.loads(got[0][1:]) == {"Width": 100, "Height": 30}
    assert got[0][:1] == b"\x04"
    assert got[1] == b"\x00exit\n"
    assert json.loads(got[2][1:]) == {"Width": 80, "Height": 24}
    assert b"".join(piece[1:] for piece in got[3:-1]) == b"x" * 40_000
    assert max(len(piece) for piece in got) <= 16 * 1024 + 1


async def test_a_slow_reader_holds_the_server_back_and_gets_every_byte() -> None:
    sent = 0

    async def patient(socket: ServerConnection) -> None:
        nonlocal sent
        for number in range(320):
            await socket.send(b"\x01" + bytes([number % 256]) * 32 * 1024)
            sent += 32 * 1024
        await socket.send(SUCCESS)

    before = psutil.Process().memory_info().rss
    async with door(patient) as server:
        program = await Pods(server.access).start("facts", POD, ["cat"])
        seen = 0
        while sent != seen or not sent:  # until the server comes no further
            seen = sent
            await asyncio.sleep(0.3)
        assert 0 < sent < 8 * MIB  # what the kernel's buffers on both sides take, and little more
        assert psutil.Process().memory_info().rss - before < 8 * MIB
        first = await program.receive()
        assert isinstance(first, Output)
        out, _, end = await everything(program)
    assert len(first.data) + len(out) == 10 * MIB
    assert end == Ended(exit_code=0)


async def test_keys_wait_while_the_program_takes_none() -> None:
    wake = asyncio.Event()
    got = 0

    async def deaf(socket: ServerConnection) -> None:
        nonlocal got
        await wake.wait()
        while got < 8 * MIB:
            got += len(await socket.recv()) - 1
        await socket.send(SUCCESS)

    async with door(deaf) as server:
        program = await Pods(server.access).start("facts", POD, ["sleep"])
        typing = asyncio.create_task(program.send(b"x" * 8 * MIB))
        done, _ = await asyncio.wait([typing], timeout=1)
        assert not done
        wake.set()
        await asyncio.wait_for(typing, 60)
        assert (await everything(program))[2] == Ended(exit_code=0)
    assert got == 8 * MIB


async def test_a_cut_connection_is_an_end_with_a_sentence() -> None:
    async def cut(socket: ServerConnection) -> None:
        await socket.send(b"\x01half")
        await asyncio.sleep(0)
        socket.transport.abort()

    async with door(cut) as server:
        program = await Pods(server.access).start("facts", POD, ["sh"])
        _, _, end = await everything(program)
        assert end.exit_code is None
        assert "lost" in str(end.sentence)
        await program.send(b"into the void")  # harmless
        await program.resize(10, 10)
        await program.close()
        await program.close()


async def test_hanging_up_interrupts_the_shell_and_is_quick_also_in_a_flood() -> None:
    got: list[bytes] = []
    gone = asyncio.Event()

    async def noisy(socket: ServerConnection) -> None:
        async def listen() -> None:
            async for message in socket:
                got.append(bytes(message, "utf-8") if isinstance(message, str) else message)

        ear = asyncio.create_task(listen())
        try:
            while True:
                await socket.send(b"\x01" + b"y\n" * 16_000)
        finally:
            with contextlib.suppress(ConnectionClosed):
                await ear  # what was said before the end is heard
            gone.set()

    async with door(noisy) as server:
        program = await Pods(server.access).start("facts", POD, ["yes"])
        assert isinstance(await program.receive(), Output)
        await asyncio.wait_for(program.close(), 30)  # the flood has no end
        await asyncio.wait_for(gone.wait(), 60)
        assert b"\x00\x03\x04" in got
        _, _, end = await everything(program)  # what had come by then is not lost
        assert end.exit_code is None


async def test_closing_while_somebody_waits_for_output_ends_that_wait() -> None:
    async def silent(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async with door(silent) as server:
        program = await Pods(server.access).start("facts", POD, ["sh"])
        waiting = asyncio.create_task(program.receive())
        await asyncio.sleep(0.05)
        await program.close()
        assert isinstance(await asyncio.wait_for(waiting, 60), Ended)


async def test_two_hundred_programs_need_no_thread_of_their_own() -> None:
    async def silent(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async with door(silent) as server:
        pods = Pods(server.access)
        await pods.start("facts", POD, ["sh"])
        threads = psutil.Process().num_threads()
        programs = [await pods.start("facts", POD, ["sh"]) for _ in range(200)]
        assert psutil.Process().num_threads() <= threads + 1
        await asyncio.gather(*(program.close() for program in programs))


async def test_run_keeps_output_within_its_limit_and_time() -> None:
    async def much(socket: ServerConnection) -> None:
        for _ in range(40):
            await socket.send(b"\x01" + b"x" * 32 * 1024)
        await socket.send(b"\x02oh\n")
        await socket.send(EXIT_2)

    async with door(much) as server:
        found = await Pods(server.access).run("facts", POD, ["cat"], timeout_s=60)
    assert (found.exit_code, len(found.stdout), found.stderr, found.truncated) == (2, MIB, b"oh\n", True)

    async def endless(socket: ServerConnection) -> None:
        await socket.send(b"\x01begun")
        await socket.wait_closed()

    async with door(endless) as server:
        found = await Pods(server.access).run("facts", POD, ["sleep"], timeout_s=2)
    assert (found.stdout, found.timed_out) == (b"begun", True)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b'{"status":"Failure","details":{"causes":[{"reason":"ExitCode","message":"x"}]}}']
)
def test_a_status_that_says_nothing_is_an_end_without_a_code(body: bytes) -> None:
    end = ended(body)
    assert end.exit_code is None
    assert end.sentence is not None


def certificate(folder: Path) -> tuple[str, ssl.SSLContext]:
    """A CA that signed itself for 127.0.0.1 and `api.example`, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "api.example")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("api.example"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "pair.pem").write_bytes(pem + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pair.pem")
    return pem.decode(), context


async def test_tls_by_the_connections_own_ca_and_never_without(tmp_path: Path) -> None:
    ca, context = certificate(tmp_path)
    async with door(hello, tls=context) as server:
        token = server.access.token
        for name in ("", "api.example"):
            access = Access(server=server.address, ca=ca, token=token, server_name=name)
            assert (await everything(await Pods(access).start("facts", POD, ["true"])))[0] == b"hi\n"
        with pytest.raises(Unavailable):
            await Pods(Access(server=server.address, token=token)).start("facts", POD, ["true"])
        other = Access(server=server.address, ca=ca, token=token, server_name="other.example")
        with pytest.raises(Unavailable):
            await Pods(other).start("facts", POD, ["true"])


async def test_an_address_that_must_not_be_reached_is_not() -> None:
    with pytest.raises(Invalid):
        await Pods(Access(server="http://169.254.169.254", token="x")).start("facts", POD, ["true"])


async def test_a_silent_terminal_is_kept_alive_by_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter waits than in earnest, nothing else is changed."""
    monkeypatch.setattr("clusters.drivers.runtime.kubernetes.exec.PING_S", 0.05)
    monkeypatch.setattr("clusters.drivers.runtime.kubernetes.exec.DEAF_S", 1.5)
    pings = 0

    async def silent(socket: ServerConnection) -> None:
        original = socket.protocol.recv_frame

        def counted(frame: object) -> None:
            nonlocal pings
            pings += getattr(frame, "opcode", None) == 9
            original(frame)  # type: ignore[arg-type]

        socket.protocol.recv_frame = counted  # type: ignore[method-assign,assignment]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(socket.wait_closed(), 2)  # longer than a deaf one is borne with
        while pings < 5:
            await asyncio.sleep(0.01)
        await socket.send(SUCCESS)

    async with door(silent) as server:
        program = await Pods(server.access).start("facts", POD, ["sh"])
        assert (await everything(program))[2] == Ended(exit_code=0)
    assert pings >= 5


async def test_a_server_that_answers_nothing_any_more_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clusters.drivers.runtime.kubernetes.exec.PING_S", 0.05)
    monkeypatch.setattr("clusters.drivers.runtime.kubernetes.exec.DEAF_S", 0.3)
    over = asyncio.Event()

    async def frozen(socket: ServerConnection) -> None:
        socket.transport.pause_reading()  # type: ignore[attr-defined]
        await over.wait()
        socket.transport.abort()

    async with door(frozen) as server:
        program = await Pods(server.access).start("facts", POD, ["sh"])
        said = await asyncio.wait_for(program.receive(), 60)
        over.set()
    assert isinstance(said, Ended)
    assert said.exit_code is None
