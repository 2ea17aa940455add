"""A person gives up what is parked, while another one retries it: either of them wins, and nothing else is given up."""

from __future__ import annotations

from datetime import timedelta

from invalidation.batches.model import Batch, Clock, Outcome, to_text
from invalidation.batches.table import BatchTable
from tests.simulation.faults import Fault
from tests.simulation.schedules import given_up

SCHEDULES = 800
FAULTS = (Fault.DENIED,)
"""What parks a batch: other faults only make that rarer."""


def test_either_of_them_wins_and_only_what_was_given_up_stays_uncovered() -> None:
    abandoned = retried = 0
    for seed in range(SCHEDULES):
        outcome = given_up(seed, among=FAULTS)
        outcome.check()
        abandoned += outcome.abandoned
        retried += outcome.parked - outcome.abandoned
    assert min(abandoned, retried) > 10


def abandon_whatever_comes(table: BatchTable, batch_id: str, reason: str, now: Clock, retention: timedelta) -> Batch:
    del reason, retention
    ending = {"state": "ENDED", "outcome": Outcome.ABANDONED.value, "finished": to_text(now()), "unfinished": None}
    table.update(Batch.key_of(batch_id), ending, {})
    return Batch.read(table, batch_id)


def test_giving_up_without_looking_who_has_claimed_it_is_found_out() -> None:
    broken = (given_up(seed, abandon_whatever_comes, among=FAULTS).broken for seed in range(SCHEDULES))
    assert any("had been given up, and is invalidated" in what for found in broken for what in found)
