"""What an instance is given: its own folder, exactly the words and variables that were meant, and nothing of the portal."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clusters.drivers.runtime.base import LogQuery
from clusters.drivers.runtime.local.instances import substitute
from clusters.drivers.runtime.local.runtime import LocalConfig, LocalRuntime
from clusters.drivers.runtime.spec import ConfigFile, HealthChecks, Resources
from fangduoduo_release.common.errors import Invalid, Unavailable
from tests.clusters.drivers.conftest import Place
from tests.clusters.drivers.sample import free_range
from tests.waiting import until

NASTY = "a b; touch /tmp/fdd-owned; $(id) `id` | & > \"'\\ * ~ $HOME 房多多 \n-rf"


def port_of(place: Place) -> int:
    return place.instances().instances[0].port


def test_argv_and_environment_arrive_as_written(quiet_place: Place) -> None:
    place = quiet_place
    words = ("${PORT}", "$${PORT}", "${UNKNOWN}", "$PORT", "${FDD_INSTANCE}", NASTY, "")
    place.deploy("one", replicas=1, command=("python3", "-S", "server.py", *words), env={"NASTY": NASTY})
    one = place.instances().instances[0]
    argv = place.ask("/argv", one.port)[1].split("\0")
    assert argv == [str(one.port), "${PORT}", "${UNKNOWN}", "$PORT", one.name, NASTY, ""]
    assert f"NASTY={NASTY}" in place.ask("/env", one.port)[1]
    assert not Path("/tmp/fdd-owned").exists()


def test_the_environment_is_clean(quiet_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set in the portal's own process, seen by no instance."""
    monkeypatch.setenv("SECRET_KEY", "the-portal-s-own")
    place = quiet_place
    place.deploy("one", replicas=1, secrets={"TOKEN": "hunter2"})
    env = dict(line.partition("=")[::2] for line in place.ask("/env", port_of(place))[1].splitlines())
    assert "the-portal-s-own" not in env.values()
    assert env["TOKEN"] == "hunter2"
    assert env["HOST"] == "127.0.0.1"
    assert env["FDD_SERVICE_KEY"] == place.service.key
    assert env["FDD_DEPLOYMENT_KEY"] == "deployment-1"
    assert env["FDD_VERSION_DIGEST"] == place.version("one").digest
    assert ".venv" not in env["PATH"]


def test_no_secret_rests_on_disk(quiet_place: Place) -> None:
    place = quiet_place
    place.deploy("one", replicas=1, secrets={"TOKEN": "hunter2-hunter2"})
    for path in place.runtime.layout.root.rglob("*"):
        assert not path.is_file() or b"hunter2" not in path.read_bytes(), path


def test_a_changed_secret_replaces_the_instances(quiet_place: Place) -> None:
    place = quiet_place
    place.deploy("one", replicas=1, secrets={"TOKEN": "a"})
    before = place.instances().instances[0].name
    place.deploy("one", replicas=1, secrets={"TOKEN": "b"})
    assert place.instances().instances[0].name != before
    assert "TOKEN=b" in place.ask("/env", port_of(place))[1]


def test_config_files_are_in_place_before_the_start(quiet_place: Place) -> None:
    place = quiet_place
    place.deploy(
        "one", replicas=1, files=(ConfigFile("config/app.ini", "[a]\n${PORT}\n"), ConfigFile("VERSION", "mine"))
    )
    assert place.ask("/file", port_of(place))[1] == "[a]\n${PORT}\n"
    assert place.ask("/", port_of(place))[1].startswith("mine ")


def test_a_config_file_cannot_leave_its_folder(quiet_place: Place) -> None:
    place = quiet_place
    for path in ("../../outside", "/tmp/fdd-outside", "server.py/x"):
        failure = place.settle(place.want(place.version("one"), files=(ConfigFile(path, "x"),))).failure
        assert failure is not None
        assert failure.code == "bad_file"
    assert not Path("/tmp/fdd-outside").exists()


def test_what_an_instance_writes_stays_its_own(quiet_place: Place) -> None:
    place = quiet_place
    place.deploy("one")
    first, second = place.instances().instances
    place.runtime.exec(place.service, first.name, ["sh", "-c", "echo changed > VERSION; rm server.py"])
    assert place.runtime.exec(place.service, second.name, ["cat", "VERSION"]).stdout == b"one"
    release = place.runtime.layout.releases / place.version("one").digest.removeprefix("sha256:")
    assert (release / "VERSION").read_text() == "one"
    assert (release / "server.py").exists()


