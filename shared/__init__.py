"""What the three services share: the contract between them, the bus, the outbox, the registry of offices."""
