"""Ask this host's agent host to start an agent. One line of JSON each way over a UNIX socket only we can open."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from django.conf import settings

from fangduoduo_release.common.errors import Unavailable
from fangduoduo_release.common.sentence import S

TIMEOUT_S = 5.0


def socket_path() -> Path:
    return Path(settings.SOCKETS_ROOT) / "agents.sock"


def start(build_id: int, fence: int) -> dict[str, Any]:
    """{"started": true, "pid", "slot"} or {"busy": true}. Raises Unavailable when no agent host answers."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.connect(str(socket_path()))
            connection.sendall(json.dumps({"build": build_id, "fence": fence}).encode() + b"\n")
            answer = connection.makefile("rb").readline(4096)
            return dict(json.loads(answer))
    except (OSError, ValueError) as error:
        raise Unavailable(S("The build agents of this host are not running yet."), code="no_agent_host") from error
