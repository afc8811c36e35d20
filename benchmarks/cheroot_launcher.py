"""cheroot by TLS has no command: `python -m benchmarks.cheroot_launcher PORT THREADS CERTIFICATE KEY MODULE:NAME`."""

import importlib
import sys

if __name__ == "__main__":
    # By their names: whoever checks this file need not have cheroot.
    wsgi, tls = importlib.import_module("cheroot.wsgi"), importlib.import_module("cheroot.ssl.builtin")
    module, _, name = sys.argv[5].partition(":")
    application = getattr(importlib.import_module(module), name)
    server = wsgi.Server(("127.0.0.1", int(sys.argv[1])), application, numthreads=int(sys.argv[2]))
    server.ssl_adapter = tls.BuiltinSSLAdapter(sys.argv[3], sys.argv[4])
    server.start()
