"""The embedded builder: runs a declarative Jenkinsfile on this host as Jenkins would.

Knows no models and no Django; everything comes in by a `BuildSpec` and goes out through a `Sink`.
"""

from __future__ import annotations

from .execution import Execution
from .orphans import become_subreaper, kill_build

__all__ = ["Execution", "become_subreaper", "kill_build"]
