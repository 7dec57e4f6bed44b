"""Everything that decides, and nothing that talks: no I/O; `now`, randomness and the clock are arguments."""
