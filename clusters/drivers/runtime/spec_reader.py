"""Reads a service spec as people and the API write it, and finds everything that is wrong with it at once. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from clusters.drivers.config.templating import IN_KEYS, fill_key
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S, Sentence

from .spec_parts import Autoscale, Check, ConfigFile, HealthChecks, Ingress, Resources

ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")
PORT_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?\Z")
HOST_NAME = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\Z")
RESERVED_ENV = frozenset({"PORT", "HOST"})
MAX_REPLICAS = 100
MAX_ARGUMENTS = 200
MAX_TEXT = 32 * 1024
MAX_FILE = 1024 * 1024
FILES_AT = "/app"


class Checked(Protocol):
    """What is judged of a whole spec once its fields are read."""

    @property
    def health(self) -> HealthChecks: ...

    @property
    def port_name(self) -> str: ...

    @property
    def ingress(self) -> Ingress | None: ...


class Reader:
    """Collects every complaint before it refuses, so that a person sees all of them at once."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data
        self.fields: dict[str, list[Sentence]] = {}

    def wrong(self, field_name: str, sentence: Sentence) -> None:
        self.fields.setdefault(field_name, []).append(sentence)

    def finish(self) -> None:
        if self.fields:
            first = next(iter(self.fields.values()))[0]
            raise Invalid(first, code="bad_spec", fields=self.fields)

    def needs_a_port(self, spec: Checked) -> None:
        if spec.ingress is not None and not spec.port_name:
            self.wrong("ingress", S("A service without a port cannot be reached from outside."))
        for check in (spec.health.readiness, spec.health.liveness, spec.health.startup):
            if check is not None and check.kind != "exec" and not (check.port or spec.port_name):
                self.wrong("health_check", S("A service without a port needs a port in its http and tcp checks."))

    def text(self, value: object, where: str, limit: int = MAX_TEXT) -> str:
        if not isinstance(value, str):
            self.wrong(where, S("“%(field)s” must be text.", field=where))
            return ""
        if "\0" in value or not _encodable(value):
            self.wrong(where, S("“%(field)s” holds a character that no process can be given.", field=where))
        if len(value) > limit:
            self.wrong(where, S("“%(field)s” is longer than %(limit)d characters.", field=where, limit=limit))
        return value

    def number(self, value: object, where: str, low: float, high: float) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self.wrong(where, S("“%(field)s” must be a number.", field=where))
            return low
        if not low <= value <= high:
            self.wrong(where, S("“%(field)s” must be between %(low)g and %(high)g.", field=where, low=low, high=high))
        return float(value)

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        number = self.number(self.data.get(name, default), name, low, high)
        if number != int(number):
            self.wrong(name, S("“%(field)s” must be a whole number.", field=name))
        return int(number)

    def seconds(self, data: Mapping[str, Any], name: str, default: float, low: float, high: float) -> float:
        return self.number(data.get(name, default), name, low, high)

    def command(self, value: object, where: str) -> tuple[str, ...]:
        if not isinstance(value, Sequence) or isinstance(value, str | bytes) or not value:
            self.wrong(where, S("“%(field)s” must be a list of words, the program first.", field=where))
            return ()
        if len(value) > MAX_ARGUMENTS:
            self.wrong(where, S("“%(field)s” has more than %(limit)d words.", field=where, limit=MAX_ARGUMENTS))
        words = tuple(self.text(word, where) for word in value[:MAX_ARGUMENTS])
        if not words[0].strip():
            self.wrong(where, S("“%(field)s” must begin with a program.", field=where))
        return words

    def environment(self, value: object, where: str) -> dict[str, str]:
        if not isinstance(value, Mapping):
            self.wrong(where, S("“%(field)s” must map names to text.", field=where))
            return {}
        for name in value:
            if not isinstance(name, str) or not ENV_NAME.match(name):
                self.wrong(where, S("“%(name)s” is not a name for an environment variable.", name=str(name)[:100]))
            elif name in RESERVED_ENV or name.startswith("FDD_"):
                self.wrong(where, S("The environment variable “%(name)s” is set by the portal.", name=name))
        return {str(name): self.text(text, where) for name, text in value.items()}

    def resources(self, value: object) -> Resources:
        if not isinstance(value, Mapping):
            self.wrong("resources", S("“%(field)s” must be an object.", field="resources"))
            return Resources()
        memory = value.get("memory") or 0
        if isinstance(memory, str):
            memory = parse_memory(memory)
        if memory is None:
            self.wrong("resources", S("Memory is written as bytes or as in “256Mi”."))
        size = int(self.number(memory or 0, "resources", 0, 2**50))
        if 0 < size < 4 * 1024 * 1024:
            self.wrong("resources", S("No process starts with less than 4 MiB of memory."))
        return Resources(cpu=self.number(parse_cpu(value.get("cpu")), "resources", 0, 1024), memory=size)

    def health(self, value: object) -> HealthChecks:
        if not isinstance(value, Mapping):
            self.wrong("health_check", S("“%(field)s” must be an object.", field="health_check"))
            return HealthChecks()
        for name in sorted(set(value) - {"readiness", "liveness", "startup"}):
            self.wrong("health_check", S("There is no health check called “%(name)s”.", name=str(name)[:100]))
        checks = {
            name: self.check(value[name], name)
            for name in ("readiness", "liveness", "startup")
            if value.get(name) is not None
        }
        return HealthChecks(**checks)

    def check(self, value: object, name: str) -> Check | None:
        where = "health_check"
        kinds = [kind for kind in ("http", "tcp", "exec") if isinstance(value, Mapping) and value.get(kind) is not None]
        if not isinstance(value, Mapping) or len(kinds) != 1 or not isinstance(value[kinds[0]], Mapping):
            self.wrong(where, S("The %(name)s check needs exactly one of http, tcp and exec.", name=name))
            return None
        kind, how = kinds[0], value[kinds[0]]
        path = self.text(how.get("path", "/"), where, 2048)
        if not path.startswith("/") or any(ord(c) <= 32 or ord(c) > 126 for c in path):
            self.wrong(where, S("The path of the %(name)s check must begin with “/” and hold no spaces.", name=name))
        return Check(
            kind=kind,
            path=path,
            port=int(self.number(how.get("port") or 0, where, 0, 65535)),
            command=self.command(how.get("command"), where) if kind == "exec" else (),
            initial_delay_s=self.number(value.get("initial_delay_s", 0), where, 0, 3600),
            period_s=self.number(value.get("period_s", 10), where, 0.1, 3600),
            timeout_s=self.number(value.get("timeout_s", 1), where, 0.1, 60),
            failure_threshold=int(self.number(value.get("failure_threshold", 3), where, 1, 100)),
        )

    def autoscale(self, value: object) -> Autoscale | None:
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self.wrong("autoscale", S("“%(field)s” must be an object.", field="autoscale"))
            return None
        low = int(self.number(value.get("min", 1), "autoscale", 1, MAX_REPLICAS))
        high = int(self.number(value.get("max"), "autoscale", 1, MAX_REPLICAS))
        if high < low:
            self.wrong("autoscale", S("The most instances are fewer than the least."))
        return Autoscale(low, high, int(self.number(value.get("cpu_percent", 80), "autoscale", 1, 1000)))

    def ingress(self, value: object) -> Ingress | None:
        if value is None:
            return None
        host = value.get("host") if isinstance(value, Mapping) else None
        if not isinstance(value, Mapping) or not isinstance(host, str) or not HOST_NAME.match(_sampled(host)):
            self.wrong("ingress", S("An address from outside needs a host such as shop.example."))
            return None
        path = self.text(value.get("path", "/"), "ingress", 1000)
        if not path.startswith("/") or any(ord(c) <= 32 or ord(c) > 126 for c in path):
            self.wrong("ingress", S("The path of an address begins with “/” and holds no spaces."))
        names = {name: self.text(value.get(name, ""), "ingress", 253) for name in ("class_name", "tls_secret")}
        for text in names.values():
            if text and not HOST_NAME.match(_sampled(text)):
                self.wrong("ingress", S("“%(name)s” is no name in Kubernetes.", name=text[:100]))
        return Ingress(host, path, **names)

    def folder(self, value: object) -> str:
        text = self.text(value, "files_at", 200)
        if not text.startswith("/") or not (text == "/" or safe_path(text.strip("/"))):
            self.wrong("files_at", S("Config files lie in a folder such as /app."))
        return text

    def files(self, value: object) -> tuple[ConfigFile, ...]:
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            self.wrong("files", S("“%(field)s” must be a list.", field="files"))
            return ()
        found = []
        for item in value[:100]:
            path = item.get("path") if isinstance(item, Mapping) else None
            if not isinstance(path, str) or not safe_path(path):
                self.wrong("files", S("“%(path)s” does not stay inside the working directory.", path=str(path)[:200]))
                continue
            found.append(ConfigFile(path, self.text(item.get("content", ""), "files", MAX_FILE)))
        return tuple(found)


