"""Progress of a client: series, change, certainty, and the picture of it."""
