"""The only hook that ever runs in our repositories: it notes a push on disk, then asks the portal for a word to say.

Git starts it after the refs have moved. The note (spool file, fsynced) survives whatever happens to the portal, so a
push is never lost; the portal's answer becomes the `remote: …` lines of the client. Started as a script of its own with
only the standard library: it must not import anything of the project.
"""

import json
import os
import socket
import sys
import time


def main() -> int:
    spool, name = os.environ["FDD_PUSH_SPOOL"], os.environ["FDD_PUSH_ID"]
    note = {
        "id": name,
        "slug": os.environ["FDD_PUSH_SLUG"],
        "actor": os.environ["FDD_PUSH_ACTOR"],
        "at": time.time(),
        "updates": [line.rstrip("\n").split(" ", 2) for line in sys.stdin],
    }
    os.chdir(spool)
    half = f"{name}.half"
    with open(half, "w", encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123 - no imports beyond need
        json.dump(note, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(half, f"{name}.json")  # noqa: PTH104
    folder = os.open(".", os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    sys.stdout.write(ask(name))
    return 0


def ask(name: str) -> str:
    """What the portal wants to tell the person who pushes; nothing when it is gone or slow."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as portal:
            portal.settimeout(float(os.environ["FDD_PUSH_WAIT"]))
            portal.connect(os.environ["FDD_PUSH_SOCKET"])
            portal.sendall(f"{name}\n".encode())
            answer = bytearray()
            while chunk := portal.recv(4096):
                answer += chunk
            return answer.decode()
    except OSError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
