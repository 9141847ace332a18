"""A synthetic clinic for trying things out: everybody in it is invented, and the same every time."""
