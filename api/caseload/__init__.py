"""A clinician's clients, those who need attention first."""
