"""`python -m projects.trigger …`: the trigger without Django, for a host that has nothing else of the portal."""

from __future__ import annotations

import argparse
import logging
import sys

from .command import HELP, add_arguments, run

parser = argparse.ArgumentParser(prog="teamcode_trigger", description=HELP)
add_arguments(parser)
given = vars(parser.parse_args())
logging.basicConfig(level=logging.INFO, format="%(levelname).1s %(message)s", stream=sys.stderr)
sys.exit(run(given))
