"""A world to test and show the house in: a receiver that writes real bytes."""