def safe_path(path: str) -> bool:
    """True for a relative path that names a file below its start and nothing else."""
    parts = path.split("/")
    return bool(path) and len(path) <= 500 and "\0" not in path and "\\" not in path and _encodable(path) and not any(
        part in ("", ".", "..") or len(part) > 200 for part in parts
    )  # fmt: skip


def parse_memory(text: str) -> int | None:
    """Bytes in a Kubernetes quantity ("256Mi", "1G", "1048576"); None when it is none."""
    found = re.fullmatch(r"(\d{1,15})(Ki|Mi|Gi|k|M|G)?", text.strip())
    if not found:
        return None
    units = {None: 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
    return int(found[1]) * units[found[2]]


def parse_cpu(value: object) -> object:
    """Cores in a Kubernetes quantity ("250m" is 0.25); anything else comes back for the caller to judge."""
    if value is None or value == "":
        return 0
    if isinstance(value, str) and (found := re.fullmatch(r"(\d{1,7})m", value.strip())):
        return int(found[1]) / 1000
    if isinstance(value, str) and re.fullmatch(r"\d{1,4}(\.\d{1,3})?", value.strip()):
        return float(value)
    return value


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _sampled(host: str) -> str:
    """As it could be on some machine: a host may hold `${PROJECT}`, `${MACHINE}`, `${ENVIRONMENT}`, `${NAMESPACE}`."""
    return fill_key(host, dict.fromkeys(IN_KEYS, "x"))
