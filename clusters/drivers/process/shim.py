"""The shim: one small process that keeps one other process running while the portal comes and goes.

Run as `python -I -S shim.py <directory> <lock fd>` with its orders as JSON on stdin, so that no secret is ever in an
argv or a file. It daemonises (nobody has to reap it), holds an flock on `<directory>/shim.lock` while it lives,
restarts its process after a crash with growing pauses, checks its health, rotates its output under
`<directory>/logs/` and tells everything in `<directory>/status.json`, replaced atomically on every change. SIGTERM ends
the process (its group first, everything it left behind after the grace) and then the shim. When the shim is killed,
the kernel kills the process with it.

Orders: {"argv", "env", "cwd", "memory", "grace_s", "backoff_s": [first, longest], "log": {"bytes", "files"}, "host",
"port" (0: none), "checks": {"startup"|"readiness"|"liveness": {...} | null}}.

Must not know what it runs or why, nor import anything beyond the standard library and its siblings.
"""

# A mere door: what is run as a script is compiled anew each time, what is imported is not. No pathlib, see above.
# ruff: noqa: PTH100, PTH118, PTH120

from __future__ import annotations

import os
import sys

sys.path.append(os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", "..")))

from clusters.drivers.process.shim_loop import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
