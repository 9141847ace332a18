"""The catalogue: instruments as they are defined, and scoring without keeping anything."""
