"""The XDP fast path: plain requests are answered in the network driver, all others as if it were not there."""
