"""Quads to sorted lines, as RDF Dataset Canonicalization 1.0 has them, with texts that are put in afterwards.

What a programme's documents say differs in texts alone. So their quads are made into lines once, in which the texts and the names
of nodes without an address are still open. Such nodes are named by the first step of the algorithm where that tells them
apart, and by pyoxigraph, which does all of it, where it does not.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import pyoxigraph as rdf

MOST_BLANK: Final = 200
"""Nodes without an address."""
MOST_ALIKE: Final = 6
"""Nodes that look alike from where they stand: telling them apart takes time that grows with their permutations."""

_ESCAPED: Final = re.compile(r'["\\\n\r\t]')
_ESCAPES: Final = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
"""Of the characters that are written differently, those that a text may hold here."""

Quad = tuple[Any, rdf.NamedNode, Any, Any]
SlotOf = Callable[[Any], int | None]
"""Which text stands for a term, if one does."""


class TooMuchAlike(ValueError):
    """More nodes that look alike, or more without an address, than can be told apart in bounded time."""


@dataclass(frozen=True, slots=True)
class Lines:
    """A line is a sequence of numbers: of the fixed words, then of the texts, then of the nodes' names."""

    fixed: tuple[str, ...]
    lines: tuple[tuple[int, ...], ...]
    around: tuple[tuple[int, ...], ...]
    """For each node without an address, the lines in which it is."""
    quads: tuple[Quad, ...]
    slot_of: SlotOf

    def ordered(self, texts: Sequence[str]) -> bytes:
        """The lines with these texts, canonical, in UTF-8. Raises TooMuchAlike."""
        if len(self.around) > MOST_BLANK:
            raise TooMuchAlike
        words = [*self.fixed, *map(_escaped, texts)]
        hashes = [self._hash(words, node) for node in range(len(self.around))]
        alike = Counter(hashes)
        if sum(number for number in alike.values() if number > 1) > MOST_ALIKE:
            raise TooMuchAlike
        if len(alike) < len(hashes):
            return _told_apart(self._filled(quad, texts) for quad in self.quads)
        places = {name: place for place, name in enumerate(sorted(hashes))}
        words += [f"_:c14n{places[name]}" for name in hashes]
        return "".join(sorted({"".join([words[word] for word in line]) for line in self.lines})).encode()

    def _hash(self, words: Sequence[str], node: int) -> str:
        """What a node looks like from where it stands: RDFC-1.0, 4.6."""
        named = [*words, *["_:z"] * len(self.around)]
        named[len(words) + node] = "_:a"
        seen = {"".join([named[word] for word in self.lines[line]]) for line in self.around[node]}
        return sha256("".join(sorted(seen)).encode()).hexdigest()

    def _filled(self, quad: Quad, texts: Sequence[str]) -> Quad:
        subject, predicate, value, graph = quad
        return (self._term(subject, texts), predicate, self._term(value, texts), self._term(graph, texts))

    def _term(self, term: Any, texts: Sequence[str]) -> Any:
        slot = self.slot_of(term)
        if slot is None:
            return term
        if isinstance(term, rdf.NamedNode):
            return rdf.NamedNode(texts[slot])
        if term.language:
            return rdf.Literal(texts[slot], language=term.language)
        return rdf.Literal(texts[slot], datatype=term.datatype)


def lines(quads: Iterable[Quad], texts: int, slot_of: SlotOf) -> Lines:
    """The lines of quads in which so many texts are still to be put."""
    kept = tuple(quads)
    blanks = {blank: number for number, blank in enumerate(dict.fromkeys(_blanks(kept)))}
    written = [list(_words(quad, blanks, texts, slot_of)) for quad in kept]
    fixed = {
        word: number
        for number, word in enumerate({word: None for words in written for word in words if isinstance(word, str)})
    }
    numbered = tuple(
        tuple(fixed[word] if isinstance(word, str) else len(fixed) + word for word in words) for words in written
    )
    around = tuple(tuple(number for number, quad in enumerate(kept) if blank in quad) for blank in blanks)
    return Lines(tuple(fixed), numbered, around, kept, slot_of)


def _blanks(quads: Iterable[Quad]) -> Iterator[rdf.BlankNode]:
    return (term for quad in quads for term in quad if isinstance(term, rdf.BlankNode))


def _words(quad: Quad, blanks: Mapping[Any, int], texts: int, slot_of: SlotOf) -> Iterator[str | int]:
    """The words of a line: fixed ones as they are, texts and then nodes by their numbers."""
    for term in quad:
        if isinstance(term, rdf.DefaultGraph):
            continue
        if isinstance(term, rdf.BlankNode):
            yield texts + blanks[term]
            yield " "
        elif (slot := slot_of(term)) is not None:
            before, after = str(term).split(term.value)
            yield before
            yield slot
            yield f"{after} "
        else:
            yield f"{term} "
    yield ".\n"


def _told_apart(quads: Iterable[Quad]) -> bytes:
    dataset = rdf.Dataset(rdf.Quad(*quad) for quad in quads)
    dataset.canonicalize(rdf.CanonicalizationAlgorithm.RDFC_1_0)
    return "".join(sorted(f"{quad} .\n" for quad in dataset)).encode()


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES) if _ESCAPED.search(text) else text
