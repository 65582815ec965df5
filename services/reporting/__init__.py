"""Reporting: hears what the other services hold to be true, and counts it."""
