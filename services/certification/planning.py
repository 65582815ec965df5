"""What is to be done so that what is public of awards is what should be: decided here, done in ``attestations``. No I/O."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from services.certification.standings import Standing, standing, standing_edition, wanted
from shared.events.certification import CertificateFact

Row = Mapping[str, Any]
"""Of an attestation, or of a draft: its columns."""
Describe = Callable[[CertificateFact], bytes]
"""The digest of what a certificate's document says but the name."""
CLOSED: Final = b""
"""In the place of the name's digest: the holder is forgotten, and the document can be opened and signed no more."""
Complete = Callable[[CertificateFact], bool]
"""Whether a certificate has all that it needs in order to be attested to."""


class Wish(NamedTuple):
    """A document to be signed. ``public`` when another one is served meanwhile."""

    fact: CertificateFact
    public_id: str
    list: int
    place: int
    content: bytes
    public: bool


@dataclass(slots=True)
class Award:
    """The editions of one award, and whether any was decided anew."""

    editions: list[CertificateFact] = field(default_factory=list)
    due: bool = False


@dataclass(slots=True)
class Plan:
    """Begun with what there is of some certificates: attestations and drafts by certificate, and the keys that are given up."""

    rows: Mapping[str, Row]
    drafts: Mapping[str, Row]
    given_up: Set[int]
    describe: Describe
    complete: Complete
    issue: list[tuple[Row, Standing]] = field(default_factory=list)
    """Becomes public with its confirmed draft."""
    change: list[tuple[Row, Standing]] = field(default_factory=list)
    """Is public, and changes its standing."""
    anew: list[Row] = field(default_factory=list)
    """Is public, and its confirmed draft takes the place of its document."""
    prepare: list[tuple[CertificateFact, bytes]] = field(default_factory=list)
    withdraw: list[str] = field(default_factory=list)
    """Was prepared and is not to be public any more."""
    sign: list[Wish] = field(default_factory=list)
    confirm: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    """Nothing is left to do for these."""

    def add(self, award: Award) -> None:
        """Plan for one award."""
        contents = {fact.certificate: self.describe(fact) for fact in award.editions}
        public = {key for key in contents if key in self.rows and self.rows[key]["status"] != "prepared"}
        current = {key for key, content in contents.items() if self._is_current(key, content)}
        ready = {key for key in current if self.drafts[key]["confirmed"]}
        forgotten = any(self.rows[key]["holder"] == CLOSED for key in public)
        targets = wanted(award.editions, public, ready, forgotten=forgotten)
        last = standing_edition(award.editions)
        left = False
        for fact in award.editions:
            key, target = fact.certificate, targets.get(fact.certificate)
            if key in public:
                assert target is not None
                wants_document = self._public(self.rows[key], target, contents[key])
            else:
                may_come = fact is last and not forgotten
                wants_document = self._unheard_of(fact, contents[key], may_come=may_come, decided_anew=award.due)
            if not wants_document:
                continue
            if key in ready and target is not None:
                if key in public:
                    self.anew.append(self.rows[key])
                else:
                    self.issue.append((self.rows[key], target))
                continue
            left = True
            if key in ready or key not in self.rows:
                continue  # waits for its award, or is only being prepared
            if key in current:
                self.confirm.append(key)
            else:
                row = self.rows[key]
                wish = Wish(fact, row["public_id"], row["list"], row["place"], contents[key], key in public)
                self.sign.append(wish)
        if award.due and not left:
            self.done += contents

    def _public(self, row: Row, target: Standing, content: bytes) -> bool:
        if (row["status"], row["since"]) != target:
            self.change.append((row, target))
        if row["holder"] == CLOSED:
            return False
        stands = row["content"] == content and row["holder"] is not None and row["key"] not in self.given_up
        return target.status != "void" and not stands

    def _unheard_of(self, fact: CertificateFact, content: bytes, *, may_come: bool, decided_anew: bool) -> bool:
        there, decided = fact.certificate in self.rows, standing(fact).status
        if may_come and decided == "valid" and self.complete(fact):
            if not there and not decided_anew:
                return False  # its holder was forgotten before anything of it was public
            if not there:
                self.prepare.append((fact, content))
            return True
        if there and not (may_come and decided == "suspended"):
            self.withdraw.append(fact.certificate)
        return False

    def _is_current(self, key: str, content: bytes) -> bool:
        draft = self.drafts.get(key)
        return draft is not None and draft["content"] == content and draft["key"] not in self.given_up
