"""Receiver bytes -> what the receiver says of time and of itself."""
