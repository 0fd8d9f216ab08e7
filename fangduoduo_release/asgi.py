"""The web process: pages and API (Django), wake-ups (Channels), data streams and git (plain ASGI) side by side."""

from __future__ import annotations

import os
from importlib import import_module

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fangduoduo_release.settings")
application = get_asgi_application()
import_module("fangduoduo_release.checks").refuse_unsafe(pages=True)
