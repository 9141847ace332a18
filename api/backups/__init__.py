"""Backups that an erasure reaches, their restoration, and the proof that what was restored is what was there."""
