"""Addresses at which people reach a service. One of them stands in every document that is signed, for ever."""

from urllib.parse import urlsplit


def address_flaw(address: str) -> str | None:
    """What is wrong with the start of a service's addresses, as the end of a sentence; None if nothing is."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return "is no address: its port must be one number, behind the host"
    strange = set(address) & set('"<>,\\') or "//" in parts.path or parts.netloc.endswith(":")
    if parts.scheme not in {"http", "https"} or not parts.hostname or strange or any(map(str.isspace, address)):
        return "is no address: give the whole of it, such as https://skills.example.org"
    if ":" in parts.path:  # a port that was put behind a path
        return "is no address: its port must be one number, behind the host"
    if port == 0 or parts.username is not None or "?" in address or "#" in address:
        return "must be a host, perhaps a port, and perhaps a path, and nothing else"
    return None
