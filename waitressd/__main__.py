"""Run the command: ``python -m waitressd``."""

import sys

from waitressd.entry import main

sys.exit(main())
