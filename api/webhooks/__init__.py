"""Webhooks: endpoints of an organisation, and the delivery of the outbox to them by Standard Webhooks."""
