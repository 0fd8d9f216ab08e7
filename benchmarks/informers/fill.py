"""`python -m benchmarks.informers.fill <url>`: connect a cluster that is this API server."""

from __future__ import annotations

import sys

import django

django.setup()

from tests.clusters.informers.ground import connect  # noqa: E402 - the models need the settings

if __name__ == "__main__":
    connect(sys.argv[1])
