"""Bulk import of responses: a file is taken in parts, then checked, scored and written by a job."""
