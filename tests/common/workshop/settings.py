"""The portal's settings with one test app and its engine instead of the real ones."""

from __future__ import annotations

import json
import os

from fangduoduo_release.common.watch import Duty
from fangduoduo_release.settings import *  # noqa: F403
from fangduoduo_release.settings import INSTALLED_APPS, LOGGING

INSTALLED_APPS = [*INSTALLED_APPS, "tests.common.workshop"]
ENGINES = ["tests.common.workshop.engine.JobEngine", "tests.common.workshop.engine.LetterEngine"]
WORKER_COMPANIONS = json.loads(os.environ.get("SHOP_COMPANIONS", "{}"))
DUTIES = [Duty(**duty) for duty in json.loads(os.environ.get("SHOP_DUTIES", "[]"))]
LOGGING["root"]["level"] = "INFO"
