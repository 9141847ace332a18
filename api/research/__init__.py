"""Research output: aggregates over a fixed lattice, with small cells suppressed."""
