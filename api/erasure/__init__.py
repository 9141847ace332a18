"""Erasing a client for good, and the certificate that says so."""
