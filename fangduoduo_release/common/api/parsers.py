"""JSON from strangers: bounded size and depth, no NUL, no lone surrogates, no NaN; each refused with one sentence."""

from __future__ import annotations

import json
import math
from typing import Any

from django.conf import settings
from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser

MAX_DEPTH = 50


class TooLarge(APIException):
    """413: more bytes than a request may have."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"
    default_detail = f"The request is larger than {settings.DATA_UPLOAD_MAX_MEMORY_SIZE >> 20} MiB."


def _refuse_bad_values(value: Any) -> None:
    """Walk without recursion: depth and text are judged in one pass."""
    stack = [(value, 0)]
    while stack:
        item, depth = stack.pop()
        if isinstance(item, str):
            _refuse_bad_text(item)
        elif isinstance(item, dict | list):
            if depth == MAX_DEPTH:
                raise ParseError(f"The JSON is nested deeper than {MAX_DEPTH} levels.")
            if isinstance(item, dict):
                for name in item:
                    _refuse_bad_text(name)
            stack.extend((child, depth + 1) for child in (item.values() if isinstance(item, dict) else item))


def _refuse_bad_text(text: str) -> None:
    if "\x00" in text:
        raise ParseError("Text must not contain NUL characters.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ParseError("Text must be valid Unicode.") from error


def _no_constants(name: str) -> None:
    raise ParseError(f"{name} is not JSON.")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ParseError("A number is too large.")
    return number


class SafeJSONParser(JSONParser):
    """DRF's JSON parser with bounds. Raises ParseError (400), TooLarge (413)."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise TooLarge
        try:
            value = json.loads(raw.decode("utf-8"), parse_constant=_no_constants, parse_float=_finite)
        except RecursionError as error:
            raise ParseError(f"The JSON is nested deeper than {MAX_DEPTH} levels.") from error
        except ValueError as error:
            raise ParseError("The request is not valid JSON.") from error
        _refuse_bad_values(value)
        return value
