"""Asking Traefik what it really does. Must not know what was asked for."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from clusters.drivers.traffic.base import Backend, Routing
from fangduoduo_release.common.errors import Unavailable
from fangduoduo_release.common.sentence import S

TIMEOUT_S = 2.0


class TraefikApi:
    """One short connection per question. Raises Unavailable when nobody answers."""

    def __init__(self, port: int) -> None:
        self.port = port

    def routing(self, service: str) -> Routing | None:
        """The split in force for a service; None when Traefik does not route it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        try:
            top = self._get(connection, f"{service}@file")
            port = _port_of(service, (top or {}).get("usedBy") or [])
            if top is None or not port or top.get("status") != "enabled":
                return None
            backends: dict[str, frozenset[Backend]] = {}
            weights: dict[str, int] = {}
            for share in top.get("weighted", {}).get("services", []):
                name = str(share["name"]).removesuffix("@file")
                group = name.removeprefix(f"{service}-")
                below = self._get(connection, f"{name}@file") or {}
                found = frozenset(_backend(server["url"]) for server in _servers(below))
                if found:
                    backends[group], weights[group] = found, int(share.get("weight", 0))
            return Routing(port, backends, weights)
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            raise Unavailable(S("The proxy does not answer."), evidence=str(error), code="proxy_down") from error
        finally:
            connection.close()

    def _get(self, connection: http.client.HTTPConnection, name: str) -> dict[str, Any] | None:
        connection.request("GET", f"/api/http/services/{name}")
        answer = connection.getresponse()
        body = answer.read()
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise ValueError(f"HTTP {answer.status}")
        found = json.loads(body)
        return found if isinstance(found, dict) else None


def _servers(below: dict[str, Any]) -> list[dict[str, Any]]:
    return list((below.get("loadBalancer") or {}).get("servers") or [])


def _port_of(service: str, used_by: list[str]) -> int:
    """The entry point is in the router's name: `<service>-p<port>@file`."""
    for name in used_by:
        text = name.removesuffix("@file").removeprefix(f"{service}-p")
        if text.isdigit():
            return int(text)
    return 0


def _backend(url: str) -> Backend:
    parts = urlsplit(url)
    return Backend(parts.hostname or "", parts.port or 80)
