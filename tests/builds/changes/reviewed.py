"""A source with reviews, in memory at the border: repositories are real (kind `git`), changes and messages are rows here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from fangduoduo_release.common.errors import AppError, NotFound
from fangduoduo_release.common.sentence import S
from projects.drivers.source.base import PatchSet, Repository
from projects.drivers.source.git import GitConfig, GitSource


@dataclass(frozen=True)
class Said:
    """One message as the server took it."""

    number: int
    sha: str
    message: str
    value: int | None
    tag: str


@dataclass
class Desk:
    """The server's side: what it was told, which changes it has, and how it answers next."""

    said: list[Said] = field(default_factory=list)
    changes: list[PatchSet] = field(default_factory=list)
    answers: list[AppError | None] = field(default_factory=list)
    lost: bool = False  # it takes the next message, and its answer is lost
    asked: int = 0


DESK = Desk()


class Config:
    """What `source_of_kind` builds a driver from."""

    @staticmethod
    def of(config: Mapping[str, Any], secrets: Mapping[str, Any], git: GitConfig) -> GitConfig:
        return git


class ReviewedSource(GitSource):
    """Implements `Source` and `Reviewing`."""

    kind: ClassVar[str] = "reviewed"
    Config = Config

    def open_changes(self, repository: Repository, *, limit: int = 100) -> Sequence[PatchSet]:
        return DESK.changes[:limit]

    def patch_set(self, repository: Repository, number: int) -> PatchSet:
        for found in DESK.changes:
            if found.number == number:
                return found
        raise NotFound(S("There is no change %(number)s.", number=number))

    def review(
        self, repository: Repository, number: int, sha: str, *, message: str, value: int | None = None, tag: str = ""
    ) -> None:
        answer = DESK.answers.pop(0) if DESK.answers else None
        if answer is not None:
            raise answer
        DESK.said.append(Said(number, sha, message, value, tag))
        if DESK.lost:
            DESK.lost = False
            raise ConnectionResetError("the answer was lost")

    def reviewed(self, repository: Repository, number: int, sha: str, text: str) -> bool:
        DESK.asked += 1
        return any(text in said.message for said in DESK.said if (said.number, said.sha) == (number, sha))
