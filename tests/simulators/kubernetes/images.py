"""What images there are and how a container made of one behaves: told by tests, or read from the image's name."""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Image:
    """`exists` False: cannot be pulled, `pull_error` says why. `exit_code`: the container ends so, `lives` seconds after
    it started, having said `lines`. `ready` False: its readiness probe never succeeds and says `probe`. `imported`: it
    came from no registry, and has no repository in its id. `tick`: a line of log every so many seconds.
    `deaf`: it does not end when asked to. `delay`: seconds until it is ready.
    """

    exists: bool = True
    digest: str = ""
    pull_error: str = ""
    exit_code: int | None = None
    lives: float = 0.0
    reason: str = ""
    lines: tuple[str, ...] = ()
    ready: bool = True
    delay: float = 0.0
    probe: str = "HTTP probe failed with statuscode: 503"
    imported: bool = False
    tick: float = 0.0
    deaf: bool = False
    live: bool = True


CRASH_LINES = ("starting", "fatal: cannot reach the database", "exiting")


@dataclass
class Images:
    """`known`: by reference without digest, such as `rig.local/app:v1`. What is not known behaves as its name says:
    `crash`, `oom`, `never-ready`, `not-live`, `slow`, `deaf`, `nosuch` or `missing` in the last part of the name or the tag.
    """

    known: dict[str, Image] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)  # by reference without digest
    strict: bool = False  # only what is known exists

    def add(self, reference: str, image: Image | None = None, **more: object) -> Image:
        made = replace(image or _by_name(reference), **more)  # type: ignore[arg-type]
        self.known[reference] = made
        return made

    def tag(self, reference: str, digest: str) -> None:
        """The registry's tag points to this digest from now on."""
        self.digests[reference] = digest

    def find(self, reference: str) -> Image:
        plain = reference.partition("@")[0]
        found = self.known.get(reference) or self.known.get(plain)
        if found is None:
            found = Image(exists=False) if self.strict else _by_name(plain)
        return found

    def digest(self, reference: str) -> str:
        plain, _, pinned = reference.partition("@")
        return pinned or self.digests.get(plain) or self.find(plain).digest or _digest(plain)

    def identity(self, reference: str) -> str:
        """`imageID` of a container."""
        image, digest = self.find(reference), self.digest(reference)
        return digest if image.imported else f"{repository(reference)}@{digest}"

    def pull_error(self, reference: str) -> str:
        image = self.find(reference)
        if image.pull_error:
            return image.pull_error
        host, _, path = repository(reference).partition("/")
        tag = reference.partition("@")[0].rpartition("/")[2].partition(":")[2] or "latest"
        manifest = reference.partition("@")[2] or tag
        return (
            f'failed to pull and unpack image "{reference}": failed to resolve reference "{reference}": failed to do '
            f'request: Head "https://{host}/v2/{path}/manifests/{manifest}": dial tcp: lookup {host}: Temporary failure '
            "in name resolution"
        )


def repository(reference: str) -> str:
    plain = reference.partition("@")[0]
    head, _, last = plain.rpartition("/")
    return f"{head}/{last.partition(':')[0]}" if head else last.partition(":")[0]


@functools.lru_cache(1000)
def _digest(reference: str) -> str:
    return "sha256:" + hashlib.sha256(reference.encode()).hexdigest()


@functools.lru_cache(1000)
def _by_name(reference: str) -> Image:
    words = set(re.split(r"[:/]", "/".join(reference.split("/")[-2:])))

    def says(word: str) -> bool:
        return any(each == word or each.startswith(f"{word}-") or each.endswith(f"-{word}") for each in words)

    if says("nosuch") or says("missing"):
        return Image(exists=False)
    if says("crash"):
        return Image(exit_code=1, lines=CRASH_LINES)
    if says("oom"):
        return Image(exit_code=137, reason="OOMKilled", lines=("allocating",))
    if says("never-ready"):
        return Image(ready=False)
    if says("not-live"):
        return Image(live=False)
    if says("slow"):
        return Image(delay=2.0)
    if says("deaf"):
        return Image(deaf=True)
    return Image()
