"""Kind `gerrit`: repositories on a Gerrit server, read over REST and fetched over HTTP; its events come over SSH."""

from .config import GerritConfig
from .source import GerritSource

__all__ = ["GerritConfig", "GerritSource"]
