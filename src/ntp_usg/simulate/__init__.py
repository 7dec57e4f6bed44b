"""Worlds to test and show the house in: a receiver that writes real bytes, and whole networks in virtual time."""
