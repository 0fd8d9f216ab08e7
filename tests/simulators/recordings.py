"""Recorded exchanges with a real server, one a file: `#` what it shows, `>` the request, `<` the answer, then its body."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

JENKINS = Path(__file__).parent.parent / "recordings" / "jenkins"
KUBERNETES = Path(__file__).parent.parent / "recordings" / "kubernetes"


@dataclass(frozen=True, slots=True)
class Recording:
    """One exchange. `auth` says in words who asked; header names are as they came."""

    name: str
    auth: str
    method: str
    target: str
    sent: dict[str, str]
    sent_body: bytes
    status: int
    headers: dict[str, str]
    body: str


def read(file: Path) -> Recording:
    text = file.read_text(encoding="utf-8")
    notes, _, rest = text.partition("\n> ")
    request, _, answer = rest.partition("\n< HTTP/1.1 ")
    auth = next((line for line in notes.splitlines() if line.startswith("# auth: ")), "# auth: none;")
    head, _, body = "\n".join(line.removeprefix("> ").removeprefix(">") for line in request.splitlines()).partition(
        "\n\n"
    )
    first, *lines = head.splitlines()
    method, _, target = first.partition(" ")
    status, *answered = answer.split("\n\n", 1)[0].splitlines()
    return Recording(
        name=file.stem,
        auth=auth.removeprefix("# auth: ").partition(";")[0],
        method=method,
        target=target,
        sent=dict(line.split(": ", 1) for line in lines if ": " in line),
        # What follows the request's body in a file is the empty line before the answer.
        sent_body=body.removesuffix("\n").encode(),
        status=int(status.split(" ")[0]),
        headers=dict(line.removeprefix("< ").split(": ", 1) for line in answered if ": " in line),
        body=answer.partition("\n\n")[2].removesuffix("\n"),
    )


def all_of(folder: Path) -> dict[str, Recording]:
    return {file.stem: read(file) for file in sorted(folder.glob("*.txt"))}
