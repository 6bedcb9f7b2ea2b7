"""Who reads which partition."""

from hypothesis import given
from hypothesis import strategies as st

from predictq.brokers.kafka.driver import Place
from predictq.brokers.kafka.sharing import Claim, shared_out

TOPICS = {"requests": 4, "bulk": 2, "retries": 3}
EVERYTHING = {Place(topic, i) for topic, count in TOPICS.items() for i in range(count)}

holdings = st.dictionaries(st.sampled_from(sorted(EVERYTHING)), st.sampled_from(["a", "b", "c", "gone"]))
members = st.sets(st.sampled_from(["a", "b", "c", "d"]), min_size=1)


def claims(names: set[str], held: dict[Place, str]) -> dict[str, Claim]:
    return {
        name: Claim(frozenset(TOPICS), frozenset(place for place, owner in held.items() if owner == name))
        for name in names
    }


@given(names=members, held=holdings)
def test_nobody_gets_what_another_still_holds(names: set[str], held: dict[Place, str]) -> None:
    before = claims(names, held)
    for name, places in shared_out(before, TOPICS).items():
        for other, claim in before.items():
            assert other == name or not claim.holds & set(places)


@given(names=members, held=holdings)
def test_after_two_rounds_every_topic_is_shared_out_evenly_and_stays_so(
    names: set[str], held: dict[Place, str]
) -> None:
    claim = claims(names, held)
    for _ in range(2):
        shares = shared_out(claim, TOPICS)
        claim = {name: Claim(frozenset(TOPICS), frozenset(places)) for name, places in shares.items()}
    assert sorted(place for places in shares.values() for place in places) == sorted(EVERYTHING)
    for topic in TOPICS:
        counts = [sum(place.topic == topic for place in places) for places in shares.values()]
        assert max(counts) - min(counts) <= 1
    assert {name: set(places) for name, places in shared_out(claim, TOPICS).items()} == {
        name: set(places) for name, places in shares.items()
    }


def test_what_two_claim_at_once_is_nobodys_until_they_have_let_go() -> None:
    both = Claim(frozenset({"requests"}), frozenset({Place("requests", 0)}))
    shares = shared_out({"a": both, "b": both}, {"requests": 2})
    assert Place("requests", 0) not in {place for places in shares.values() for place in places}


def test_a_member_keeps_what_it_has_up_to_its_share() -> None:
    everything = frozenset(Place("requests", i) for i in range(4))
    alone, newcomer = Claim(frozenset({"requests"}), everything), Claim(frozenset({"requests"}), frozenset())
    shares = shared_out({"old": alone, "new": newcomer}, {"requests": 4})
    assert shares == {"old": [Place("requests", 0), Place("requests", 1)], "new": []}
