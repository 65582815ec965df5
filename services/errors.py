"""What the command says when something cannot be done, in the place of a traceback."""


class ClientError(Exception):
    """What went wrong, and what to do next, in plain words."""
