"""One JSON object per log line in production; plain lines in a terminal. Neither ever shows a token."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from .secrets_in_text import without_secrets


class JsonFormatter(logging.Formatter):
    """`at`, `level`, `logger`, `message`, `error`; never the arguments' reprs of secrets (callers log ids only)."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "pid": record.process,
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return without_secrets(json.dumps(entry, ensure_ascii=False))


class PlainFormatter(logging.Formatter):
    """For a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))
