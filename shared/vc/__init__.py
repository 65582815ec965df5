"""Credentials that strangers check: Open Badges 3.0 as W3C Verifiable Credentials 2.0, signed with Ed25519, nothing fetched."""
