"""Each peer does the whole job on a small data set, and the judge finds no row that differs."""

import pytest

from bench.dataset import data_set
from bench.judge import judge, recomputed
from bench.peers import PEERS, Peer
from tests.servers import PostgresForTests

EVENTS = 1500


@pytest.mark.long
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
async def test_a_peer_holds_what_the_judge_recomputes(peer: Peer, postgres: PostgresForTests) -> None:
    if why := peer.missing():
        pytest.skip(why)
    arrived = [one.body for one in data_set(EVENTS).arrivals]
    must = recomputed(arrived)
    assert must.certificates
    database = postgres.create_database()
    try:
        _, held = await peer.run(postgres.url("postgres", database).replace("+asyncpg", ""), arrived)
    finally:
        postgres.drop_database(database)
    assert judge(must, held).differing == []


def test_a_peer_that_is_not_there_says_what_to_install() -> None:
    absent = Peer("another", "bench.peers.another", ("no_such_package",))
    assert absent.missing() == "another: not installed; make bench installs it."
    program = Peer("another", "bench.peers.another", ("json",), "no-such-program")
    assert program.missing() == "another: no-such-program is not there (Debian, Ubuntu: apt install no-such-program)."
