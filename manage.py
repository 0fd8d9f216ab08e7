#!/usr/bin/env python
"""Django's command line for fangduoduo_release."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fangduoduo_release.settings")
    if sys.argv[1:2] in (["worker"], ["watch"]):  # decides how connections are held and what is loaded
        os.environ.setdefault("FDD_PROCESS", sys.argv[1])
    elif sys.argv[1:2] == ["teamcode_trigger"]:  # needs nothing of the portal's
        os.environ["FDD_PROCESS"] = "trigger"
    execute_from_command_line(sys.argv)
