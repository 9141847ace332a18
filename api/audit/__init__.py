"""The audit trail: sealed into a chain of hashes, searched, and verified."""
