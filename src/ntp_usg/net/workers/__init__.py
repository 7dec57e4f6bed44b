"""The answering worker: a process without privilege that owns the sockets."""
