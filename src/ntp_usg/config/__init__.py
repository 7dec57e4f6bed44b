"""Configuration files -> frozen settings, with every problem listed at once."""
