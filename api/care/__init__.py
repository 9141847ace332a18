"""Courses of therapy: episodes, and the sessions held in them."""
