"""The random schedules find each mistake in the protocol."""

import pytest

from invalidation.batches import close as closing
from invalidation.batches import targets as resolving
from tests.simulation.machine import Protocol
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.schedules import calm, stormy

MOST_SCHEDULES = 4_000


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_mistake_is_found(monkeypatch: pytest.MonkeyPatch, mutant: Mutant) -> None:
    monkeypatch.setattr(*mutant.where, mutant.instead)
    protocol = Protocol(close=closing.close, freeze_targets=resolving.freeze_targets)

    def broken(seed: int) -> list[str]:
        return (calm(seed, protocol) if mutant.calm else stormy(seed, protocol, among=mutant.among)).broken

    found = next((seed for seed in range(MOST_SCHEDULES) if broken(seed)), None)
    assert found is not None, f"{MOST_SCHEDULES} schedules let it live: {mutant}"
