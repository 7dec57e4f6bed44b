"""Snapshots and verdicts -> metrics and the HTTP API."""
