"""Messages and pulses in, clock commands and snapshots out; the only writer of system state."""
