"""The portal's settings with one more app and only its engine; FDD_BENCH_RAW=1 takes the broker back to plain django-q2."""

from __future__ import annotations

import os

from fangduoduo_release.settings import *  # noqa: F403
from fangduoduo_release.settings import INSTALLED_APPS, Q_CLUSTER

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.durable"]
ENGINES = ["benchmarks.durable.engine.CountEngine"]
if os.environ.get("FDD_BENCH_RAW"):
    Q_CLUSTER = {name: value for name, value in Q_CLUSTER.items() if name != "broker_class"} | {"poll": 0.2}
