"""The simulator's own door, `POST /__sim__/…`: for benchmarks and tests in other processes.

A body of JSON holds the arguments by name: `POST /__sim__/faults/status` with `{"status": 500, "times": 2}` does what
`rig.faults.status(500, times=2)` does; the answer of a rule is its number, and `faults/lift` with `{"rule": 3}` lifts it.
`POST /__sim__/requests` answers the counts; `deploy`, `pods`, `say`, `churn`, `pace` are of the cluster.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from .faults import Rule
from .status import Refused

if TYPE_CHECKING:
    from .server import Kubernetes

_OWN = ("namespace", "node", "pods", "say", "churn", "fill", "image", "tag")


class Door:
    def __init__(self, kubernetes: Kubernetes) -> None:
        self.kubernetes = kubernetes
        self._rules: list[Rule] = []

    async def answer(self, request: web.Request) -> web.Response:
        words = request.path.strip("/").split("/")[1:]
        try:
            given = orjson.loads(await request.read() or b"{}")
            # In a thread of its own: what it calls waits for this loop.
            found = await asyncio.to_thread(self._call, words, given)
            return web.json_response(found)
        except (KeyError, TypeError, ValueError, AttributeError, Refused) as wrong:
            return web.json_response({"error": f"{type(wrong).__name__}: {wrong}"}, status=400)

    def _call(self, words: list[str], given: dict[str, Any]) -> Any:
        kubernetes = self.kubernetes
        if words == ["requests"]:
            return {"total": kubernetes.requests.total, "counts": kubernetes.requests.counts}
        if words == ["requests", "forget"]:
            return kubernetes.requests.forget()
        if words == ["pace"]:
            for name, value in given.items():
                getattr(kubernetes.pace, name)
                setattr(kubernetes.pace, name, value)
            return None
        if words == ["faults", "lift"]:
            return self._rules[given["rule"]].lift()
        if words[0] == "faults" and not words[1].startswith("_"):
            found = getattr(kubernetes.faults, words[1])(**given)
            if isinstance(found, Rule):
                self._rules.append(found)
                return {"rule": len(self._rules) - 1}
            return found if isinstance(found, dict) else None
        if words[0] in _OWN:
            found = getattr(kubernetes, words[0])(**given)
            return found if isinstance(found, list | dict | int | str) else None
        raise KeyError("/".join(words))