def test_memory_is_limited(quiet_place: Place) -> None:
    place = quiet_place
    wanted = place.want(
        place.version("one"),
        command=("python3", "-S", "-c", "bytearray(500_000_000)"),
        resources=Resources(memory=64 * 1024**2),
    )
    failure = place.settle(wanted).failure
    assert failure is not None
    assert "MemoryError" in failure.evidence


def test_a_service_without_a_port_is_ready_when_it_lives(quiet_place: Place) -> None:
    quiet_place.deploy("one", command=("sleep", "300"), port_name="", health=HealthChecks())


def test_the_logs_of_the_run_before_and_of_the_instance_before(quiet_place: Place) -> None:
    place = quiet_place
    place.deploy("one", replicas=1)
    one = place.instances().instances[0]
    first_port = one.port

    def said(query: LogQuery) -> list[bytes]:
        return [line.data for line in place.runtime.logs(place.service, query).lines if line.stream == "stdout"]

    until(lambda: said(LogQuery()), what="its first words")
    page = place.runtime.logs(place.service, LogQuery())
    place.runtime.exec(place.service, one.name, ["sh", "-c", "echo v2 > VERSION"])
    with pytest.raises(OSError):
        place.ask("/crash", first_port)
    until(lambda: (seen := place.instances()).settled and seen.instances[0].restarts == 1)
    until(lambda: said(LogQuery(after=page.cursor)), what="the first words of the run after")
    assert said(LogQuery(previous=True)) == [f"serving one on {first_port}".encode()]
    after = place.runtime.logs(place.service, LogQuery(after=page.cursor))
    assert [line.data for line in after.lines if line.stream == "stdout"] == [f"serving v2 on {first_port}".encode()]
    since = place.runtime.logs(place.service, LogQuery(since=after.lines[-1].at))
    assert len(since.lines) == 1
    place.deploy("two", replicas=1)
    gone = place.runtime.logs(place.service, LogQuery(instance=one.name, tail=2))
    assert gone.lines[-1].data == b"ended by signal 15"


def test_following_by_cursor_misses_nothing_while_files_rotate(quiet_place: Place) -> None:
    place = quiet_place
    code = "for i in range(30000): print('line', i, 'x' * 300)\nimport time; time.sleep(300)"
    command = ("python3", "-S", "-u", "-c", code)
    place.deploy("one", replicas=1, port_name="", health=HealthChecks(), command=command)
    cursor, numbers = "", []
    while not numbers or numbers[-1] != 29999:
        query = LogQuery(after=cursor or "{}", limit_bytes=4 * 1024 * 1024)
        page = until(lambda query=query: (p := place.runtime.logs(place.service, query)).lines and p)
        numbers += [int(line.data.split()[1]) for line in page.lines if line.data.startswith(b"line")]
        cursor = page.cursor
    assert numbers == list(range(30000))
    with pytest.raises(Invalid):
        place.runtime.logs(place.service, LogQuery(after="nonsense"))


def test_no_free_port_is_said(tmp_path: Path, quiet_place: Place) -> None:
    low = free_range(1)
    quiet_place.runtime = LocalRuntime(LocalConfig(quiet_place.folder / "runtime", port_low=low, port_high=low))
    with pytest.raises(Unavailable, match=f"No port between {low} and {low} is free"):
        quiet_place.runtime.advance(quiet_place.want(quiet_place.version("one"), replicas=2))


@pytest.mark.parametrize("word", ["", "../x", "a/b", "a\0b", "-x", "x" * 100, "房"])
def test_a_service_key_cannot_be_a_path(quiet_place: Place, word: str) -> None:
    from clusters.drivers.runtime.base import ServiceRef

    with pytest.raises(Invalid):
        quiet_place.runtime.observe(ServiceRef(word))
    with pytest.raises(Invalid):
        quiet_place.runtime.observe(ServiceRef("ok", word))


def test_releases_are_forgotten_when_nobody_names_them(quiet_place: Place) -> None:
    place = quiet_place
    old, new = place.deploy("one", replicas=1), place.deploy("two", replicas=1)
    place.runtime.keep_releases([new.artifact.digest])
    assert [path.name for path in place.runtime.layout.releases.iterdir()] == [
        new.artifact.digest.removeprefix("sha256:")
    ]
    assert place.settle(place.want(old.artifact, replicas=1)).green(old.artifact.digest)


def test_substitution() -> None:
    env = {"A": "1", "B": "${A}"}
    assert substitute("${A}-${B}-${C}-$${A}-$A-${}", env) == "1-${A}-${C}-${A}-$A-${}"
    assert os.environ.get("A") is None
