"""Alembic migrations, run under the role that owns the tables."""
