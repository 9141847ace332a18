"""An organisation's own instruments: drafts, what was published of them, and what was retired."""
