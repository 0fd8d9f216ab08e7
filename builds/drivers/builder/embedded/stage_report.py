"""Tells the sink about stages: begun, paused, ended, skipped. Keeps the times; decides nothing."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

from fangduoduo_release.common.sentence import Sentence

from ..base import StageState, StageUpdate
from .context import StageRecord, sentence_of
from .control import Result, result_of
from .logwriter import LogWriter
from .sanitise import clean_text

Kind = Literal["stage", "parallel", "matrix", "cell", "post", "checkout"]

_ID_LENGTH = 80
_MARKED: dict[Result, StageState] = {
    Result.SUCCESS: "succeeded",
    Result.UNSTABLE: "unstable",
    Result.FAILURE: "failed",
    Result.NOT_BUILT: "skipped",
    Result.ABORTED: "cancelled",
}


def stage_id(path: tuple[str, ...]) -> str:
    """The path as one string: names joined by `/`, what is special in a name written %XX; a long one ends in a hash."""
    text = "/".join(name.replace("%", "%25").replace("/", "%2F") for name in path)
    if len(text) <= _ID_LENGTH:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]
    return f"{text[: _ID_LENGTH - 13]}~{digest}"


class StageReport:
    """The updates of one build; thread-safe because each stage is told of by one thread at a time."""

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer
        self._open: dict[str, StageUpdate] = {}

    def begin(self, path: tuple[str, ...], kind: Kind) -> StageRecord:
        update = self._update(path, kind, "running")
        self._open[update.id] = update
        self._writer.call(lambda sink: sink.stage(update))
        record = StageRecord(update.id, path)
        record.paused = lambda paused: self._pause(update.id, paused)
        return record

    def end_with(self, record: StageRecord, error: BaseException | None) -> None:
        """The state that follows from an error, or without one from what the steps marked the stage with."""
        if error is None:
            self.end(record, _MARKED[record.warning], record.sentence)
        else:
            self.end(record, "cancelled" if result_of(error) == Result.ABORTED else "failed", sentence_of(error))

    def end(self, record: StageRecord, state: StageState, sentence: Sentence | None) -> None:
        """Told even when the log is dead: a closed stage is better than one that seems to run for ever."""
        update = self._open.pop(record.id)
        final = replace(
            update, state=state, finished_at=datetime.now(UTC), sentence=self._writer.masked_sentence(sentence)
        )
        self._writer.last_call(lambda sink: sink.stage(final))

    def skip(self, path: tuple[str, ...], kind: Kind, sentence: Sentence) -> None:
        update = replace(self._update(path, kind, "skipped"), started_at=None, sentence=sentence)
        self._writer.call(lambda sink: sink.stage(update))

    def _pause(self, identity: str, paused: bool) -> None:
        update = replace(self._open[identity], state="paused" if paused else "running")
        self._writer.last_call(lambda sink: sink.stage(update))

    def _update(self, path: tuple[str, ...], kind: Kind, state: StageState) -> StageUpdate:
        path = tuple(clean_text(name).replace("\n", " ") for name in path)
        return StageUpdate(
            id=stage_id(path),
            parent=stage_id(path[:-1]) if len(path) > 1 else None,
            name=path[-1],
            path=path,
            state=state,
            kind=kind,
            started_at=datetime.now(UTC),
        )
