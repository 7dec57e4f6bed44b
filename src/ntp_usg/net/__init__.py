"""UDP endpoints with kernel timestamps, and the processes that answer on them."""
