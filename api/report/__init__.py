"""What a clinician reads before a session: two pages at most about one client."""
