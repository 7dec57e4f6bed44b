"""Reference clock drivers, one a file. They observe; the engine decides."""
