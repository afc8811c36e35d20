"""Starts bjoern, which has no command: `python -m benchmarks.bjoern_launcher PORT MODULE:NAME [WORKERS]`.

Nor has it worker processes: each is one with a listener of its own at the same port (SO_REUSEPORT).
"""

import importlib
import os
import sys

import bjoern

if __name__ == "__main__":
    module, name = sys.argv[2].split(":")
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    for _ in range(count - 1):
        if not os.fork():
            break
    bjoern.run(getattr(importlib.import_module(module), name), "127.0.0.1", int(sys.argv[1]), reuse_port=count > 1)
