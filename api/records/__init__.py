"""What the service writes about its own doings: the audit trail and the outbox."""
