"""Work between sessions: what was agreed on, what became of it, and how much of it was done."""
