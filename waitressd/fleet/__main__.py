"""The master's own program: ``__main__.py DESCRIPTOR -- COMMAND``, executed by the process that it takes the place of.

The words of the command are there to be read in a list of processes.
"""

import gc
import sys
from pathlib import Path

# As a script it has found its own folder first, whose modules nobody means; the package may be found by nobody.
sys.path[0] = str(Path(__file__).parents[2])

gc.disable()  # nothing of what is imported is garbage, and others wait for it

from waitressd.fleet.handover import take_over  # noqa: E402 - see above
from waitressd.fleet.master import lead_from  # noqa: E402 - see above

gc.enable()
sys.exit(lead_from(take_over(int(sys.argv[1]))))
