"""A Merkle tree over a list that only grows: hashes, proofs and what they prove, as RFC 6962 and RFC 9162 (2.1) define them.

A `Node` is a perfect part of the tree, complete whatever comes after it, so it is hashed once and kept: (level, place) covers the
leaves from place * 2^level, 2^level of them; level 0 is the leaves' own hashes. What a proof needs is named as nodes first, a few
for each doubling of the tree, so that whoever keeps them reads just those. No I/O here.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from hmac import compare_digest
from typing import Final, NamedTuple

HASH_BYTES: Final = 32
EMPTY: Final = sha256(b"").digest()
"""The root of a tree without leaves."""
LONGEST_PROOF: Final = 64
"""Hashes in a proof: more than any tree that fits its own sizes has levels."""


class Node(NamedTuple):
    """A perfect part of the tree."""

    level: int
    place: int


Path = tuple[tuple[Node, ...], ...]
"""A proof before it is read: each of its hashes is the hash over these neighbouring nodes."""


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf's content."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash over two neighbours."""
    return sha256(b"\x01" + left + right).digest()


# ---- growing


def covering(start: int, end: int) -> tuple[Node, ...]:
    """The fewest nodes that cover the leaves from start up to end, from left to right.

    Right for the ranges that proofs ask for: those that begin where a node of at least their own length may begin.
    """
    nodes = []
    while start < end:
        level = (end - start).bit_length() - 1
        nodes.append(Node(level, start >> level))
        start += 1 << level
    return tuple(nodes)


def grown(size: int, edge: Mapping[Node, bytes], leaves: Sequence[bytes]) -> dict[Node, bytes]:
    """The nodes that become complete when leaves (their hashes) are put behind ``size`` others.

    ``edge`` must hold the nodes of ``covering(0, size)``: nothing else of the old tree is asked for.
    """
    made: dict[Node, bytes] = {Node(0, size + place): leaf for place, leaf in enumerate(leaves)}
    start, end, level = size, size + len(leaves), 0
    while end >> (level + 1) > start >> (level + 1):
        for index in range(start >> (level + 1), end >> (level + 1)):
            left, right = Node(level, 2 * index), Node(level, 2 * index + 1)
            made[Node(level + 1, index)] = node_hash(made[left] if left in made else edge[left], made[right])
        level += 1
    return made


def joined(hashes: Iterable[bytes]) -> bytes:
    """The hash over neighbouring nodes that ``covering`` names."""
    *rest, last = hashes
    for left in reversed(rest):
        last = node_hash(left, last)
    return last


def root_of(size: int, nodes: Mapping[Node, bytes]) -> bytes:
    """The root of the tree of the first ``size`` leaves; ``nodes`` must hold those of ``covering(0, size)``."""
    return joined(nodes[node] for node in covering(0, size)) if size else EMPTY


# ---- proofs


def inclusion(index: int, size: int) -> Path:
    """What proves that a leaf is in the tree of the first ``size`` leaves. Raises ValueError when it is not in there."""
    if not 0 <= index < size:
        raise ValueError("the leaf is not in a tree of this size")
    path: list[tuple[Node, ...]] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(covering(middle, end))
            end = middle
        else:
            path.append(covering(start, middle))
            start = middle
    return tuple(reversed(path))


def consistency(first: int, second: int) -> Path:
    """What proves that the tree of ``second`` leaves begins with that of ``first``. Raises ValueError for sizes out of order."""
    if not 0 <= first <= second:
        raise ValueError("the first size is not before the second")
    if first in (0, second):
        return ()
    path: list[tuple[Node, ...]] = []
    start, end, whole = 0, second, True
    while first != end:
        middle = start + _split(end - start)
        if first <= middle:
            path.append(covering(middle, end))
            end = middle
        else:
            path.append(covering(start, middle))
            start, whole = middle, False
    if not whole:  # else it is the first tree itself, whose root the asker has
        path.append(covering(start, end))
    return tuple(reversed(path))


def proof(path: Path, nodes: Mapping[Node, bytes]) -> list[bytes]:
    """A proof's hashes; ``nodes`` must hold every node of the path."""
    return [joined(nodes[node] for node in part) for part in path]


def _split(length: int) -> int:
    """The largest power of two below a length of at least two."""
    return 1 << ((length - 1).bit_length() - 1)


# ---- what a proof proves


def includes(root: bytes, size: int, index: int, leaf: bytes, hashes: Sequence[bytes]) -> bool:
    """Whether a leaf (its hash) is at this place of the tree with this root: RFC 9162, 2.1.3.2."""
    if not 0 <= index < size or not _well_formed(hashes):
        return False
    place, last, found = index, size - 1, leaf
    for one in hashes:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(one, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, one)
        place, last = place >> 1, last >> 1
    return last == 0 and compare_digest(found, root)


def extends(first: int, first_root: bytes, second: int, second_root: bytes, hashes: Sequence[bytes]) -> bool:
    """Whether the second tree begins with the first one, unchanged: RFC 9162, 2.1.4.2."""
    if not 0 <= first <= second or not _well_formed(hashes):
        return False
    if first == second:
        return not hashes and compare_digest(first_root, second_root)
    if first == 0:
        return not hashes and compare_digest(first_root, EMPTY)
    whole = first & (first - 1) == 0
    chain = [first_root, *hashes] if whole else list(hashes)
    if not chain:
        return False
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = chain[0]
    for one in chain[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old, new = node_hash(one, old), node_hash(one, new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, one)
        place, last = place >> 1, last >> 1
    return last == 0 and compare_digest(old, first_root) and compare_digest(new, second_root)


def _well_formed(hashes: Sequence[bytes]) -> bool:
    return len(hashes) <= LONGEST_PROOF and all(len(one) == HASH_BYTES for one in hashes)
