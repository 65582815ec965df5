"""The tree gives the RFC's own hashes and proofs, and no proof of what is not so."""

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import merkle
from shared.merkle import EMPTY, Node, covering, extends, grown, includes, leaf_hash, node_hash, root_of

LEAVES = [
    bytes.fromhex(one)
    for one in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
"""The leaves of the vectors that Certificate Transparency's implementations share, and the roots of their first 1, 2, ... 8."""
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSIONS = [
    # (place, size, proof) from the same vectors
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
CONSISTENCIES = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]


def naive_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = _below(len(leaves))
    return node_hash(naive_root(leaves[:split]), naive_root(leaves[split:]))


def naive_inclusion(place: int, leaves: Sequence[bytes]) -> list[bytes]:
    """RFC 6962, 2.1.1."""
    if len(leaves) == 1:
        return []
    split = _below(len(leaves))
    if place < split:
        return [*naive_inclusion(place, leaves[:split]), naive_root(leaves[split:])]
    return [*naive_inclusion(place - split, leaves[split:]), naive_root(leaves[:split])]


def naive_consistency(first: int, leaves: Sequence[bytes], whole: bool = True) -> list[bytes]:
    """RFC 6962, 2.1.2."""
    if first == len(leaves):
        return [] if whole else [naive_root(leaves)]
    split = _below(len(leaves))
    if first <= split:
        return [*naive_consistency(first, leaves[:split], whole), naive_root(leaves[split:])]
    return [*naive_consistency(first - split, leaves[split:], False), naive_root(leaves[:split])]


def _below(length: int) -> int:
    split = 1
    while split * 2 < length:
        split *= 2
    return split


def tree(leaves: Sequence[bytes], portions: Sequence[int] = ()) -> dict[Node, bytes]:
    """All nodes, grown by portions of these lengths and then by the rest."""
    nodes: dict[Node, bytes] = {}
    size = 0
    for portion in (*portions, len(leaves)):
        more = leaves[size : size + portion]
        edge = {node: nodes[node] for node in covering(0, size)}
        nodes |= grown(size, edge, more)
        size += len(more)
    return nodes


def hashes(count: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(count)]


def test_the_roots_of_the_vectors() -> None:
    assert EMPTY.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    nodes = tree([leaf_hash(leaf) for leaf in LEAVES])
    assert [root_of(size, nodes).hex() for size in range(1, 9)] == ROOTS


@pytest.mark.parametrize(("place", "size", "expected"), INCLUSIONS)
def test_the_inclusion_proofs_of_the_vectors(place: int, size: int, expected: list[str]) -> None:
    nodes = tree([leaf_hash(leaf) for leaf in LEAVES])
    proof = merkle.proof(merkle.inclusion(place, size), nodes)
    assert [one.hex() for one in proof] == expected
    assert includes(bytes.fromhex(ROOTS[size - 1]), size, place, leaf_hash(LEAVES[place]), proof)


@pytest.mark.parametrize(("first", "second", "expected"), CONSISTENCIES)
def test_the_consistency_proofs_of_the_vectors(first: int, second: int, expected: list[str]) -> None:
    nodes = tree([leaf_hash(leaf) for leaf in LEAVES])
    proof = merkle.proof(merkle.consistency(first, second), nodes)
    assert [one.hex() for one in proof] == expected
    roots = [bytes.fromhex(ROOTS[size - 1]) for size in (first, second)]
    assert extends(first, roots[0], second, roots[1], proof)


@given(st.integers(0, 130), st.lists(st.integers(0, 40), max_size=5))
def test_a_tree_grown_by_portions_is_the_tree_grown_at_once(size: int, portions: list[int]) -> None:
    leaves = hashes(size)
    nodes = tree(leaves, portions)
    assert nodes == tree(leaves)
    assert root_of(size, nodes) == naive_root(leaves)


@given(st.integers(1, 130), st.data())
def test_every_leaf_is_proved_and_at_no_other_place(size: int, data: st.DataObject) -> None:
    leaves = hashes(size)
    place = data.draw(st.integers(0, size - 1))
    path = merkle.inclusion(place, size)
    proof = merkle.proof(path, tree(leaves))
    assert proof == naive_inclusion(place, leaves)
    assert len({node for part in path for node in part}) <= 2 * size.bit_length()
    root = naive_root(leaves)
    assert includes(root, size, place, leaves[place], proof)
    other = data.draw(st.integers(0, size - 1))
    assert includes(root, size, other, leaves[place], proof) == (other == place)
    assert not includes(root, size, place, leaf_hash(b"another"), proof)


@given(st.integers(0, 130), st.data())
def test_every_older_tree_is_proved_to_be_the_beginning(size: int, data: st.DataObject) -> None:
    leaves = hashes(size)
    first = data.draw(st.integers(0, size))
    path = merkle.consistency(first, size)
    proof = merkle.proof(path, tree(leaves))
    if first:
        assert proof == naive_consistency(first, leaves)
    assert len({node for part in path for node in part}) <= 2 * size.bit_length() + 1
    assert extends(first, naive_root(leaves[:first]), size, naive_root(leaves), proof)


@given(st.integers(1, 60), st.data())
def test_no_proof_joins_a_tree_to_one_with_another_beginning(size: int, data: st.DataObject) -> None:
    leaves = hashes(size)
    first = data.draw(st.integers(1, size))
    changed = data.draw(st.integers(0, first - 1))
    forked = [*leaves[:changed], leaf_hash(b"another"), *leaves[changed + 1 :]]
    for proof in (naive_consistency(first, leaves), naive_consistency(first, forked)):
        assert not extends(first, naive_root(leaves[:first]), size, naive_root(forked), proof)


@given(st.integers(1, 40), st.integers(0, 50), st.lists(st.binary(min_size=0, max_size=33), max_size=70), st.data())
def test_whatever_else_is_given_for_a_proof_proves_nothing(
    size: int, place: int, junk: list[bytes], data: st.DataObject
) -> None:
    leaves = hashes(size)
    root = naive_root(leaves)
    assert not includes(root, size, place, leaf_hash(b"another"), junk)
    first = data.draw(st.integers(1, size))
    assert not extends(first, naive_root([*leaves[: first - 1], leaf_hash(b"another")]), size, root, junk)


def test_sizes_that_cannot_be_have_no_proof() -> None:
    with pytest.raises(ValueError, match="not in a tree"):
        merkle.inclusion(3, 3)
    with pytest.raises(ValueError, match="not before"):
        merkle.consistency(4, 3)
