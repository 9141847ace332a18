"""Responses: completed forms, their scores and alerts."""
