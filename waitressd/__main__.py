"""Run the command: ``python -m waitressd``."""

import sys

from waitressd.cli import main

sys.exit(main())
