"""One file a mode of association; each a small state machine without a clock or a socket."""
