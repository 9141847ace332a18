"""Who is asking (tokens, principals), and what is kept from everybody else (encryption of identifiers)."""
