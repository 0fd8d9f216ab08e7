"""Processes that outlive the portal: a small supervisor (the shim) and the driver's handle on it.

The `shim*` modules and `procfs` run inside the shim with the standard library alone (`python -I -S`) and avoid costly
imports (dataclasses, pathlib, typing, subprocess): each instance pays for them. `handle` is the portal's side.
"""
