"""JSON from strangers: bounded depth, no NUL bytes, no lone surrogates; each refused with one sentence (400)."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

MAX_DEPTH = 50


def check_depth(raw: bytes) -> None:
    """Refuse before parsing: counting brackets outside strings costs one pass and no recursion."""
    depth = 0
    in_string = escaped = False
    for byte in raw:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in (0x5B, 0x7B):
            depth += 1
            if depth > MAX_DEPTH:
                raise ParseError("The JSON is nested deeper than 50 levels.")
        elif byte in (0x5D, 0x7D):
            depth -= 1


def _refuse_bad_text(value: Any) -> None:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if "\x00" in item:
                raise ParseError("Text must not contain NUL characters.")
            try:
                item.encode()
            except UnicodeEncodeError as error:
                raise ParseError("Text must be valid Unicode.") from error
        elif isinstance(item, dict):
            stack.extend(item.keys())
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def _no_constants(name: str) -> None:
    raise ParseError(f"{name} is not JSON.")


class SafeJSONParser(JSONParser):
    """DRF's JSON parser with bounds. Raises ParseError (400)."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        raw = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        if len(raw) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise ParseError("The request is larger than 4 MiB.")
        check_depth(raw)
        try:
            value = json.loads(raw.decode("utf-8"), parse_constant=_no_constants)
        except (ValueError, RecursionError) as error:
            raise ParseError("The request is not valid JSON.") from error
        _refuse_bad_text(value)
        return value
