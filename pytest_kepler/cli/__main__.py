"""``python -m pytest_kepler.cli`` is the command `kepler`."""

import sys

from pytest_kepler.cli import main

sys.exit(main())
