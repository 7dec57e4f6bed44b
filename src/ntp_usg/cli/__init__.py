"""The commands, one a file."""

import os

# A command is a program of its own, and none computes what numpy would keep a thread a core for.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
