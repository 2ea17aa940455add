"""Values that parameters make, and that records hold. How paths are made, what they may cost, what was decided.

They stand apart from ``routing``, ``plan`` and ``cover``, which do the work: most handlers read their settings and
their records, and plan nothing, and a cold start pays for each module that is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from invalidation.cloudfront.limits import (
    FEW_PATHS,
    MAX_PATHS_BY_HAND,
    MAX_WILDCARDS_BY_HAND,
    THRIFTY_PATHS,
    THRIFTY_WILDCARDS,
)
from invalidation.cloudfront.paths import begins_within_character, encoding_fault

if TYPE_CHECKING:
    from collections.abc import Mapping


class InvalidateBy(StrEnum):
    """What is invalidated for an object that carries cache tags, where the distribution reads them."""

    PATHS = "Paths"
    TAGS = "Tags"
    """Its tags instead of its paths. For objects that keep their tags: what is cached under a tag that the object no
    longer has, or as a 404 from before it existed, is reached by its paths only."""
    BOTH = "Both"


@dataclass(frozen=True, slots=True)
class PathRules:
    """What parameters decide about paths.

    ``directory_index``: the name of an index document (``index.html``) that something at the edge or the origin serves
    for a folder; a key that ends so is then invalidated as ``dir/`` and ``dir`` too. Website origins need no such
    parameter unless theirs has another name. ``spellings``: also send the other ways in which a viewer may have spelled
    the path, for keys with such characters. ``whole_behaviors``: where an edge function, or a host that is not S3's,
    may rewrite requests, invalidate everything that its behaviour matches, as one wildcard. ``error_pages``: invalidate
    ``/*`` for an error page that stays cached under the failing paths. ``root_queries``: where query strings are in the
    cache key, invalidate the root as ``/`` and ``/?*``, not as ``/*``; that CloudFront takes it so is not documented.
    """

    directory_index: str = ""
    spellings: bool = True
    whole_behaviors: bool = False
    error_pages: bool = True
    root_queries: bool = False
    invalidate_by: InvalidateBy = InvalidateBy.PATHS


class PlanRule(StrEnum):
    """Which rule has decided what a distribution is sent."""

    EXACT = "Exact"
    """Each path as it is: nothing was widened."""
    FREE_PATHS = "FreePaths"
    """Too many for that: the best cover that the month's budget has room for."""
    THRIFTY = "Thrifty"
    """The month's budget has no room: a cover of a few paths."""
    BY_HAND = "ByHand"
    """What somebody asked for."""

    @property
    def description(self) -> str:
        """For people."""
        return {
            PlanRule.EXACT: "each path as it is",
            PlanRule.FREE_PATHS: "too many paths to send each: the best cover that the month's budget has room for",
            PlanRule.THRIFTY: "the month's budget has no room for more: a few wide paths",
            PlanRule.BY_HAND: "what was asked for",
        }[self]


class Status(StrEnum):
    """What Create Invalidation and Get Invalidation answer."""

    SENDING = "Sending"
    """CloudFront has accepted some of it, and the rest is to be sent."""
    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    NOTHING_TO_INVALIDATE = "NothingToInvalidate"
    DRY_RUN = "DryRun"


@dataclass(frozen=True, slots=True)
class Budget:
    """What an invalidation may cost, and how far it may reach; by default little.

    Attributes:
        max_exact_paths: up to so many paths go as they are, 1 to 3,000. Where they are many only because keys are
            spelled in several ways, locations count, not paths: up to ``FEW_PATHS`` of them, and no storm.
        max_cover_paths: so many paths may a cover of more than these have, 1 to 3,000.
        max_wildcards: so many of them may be wildcards, 1 to 150; other spellings of these as well, up to
            ``MAX_WILDCARDS_OF_BATCH`` in all.
        widest_path: a wildcard; those that a plan introduces match nothing that it does not match.

    Raises:
        ValueError: a number is out of its range, or ``widest_path`` is not a wildcard.
    """

    max_exact_paths: int = FEW_PATHS
    max_cover_paths: int = THRIFTY_PATHS
    max_wildcards: int = THRIFTY_WILDCARDS
    widest_path: str = "/*"

    def __post_init__(self) -> None:
        """Refuses a budget that no invalidation could keep."""
        for name, limit in (
            ("max_exact_paths", MAX_PATHS_BY_HAND),
            ("max_cover_paths", MAX_PATHS_BY_HAND),
            ("max_wildcards", MAX_WILDCARDS_BY_HAND),
        ):
            if not 1 <= getattr(self, name) <= limit:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be from 1 to {limit:,}")
        fault = encoding_fault(self.widest_path)
        if not fault and not self.widest_path.endswith("*"):
            fault = "does not end in *"
        if not fault and "%" in self.widest_path and begins_within_character(self.widest_path[:-1]):
            fault = "ends in the middle of a percent-encoded character"
        if fault:
            raise ValueError(f"widest_path {self.widest_path[:100]!r} {fault}: give a wildcard such as /assets/*")


class Widening(NamedTuple):
    """A wildcard that nobody asked for, what it stands for, and what it evicts besides.

    ``unchanged`` is the number of objects that had not changed; None where nobody knows.
    """

    path: str
    asked: int
    unchanged: int | None = None

    @property
    def description(self) -> str:
        """For people: ``/docs/* for 80 paths; 12 unchanged objects with it``."""
        if self.unchanged is None:
            return f"{self.path} for {self.asked:,} paths; unchanged objects with it not counted"
        objects = "object" if self.unchanged == 1 else "objects"
        return f"{self.path} for {self.asked:,} paths; {self.unchanged:,} unchanged {objects} with it"

    def to_document(self) -> dict[str, Any]:
        """``{"path", "asked"}``, and ``"unchanged"`` where it is known."""
        known = {} if self.unchanged is None else {"unchanged": self.unchanged}
        return {"path": self.path, "asked": self.asked, **known}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Widening:
        """Also of one that was written before unchanged objects were counted."""
        return cls(document["path"], int(document["asked"]), document.get("unchanged"))
