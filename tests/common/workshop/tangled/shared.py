"""What both need, and what needs both."""

from __future__ import annotations

from tests.common.workshop.duties import note as note

from .left import LEFT as LEFT
from .right import RIGHT as RIGHT

READY = True
