"""Alerts: an organisation's own thresholds and guidance, who waits for whom, and who acknowledged what."""
