"""Progress: the requests that send a list of paths, and how far their invalidations are.

Both published quotas are respected (``limits``): a request has at most 150 paths and few wildcards. What CloudFront
refuses twice goes out in requests of half the size, down to one wildcard, since a rate without a burst would refuse
anything larger for ever. What has been accepted is known by its range in the list, so that it is never sent again,
whatever the size of a request.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Self

from invalidation.cloudfront.limits import MAX_PATHS_A_REQUEST, MAX_WILDCARDS_A_REQUEST
from invalidation.cloudfront.rules import Status
from invalidation.errors import InvalidationTimedOut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from invalidation.cloudfront.client import CloudFront

POLL_SECONDS = (5, 5, 10, 20, 30, 30, 30, 60, 60, 60, 120)
"""Waits between polls; the last repeats. P95 of CloudFront's own report is under 25 s, so most need three polls.

The last is so long that an execution reaches its time limit before its history is full, whatever the parameters say.
"""


@dataclass(frozen=True, slots=True)
class Pending:
    """One invalidation: its id, and the distribution (or ``distribution/tenant``) that it belongs to."""

    target: str
    invalidation_id: str
    completed: bool = False

    def to_document(self) -> dict[str, Any]:
        """``{"target", "id", "completed"}``."""
        return {"target": self.target, "id": self.invalidation_id, "completed": self.completed}


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a distribution's invalidations. ``seconds`` is the time from creation to the last look."""

    status: Status
    created_at: datetime
    complete_by: datetime
    invalidations: tuple[Pending, ...] = ()
    polls: int = 0
    seconds: float = 0.0

    @property
    def pending(self) -> tuple[Pending, ...]:
        """The invalidations that were not completed at the last look."""
        return tuple(each for each in self.invalidations if not each.completed)

    @property
    def wait_seconds(self) -> int:
        """How long to wait before the next look: a little at first, then longer."""
        return POLL_SECONDS[min(self.polls, len(POLL_SECONDS) - 1)]

    def with_completed(self, done: Pending) -> Progress:
        """The same, one invalidation further."""
        updated = tuple(replace(each, completed=True) if each == done else each for each in self.invalidations)
        return replace(self, invalidations=updated)

    def polled_by(self, cloudfront: CloudFront, now: datetime, distribution_id: str) -> Progress:
        """After asking CloudFront for each invalidation that was not completed.

        Raises:
            InvalidationTimedOut: as ``polled``; and the errors of ``CloudFront.get_invalidation``.
        """
        progress = self
        for each in self.pending:
            if cloudfront.get_invalidation(each.target, each.invalidation_id).completed:
                progress = progress.with_completed(each)
        return progress.polled(now, distribution_id)

    def polled(self, now: datetime, distribution_id: str) -> Progress:
        """After a look at every pending invalidation.

        Raises:
            InvalidationTimedOut: it is later than ``complete_by`` and some are still in progress.
        """
        if self.pending and now >= self.complete_by:
            ids = ", ".join(each.invalidation_id for each in self.pending[:5])
            raise InvalidationTimedOut(
                f"invalidation {ids} of distribution {distribution_id} was still in progress after "
                f"{(now - self.created_at).total_seconds():.0f} s. CloudFront may yet complete it; the batch is tried "
                "again and finds it"
            )
        status = Status.IN_PROGRESS if self.pending else Status.COMPLETED
        elapsed = round((now - self.created_at).total_seconds(), 1)
        return replace(self, status=status, polls=self.polls + 1, seconds=max(elapsed, 0.0))

    def to_document(self) -> dict[str, Any]:
        """``{"status", "createdAt", "completeBy", "invalidations", "polls", "seconds", "waitSeconds"}``."""
        return {
            "status": self.status.value,
            "createdAt": self.created_at.isoformat(),
            "completeBy": self.complete_by.isoformat(),
            "invalidations": [each.to_document() for each in self.invalidations],
            "polls": self.polls,
            "seconds": self.seconds,
            "waitSeconds": self.wait_seconds,
        }

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Progress:
        """The inverse of ``to_document``."""
        return cls(
            status=Status(document["status"]),
            created_at=datetime.fromisoformat(document["createdAt"]),
            complete_by=datetime.fromisoformat(document["completeBy"]),
            invalidations=tuple(
                Pending(each["target"], each["id"], each["completed"]) for each in document["invalidations"]
            ),
            polls=document["polls"],
            seconds=document["seconds"],
        )


