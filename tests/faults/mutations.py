"""Bytes near good ones."""

from hypothesis import strategies as st


def mutated(body: bytes) -> st.SearchStrategy[bytes]:
    """The same with some bytes changed, put in or left out."""
    places = st.integers(0, len(body) - 1)
    cuts = st.tuples(places, st.integers(0, 8), st.binary(max_size=4))

    def apply(changes: list[tuple[int, int, bytes]]) -> bytes:
        made = body
        for start, length, new in changes:
            made = made[:start] + new + made[start + length :]
        return made

    return st.lists(cuts, min_size=1, max_size=4).map(apply)
