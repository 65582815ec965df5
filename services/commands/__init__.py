"""What `sampan` does, a room for each kind of work; `services.cli` puts them together."""
