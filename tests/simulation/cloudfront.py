"""CloudFront as a boto3 client that the simulated handlers call: it knows invalidations by their caller references.

It may have room for few paths a request, or for none during some minutes; it completes an invalidation after some
seconds; and what it has completed may have purged nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from invalidation.cloudfront.distribution import Behavior, Distribution, Origin
from tests.simulation.faults import AT_A_QUESTION, AT_CREATION, Fault

if TYPE_CHECKING:
    from tests.simulation.world import World

CODES: Final = {
    Fault.DENIED: ("AccessDenied", 403),
    Fault.THROTTLED: ("Throttling", 400),
    Fault.NO_ROOM: ("TooManyInvalidationsInProgress", 400),
}
MOST_PATHS: Final = (150, 150, 2, 1)
"""That one request may have, by schedule."""
FULL_SECONDS: Final = (20, 700, 4_000)
COMPLETES_SECONDS: Final = (0, 0, 4, 4, 12)


@cache
def routing_of(distribution: str, beginning: str) -> dict[str, Any]:
    """The frozen document of a distribution that serves the keys that begin so."""
    origin = Origin(id="bucket", domain_name="bucket.s3.amazonaws.com")
    everything = (Behavior("*", ("bucket",)),)
    behaviors = (Behavior(f"/{beginning}*", ("bucket",)), Behavior("*")) if beginning else everything
    return Distribution(distribution, "bucket", origins=(origin,), behaviors=behaviors).to_document()


def serves(document: Mapping[str, Any], key: str) -> bool:
    """What ``routing_of`` has put into the document."""
    return matches(document["behaviors"][0]["pattern"], key)


def matches(path: str, key: str) -> bool:
    """Whether the path, which may be a wildcard, is the key's."""
    return f"/{key}".startswith(path[:-1]) if path.endswith("*") else f"/{key}" == path


@dataclass(frozen=True, slots=True)
class Created:
    """An invalidation, and when it was created: in steps, and in seconds of the clock."""

    id: str
    distribution: str
    batch_id: str
    paths: tuple[str, ...]
    step: int
    at: float
    completes: float
    purges: bool = True


class SimulatedCloudFront:
    """The calls of a boto3 client that sending and polling make."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._most_paths = world.random.choice(MOST_PATHS)
        self._full_until = 0.0
        self._sends_twice = self._most_paths < max(MOST_PATHS)
        """Whether there is a reason to send, and to pay, a path of a batch more than once."""
        self.created: dict[str, Created] = {}
        """By caller reference."""

    def create_invalidation(self, **asked: Any) -> dict[str, Any]:
        distribution, batch = asked["DistributionId"], asked["InvalidationBatch"]
        paths, reference = tuple(batch["Paths"]["Items"]), batch["CallerReference"]
        what = ("create invalidation", reference, *paths)
        return self._asked(what, AT_CREATION, lambda: self._create(distribution, reference, paths))

    def get_invalidation(self, **asked: Any) -> dict[str, Any]:
        found = next(each for each in self.created.values() if each.id == asked["Id"])
        return self._asked(("get invalidation", asked["Id"]), AT_A_QUESTION, lambda: found)

    def _asked(self, what: tuple[str, ...], kinds: tuple[Fault, ...], effect: Callable[[], Created]) -> dict[str, Any]:
        found = self._world.request(what, kinds, partial(self._error, what[0]), effect)
        done = found.completes <= self._world.scheduler.clock
        status = "Completed" if done else "InProgress"
        return {"Invalidation": {"Id": found.id, "Status": status, "CreateTime": self._world.moment(found.at)}}

    def _error(self, operation: str, fault: Fault) -> ClientError:
        self._sends_twice |= fault in (Fault.THROTTLED, Fault.NO_ROOM)
        if fault is Fault.NO_ROOM:
            self._full_until = self._world.scheduler.clock + self._world.random.choice(FULL_SECONDS)
        code, status = CODES.get(fault, ("ServiceUnavailable", 503))
        answer: Any = {"Error": {"Code": code, "Message": fault.value}, "ResponseMetadata": {"HTTPStatusCode": status}}
        return ClientError(answer, operation)

    def _create(self, distribution: str, reference: str, paths: tuple[str, ...]) -> Created:
        known = self.created.get(reference)
        if known is not None:
            if known.paths != paths:
                self._world.observed.broken.append(f"{reference} stood for {known.paths}, and is sent for {paths}")
            return known
        world, clock = self._world, self._world.scheduler.clock
        if clock < self._full_until or len(paths) > self._most_paths:
            raise ClientError({"Error": {"Code": "TooManyInvalidationsInProgress"}}, "CreateInvalidation")
        created = Created(
            id=f"I{len(self.created)}",
            distribution=distribution,
            batch_id=reference.partition(".")[0],
            paths=paths,
            step=world.scheduler.steps,
            at=clock,
            completes=clock + world.random.choice(COMPLETES_SECONDS),
            purges=world.faults.strike((Fault.EDGE_STALE,), weight=4) is None,
        )
        self._sends_twice |= not created.purges
        if not self._sends_twice:
            world.observed.broken += self._paid_twice(created)
        self.created[reference] = created
        world.observe_invalidation(created)
        return created

    def _paid_twice(self, created: Created) -> list[str]:
        before = {
            path
            for each in self.created.values()
            if (each.batch_id, each.distribution) == (created.batch_id, created.distribution)
            for path in each.paths
        }
        where = f"{created.batch_id} at {created.distribution}"
        return [f"{path} of {where} is paid twice without a reason" for path in created.paths if path in before]
