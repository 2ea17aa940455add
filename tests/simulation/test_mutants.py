"""The random schedules find each mistake in the protocol, by the invariant that is meant to find it."""

import pytest

from invalidation.batches import close as closing
from invalidation.batches import targets as resolving
from tests.simulation.machine import Protocol
from tests.simulation.mutants import MUTANTS, Mutant

MOST_SCHEDULES = 4_000


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_mistake_is_found(monkeypatch: pytest.MonkeyPatch, mutant: Mutant) -> None:
    monkeypatch.setattr(*mutant.where, mutant.instead)
    protocol = Protocol(close=closing.close, freeze_targets=resolving.freeze_targets, claim=resolving.claim)
    found = next((seed for seed in range(MOST_SCHEDULES) if mutant.found_in(seed, protocol)), None)
    assert found is not None, f"{MOST_SCHEDULES} schedules let it live: {mutant}"
