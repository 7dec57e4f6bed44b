"""The vocabulary of the house: instants, samples, snapshots, actions, verdicts, ports, errors."""
