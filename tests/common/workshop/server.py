"""Runs functions of test modules inside the workshop's Django, each call in a forked process of its own.

Reads {"call": "module:function", "args": [[...], ...]} per line: one process per list of arguments, all let go at once.
Answers a list of {"value": …} or {"error": traceback}.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from typing import Any

import django


def main() -> None:
    django.setup()
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(together(order["call"], order["args"])), flush=True)


def together(call: str, calls: list[list[Any]]) -> list[Any]:
    module, name = call.split(":")
    function = getattr(importlib.import_module(module), name)
    gate, opener = os.pipe()
    results: list[int] = []
    pids: list[int] = []
    for arguments in calls:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(opener)
            os.read(gate, 1)  # ends for all at once, when the parent closes its end
            _answer(writer, function, arguments)
        os.close(writer)
        results.append(reader)
        pids.append(pid)
    os.close(gate)
    os.close(opener)
    answers = []
    for reader in results:
        with os.fdopen(reader) as file:
            answers.append(json.loads(file.read() or '{"error": "it died"}'))
    for pid in pids:
        os.waitpid(pid, 0)
    return answers


def _answer(writer: int, function: Any, arguments: list[Any]) -> None:
    try:
        answer = {"value": function(*arguments)}
        text = json.dumps(answer, default=str)
    except BaseException:  # noqa: BLE001 - whatever it is, the caller is told
        text = json.dumps({"error": traceback.format_exc()})
    with os.fdopen(writer, "w") as file:
        file.write(text)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
