"""The way of every log byte to the sink: sanitised, masked, cut into lines, prefixed, counted, one caller at a time.

A `LogWriter` belongs to the build, a `Channel` to one stream of lines (a step, a branch). Whatever the sink refuses
ends the build. Knows nothing of what writes.
"""

from __future__ import annotations

import errno
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from fangduoduo_release.common.sentence import S, Sentence

from ..base import LogFull, Sink
from .control import Fatal, Result
from .mask import Masker, forms, mask_text
from .sanitise import LineSplitter, Sanitiser, clean_text, to_bytes

T = TypeVar("T")
_MIB = 1024 * 1024
_EVIDENCE_LINES = 20
_EVIDENCE_LINE = 500
_SENTENCE_PART = 2000


@dataclass(frozen=True, slots=True)
class Label:
    """Whose lines these are and how they are marked."""

    stage: str | None = None
    step: int | None = None
    branch: str = ""
    timestamps: bool = False


def disk_sentence(error: OSError) -> Sentence | None:
    """The sentence for a full disk (or quota), None for another error."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return S("The disk is full: %(path)s could not be written.", path=str(error.filename or "a file"))
    return None


class LogWriter:
    """Serialises every call to the sink. `on_fatal(Fatal)` is told when the sink fails."""

    def __init__(self, sink: Sink, limit_mib: int, on_fatal: Callable[[Fatal], None]) -> None:
        self._sink = sink
        self._limit = limit_mib * _MIB
        self._on_fatal = on_fatal
        self._lock = threading.Lock()
        self._written = 0
        self._dead: Fatal | None = None
        # What the sink raised that is neither a full log nor a full disk: not ours to judge.
        self.broken: Exception | None = None
        self._patterns: frozenset[bytes] = frozenset()
        self._last: deque[bytes] = deque(maxlen=_EVIDENCE_LINES)

    @property
    def patterns(self) -> frozenset[bytes]:
        return self._patterns

    def add_secrets(self, secrets: Iterable[str]) -> None:
        for secret in secrets:
            self._patterns |= forms(secret)

    def masked(self, text: str) -> str:
        return mask_text(clean_text(text), self._patterns)

    def masked_sentence(self, sentence: Sentence | None) -> Sentence | None:
        if sentence is None:
            return None
        params = {k: self.masked(v)[:_SENTENCE_PART] if isinstance(v, str) else v for k, v in sentence.params.items()}
        return Sentence(sentence.msgid, params)

    def evidence(self) -> str:
        with self._lock:
            tail = b"".join(self._last)
        lines = tail.decode("utf-8", "replace").splitlines()[-_EVIDENCE_LINES:]
        return "\n".join(line[:_EVIDENCE_LINE] for line in lines)

    def line(self, text: str, label: Label) -> None:
        """One line of ours, for lines that belong to no running stream."""
        channel = Channel(self, label)
        channel.write(to_bytes(text) + b"\n")
        channel.finish()

    def put(self, data: bytes, label: Label) -> None:
        """Whole clean lines to the sink."""
        with self._lock:
            if self._dead is not None:
                raise self._dead
            self._written += len(data)
            self._last.append(data[-_EVIDENCE_LINES * _EVIDENCE_LINE :])
            try:
                if self._limit and self._written > self._limit:
                    raise LogFull
                self._sink.log(data, stage=label.stage, step=label.step)
            except Exception as error:
                raise self._die(error) from error

    def call(self, report: Callable[[Sink], T]) -> T:
        """Any other call to the sink, with the same care."""
        with self._lock:
            if self._dead is not None:
                raise self._dead
            try:
                return report(self._sink)
            except Exception as error:
                raise self._die(error) from error

    def last_call(self, report: Callable[[Sink], None]) -> None:
        """A closing report after the end (stage states): tried, and dropped when the sink is gone."""
        with self._lock:
            try:
                report(self._sink)
            except Exception as error:  # noqa: BLE001 - kept, and raised when the build has been tidied up
                self._die(error)

    def _die(self, error: Exception) -> Fatal:
        if isinstance(error, LogFull):
            sentence = S("The log grew beyond %(mib)d MiB.", mib=self._limit // _MIB)
        elif isinstance(error, OSError):
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                sentence = S("The disk is full: the log of this build could not be written.")
            else:
                sentence = S("The log of this build could not be written (%(reason)s).", reason=str(error.strerror))
        else:
            self.broken = self.broken or error
            sentence = S("The build was stopped, because what it does could no longer be stored.")
        known = self._dead
        self._dead = known or Fatal(sentence, Result.FAILURE if self.broken is None else Result.ABORTED)
        self._on_fatal(self._dead)
        return self._dead


class Channel:
    """One stream of raw bytes into the log. Not thread-safe; `finish` flushes an unfinished line."""

    def __init__(self, writer: LogWriter, label: Label, *, touch: Callable[[], None] | None = None) -> None:
        self._writer = writer
        self._label = label
        self._touch = touch
        self._sanitiser = Sanitiser()
        self._masker = Masker()
        self._masked = frozenset[bytes]()
        self._splitter = LineSplitter()
        self._prefix = f"[{clean_text(label.branch)}] ".encode() if label.branch else b""

    def write(self, data: bytes) -> None:
        if self._touch is not None:
            self._touch()
        self._refresh()
        clean = self._sanitiser.feed(data)
        if clean:
            self._put(self._splitter.feed(self._masker.feed(clean)))

    def finish(self) -> None:
        self._refresh()
        rest = self._masker.feed(self._sanitiser.finish()) + self._masker.finish()
        self._put(self._splitter.feed(rest) + self._splitter.finish())

    def _refresh(self) -> None:
        patterns = self._writer.patterns
        if patterns is not self._masked:
            self._masker.add_patterns(patterns)
            self._masked = patterns

    def _put(self, lines: bytes) -> None:
        if not lines:
            return
        prefix = self._prefix
        if self._label.timestamps:
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
            prefix = f"[{now}Z] ".encode() + prefix
        if prefix:
            lines = prefix + lines[:-1].replace(b"\n", b"\n" + prefix) + b"\n"
        self._writer.put(lines, self._label)
