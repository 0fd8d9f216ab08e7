"""How a driver is found: `settings.DRIVERS[family][kind]` names a class; nothing ever falls back to another kind.

A driver is built from its own validated config and speaks in frozen dataclasses. It imports no models; its SDK is
imported by its own file alone, so a kind that is not used costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from .errors import Invalid
from .sentence import S


def driver_class(drivers: Mapping[str, Mapping[str, str]], family: str, kind: str) -> Any:
    """The class for `kind` in `family`. Raises Invalid for a kind the settings do not name."""
    path = drivers.get(family, {}).get(kind)
    if path is None:
        raise Invalid(
            S("There is no %(family)s of kind “%(kind)s” here.", family=family, kind=kind), code="unknown_driver"
        )
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)
