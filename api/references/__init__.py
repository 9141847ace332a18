"""References: what the course of a client is held against, fitted by an organisation or taken in by it."""
