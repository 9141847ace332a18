"""The web service: the only part that knows HTTP and the database."""
