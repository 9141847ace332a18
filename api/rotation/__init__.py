"""Moving everything that lies under one master key to another, while the service runs."""
