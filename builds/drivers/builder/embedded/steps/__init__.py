"""What the steps of a pipeline do, by their Jenkins names: one function per step, one module per theme.

A step gets the branch it runs in and its evaluated call, and gives back the step's value.
"""

from __future__ import annotations

from types import MappingProxyType

from ..context import RunStep
from . import branches, credentials, files, flow, people, reports, scm, shell

ALL_STEPS: MappingProxyType[str, RunStep] = MappingProxyType(
    {
        **branches.STEPS,
        **shell.STEPS,
        **files.STEPS,
        **flow.STEPS,
        **people.STEPS,
        **scm.STEPS,
        **credentials.STEPS,
        **reports.STEPS,
    }
)

__all__ = ["ALL_STEPS"]