REFUSALS: Final = 2
"""Refusals of a request before it is sent in smaller ones: the first may be due to what others send."""


@dataclass(frozen=True, slots=True)
class Request:
    """The paths from ``start`` on in a list of paths, as one CreateInvalidation."""

    start: int
    paths: tuple[str, ...]
    stands_for: int = 0
    """How many paths of the list a wider wildcard takes the place of; 0: none."""

    @property
    def wildcards(self) -> int:
        """How many of the paths are wildcards."""
        return sum(path.endswith("*") for path in self.paths)

    @property
    def covered(self) -> range:
        """The places in the list that are done with when it is accepted."""
        return range(self.start, self.start + (self.stands_for or len(self.paths)))


@dataclass(frozen=True, slots=True)
class Pace:
    """How much a request may hold, by what CloudFront has refused before.

    ``refusals`` in a row of the size that it has now; ``since``, an ISO time, is the first refusal since anything was
    accepted, "" when there is none. ``slow`` once anything was refused: then each call sends one request.
    """

    paths: int = MAX_PATHS_A_REQUEST
    wildcards: int = MAX_WILDCARDS_A_REQUEST
    refusals: int = 0
    since: str = ""
    slow: bool = False

    def refused(self, request: Request, now: datetime) -> Self:
        """After a refusal of the request; a second one halves the size."""
        pace = replace(self, refusals=self.refusals + 1, since=self.since or now.isoformat(), slow=True)
        if pace.refusals < REFUSALS:
            return pace
        paths, wildcards = max(1, len(request.paths) // 2), max(1, request.wildcards // 2)
        if not request.wildcards:
            return replace(pace, paths=paths, refusals=0)
        if len(request.paths) == request.wildcards:
            return replace(pace, wildcards=wildcards, refusals=0)
        return replace(pace, paths=paths, wildcards=wildcards, refusals=0)

    def accepted(self) -> Self:
        """After an acceptance: more paths may go again. Wildcards stay few, for each refused one delays the others."""
        return replace(self, paths=min(MAX_PATHS_A_REQUEST, self.paths * 2), refusals=0, since="")

    def to_document(self) -> dict[str, Any]:
        """``{"paths", "wildcards", "refusals", "since", "slow"}``."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of ``to_document``; what is missing has its default."""
        return cls(**{name: document[name] for name in cls.__slots__ if name in document})


def in_sending_order(paths: Iterable[str]) -> tuple[str, ...]:
    """Tags and exact paths first: a wildcard that is refused does not delay them."""
    return tuple(sorted(paths, key=lambda path: (path.endswith("*"), path)))


def next_request(
    paths: Sequence[str],
    accepted: Iterable[range],
    pace: Pace,
    wider: Callable[[Sequence[str]], str] | None = None,
) -> Request | None:
    """The first paths that were not accepted, as many as the pace allows. None: none is left.

    ``accepted`` are ranges of places in the list. All that is left goes together where it fits; otherwise wildcards go
    by themselves. ``wider`` gives one wildcard in the place of many paths, "" where there is none.
    """
    covered = {number for each in accepted for number in each}
    start = next((number for number in range(len(paths)) if number not in covered), None)
    if start is None:
        return None
    end = next((number for number in range(start, len(paths)) if number in covered), len(paths))
    left = Request(start, tuple(paths[start:end]))
    if wider and (wildcard := wider(left.paths)):
        return Request(start, (wildcard,), stands_for=end - start)
    if len(left.paths) <= pace.paths and left.wildcards <= pace.wildcards:
        return left
    exact = len(left.paths) - left.wildcards
    size = min(exact, pace.paths) if exact else pace.wildcards
    return Request(start, left.paths[:size])


def all_requests(paths: Sequence[str], pace: Pace = Pace()) -> list[Request]:
    """The paths in requests, as if none was refused."""
    found: list[Request] = []
    while request := next_request(paths, (each.covered for each in found), pace):
        found.append(request)
    return found
