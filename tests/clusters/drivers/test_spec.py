"""The neutral spec accepts what people mean and refuses the rest with one sentence per field."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.drivers.runtime.spec import Check, ServiceSpec, parse_cpu, parse_memory, safe_path
from fangduoduo_release.common.errors import Invalid

GOOD: dict[str, Any] = {
    "command": ["python3", "app.py", "--port", "${PORT}"],
    "replicas": 3,
    "port": 8080,
    "env": {"MODE": "fast; rm -rf / $(x) `y`"},
    "secrets": {"TOKEN": "hunter2"},
    "resources": {"cpu": "250m", "memory": "256Mi"},
    "health_check": {
        "readiness": {"http": {"path": "/health?full=1"}, "period_s": 5},
        "liveness": {"tcp": {"port": 9000}, "failure_threshold": 5},
        "startup": {"exec": {"command": ["test", "-e", "up"]}},
    },
    "files": [{"path": "config/app.ini", "content": "[a]\nb=1\n"}],
    "drain_s": 0,
}


def test_a_full_spec_is_read() -> None:
    spec = ServiceSpec.from_json(GOOD)
    assert spec.command == ("python3", "app.py", "--port", "${PORT}")
    assert (spec.resources.cpu, spec.resources.memory) == (0.25, 256 * 1024**2)
    assert spec.health.readiness == Check("http", path="/health?full=1", period_s=5.0)
    assert spec.health.liveness == Check("tcp", port=9000, failure_threshold=5)
    assert spec.health.startup == Check("exec", command=("test", "-e", "up"))
    assert (spec.drain_s, spec.files[0].path) == (0.0, "config/app.ini")


def test_the_least_spec_has_defaults() -> None:
    spec = ServiceSpec.from_json({"command": ["./server"]})
    assert (spec.replicas, spec.port, spec.port_name, spec.health.readiness) == (1, 8080, "http", None)


def test_secrets_are_never_shown() -> None:
    spec = ServiceSpec.from_json(GOOD)
    assert spec.as_json()["secrets"] == ["TOKEN"]
    assert "hunter2" not in repr(spec)
    assert ServiceSpec.from_json(GOOD | {"secrets": ["TOKEN"]}, secrets={"TOKEN": "x"}).secrets == {"TOKEN": "x"}


BAD: list[tuple[str, dict[str, Any]]] = [
    ("command", {"command": []}),
    ("command", {"command": "python3 app.py"}),
    ("command", {"command": ["  "]}),
    ("command", {"command": ["a\0b"]}),
    ("command", {"command": ["a\ud800"]}),
    ("command", {"command": [1]}),
    ("command", {"command": ["x"] * 1000}),
    ("command", {"command": None}),
    ("replicas", {"replicas": -1}),
    ("replicas", {"replicas": 10_000}),
    ("replicas", {"replicas": 1.5}),
    ("replicas", {"replicas": True}),
    ("replicas", {"replicas": "3"}),
    ("port", {"port": 0}),
    ("port", {"port": 70_000}),
    ("port_name", {"port_name": "Not A Name"}),
    ("env", {"env": ["A=1"]}),
    ("env", {"env": {"1A": "x"}}),
    ("env", {"env": {"A=B": "x"}}),
    ("env", {"env": {"PORT": "1"}}),
    ("env", {"env": {"FDD_INSTANCE": "1"}}),
    ("env", {"env": {"A": 1}}),
    ("env", {"env": {"A": "x" * 100_000}}),
    ("secrets", {"secrets": {"A B": "x"}}),
    ("resources", {"resources": {"memory": "lots"}}),
    ("resources", {"resources": {"memory": 1000}}),
    ("resources", {"resources": {"cpu": "fast"}}),
    ("resources", {"resources": []}),
    ("health_check", {"health_check": {"readiness": {}}}),
    ("health_check", {"health_check": {"readiness": {"http": {}, "tcp": {}}}}),
    ("health_check", {"health_check": {"readiness": {"http": {"path": "no-slash"}}}}),
    ("health_check", {"health_check": {"readiness": {"http": {"path": "/a b"}}}}),
    ("health_check", {"health_check": {"readiness": {"http": {"path": "/\r\nHost: x"}}}}),
    ("health_check", {"health_check": {"readiness": {"tcp": {"port": 99_999}}}}),
    ("health_check", {"health_check": {"readiness": {"tcp": {}, "period_s": 0}}}),
    ("health_check", {"health_check": {"readiness": {"tcp": {}, "timeout_s": float("nan")}}}),
    ("health_check", {"health_check": {"readines": {"tcp": {}}}}),
    ("health_check", {"health_check": {"liveness": {"exec": {}}}}),
    ("health_check", {"health_check": [1]}),
    ("health_check", {"port_name": "", "health_check": {"readiness": {"tcp": {}}}}),
    ("files", {"files": [{"path": "../x"}]}),
    ("files", {"files": [{"path": "/etc/passwd"}]}),
    ("files", {"files": [{"path": "a", "content": "x" * 2_000_000}]}),
    ("files", {"files": "x"}),
    ("drain_s", {"drain_s": -1}),
    ("drain_s", {"drain_s": float("inf")}),
    ("colour", {"colour": "blue"}),
]


@pytest.mark.parametrize(("field", "change"), BAD)
def test_a_broken_field_is_named(field: str, change: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refusal:
        ServiceSpec.from_json(GOOD | change)
    assert list(refusal.value.fields) == [field]
    assert str(refusal.value.fields[field][0])


def test_every_broken_field_is_named_at_once() -> None:
    with pytest.raises(Invalid) as refusal:
        ServiceSpec.from_json({"command": [], "replicas": "x", "env": 3})
    assert set(refusal.value.fields) == {"command", "replicas", "env"}


@pytest.mark.parametrize("path", ["a", "a/b.txt", ".env", "a b/c;d"])
def test_safe_paths(path: str) -> None:
    assert safe_path(path)


@pytest.mark.parametrize("path", ["", "/a", "a/", "./a", "../a", "a/../b", "a//b", "a\0b", "a\\b", "a" * 300, "\ud800"])
def test_unsafe_paths(path: str) -> None:
    assert not safe_path(path)


def test_quantities() -> None:
    assert [parse_memory(t) for t in ("1", "1k", "2Ki", "1Mi", "1G", "x", "1.5Gi", "-1")] == [
        1, 1000, 2048, 2**20, 10**9, None, None, None,
    ]  # fmt: skip
    assert [parse_cpu(v) for v in (None, "", "250m", "2", "0.5", 3)] == [0, 0, 0.25, 2.0, 0.5, 3]
