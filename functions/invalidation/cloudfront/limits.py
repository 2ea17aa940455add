"""Limits and prices that this application relies on, each with its source.

CFD is the Amazon CloudFront Developer Guide, BC the service model in botocore.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

MAX_PATH_LENGTH: Final = 4_000
"""Characters of one invalidation path (CFD, "What you need to know when invalidating paths")."""

MAX_TAG_LENGTH: Final = 256
"""Characters of one cache tag, without the ``#`` (CFD, "What you need to know when invalidating tags")."""

MAX_TAGS_OF_OBJECT: Final = 50
"""Tags that CloudFront stores for a cached object; it ignores the rest (CFD, same page)."""

PATHS_A_SECOND: Final = 150
"""Paths or tags (CFD, "Quotas", read in September 2026). Not adjustable."""

WILDCARDS_A_SECOND: Final = 1
"""Wildcard invalidations (same page). Not said: whether paths or requests count, for the account or a distribution, and
whether a burst is allowed. Before, and in the AWS General Reference still: the two quotas that follow."""

MAX_PATHS_IN_PROGRESS: Final = 3_000
"""Paths without a wildcard in progress for one distribution (AWS General Reference, "Amazon CloudFront endpoints and
quotas", read in November 2026)."""

MAX_WILDCARDS_IN_PROGRESS: Final = 15
"""Paths with a wildcard in progress for one distribution, counted apart from the others (same page)."""

MAX_PATHS_A_REQUEST: Final = PATHS_A_SECOND
"""This application's own: paths in one CreateInvalidation. More might be refused for ever by a rate of so many."""

MAX_WILDCARDS_A_REQUEST: Final = 5
"""This application's own: wildcards in one CreateInvalidation, of which one may be all that is ever accepted at a time.
What is refused is sent in smaller requests."""

MAX_PATHS_BY_HAND: Final = 3_000
MAX_WILDCARDS_BY_HAND: Final = 150
"""This application's own: what one request by hand may have; more is merged. One wildcard a second takes minutes, in
which other batches wait for room too."""

MAX_REQUESTS_OF_TARGET: Final = 1_500
"""This application's own: with one wildcard a request, and eleven events of the execution's history for each, it stays
below the 25,000 that a history may have (SFD, quotas)."""

MAX_PATHS_OF_BATCH: Final = 150
MAX_WILDCARDS_OF_BATCH: Final = 15
"""This application's own: what a batch may have while the month has free paths. Sent at one wildcard a second, or in
progress at once, they are through in seconds."""

FEW_PATHS: Final = 30
"""This application's own: up to so many paths go as they are, whatever the month has had. Spellings of one location
count once, up to ``MAX_PATHS_OF_BATCH`` paths."""

THRIFTY_PATHS: Final = 10
THRIFTY_WILDCARDS: Final = 5
"""This application's own: the cover of more than these, once the month's budget is spent: $0.05."""

FREE_PATHS_A_MONTH: Final = 1_000
"""For the account, over all its distributions (CFD, "Pay for file invalidation")."""

DOLLARS_PER_PATH: Final = Decimal("0.005")
"""For each path or tag after the free ones; a wildcard counts as one (Amazon CloudFront Pricing)."""

DEFAULT_ERROR_CACHING_SECONDS: Final = 10
"""How long CloudFront keeps an error when the distribution does not say (CFD, "Control how long CloudFront caches
errors"). Less than what an invalidation takes to be reported as completed (95 % within 25 seconds)."""

LONGEST_TTL: Final = 31_536_000
"""Seconds of a year: how long a cache behaviour keeps an answer at most where nobody says less (CFD, "Manage how long
content stays in the cache")."""

MAX_TENANTS: Final = 100
"""This application's own: tenants of one distribution that a batch invalidates. Each of them costs every path
again, and one CreateInvalidation of the account's rate, which an SDK maintainer gave as one in two seconds."""

DISTRIBUTIONS_CACHE_SECONDS: Final = 60.0
"""This application's own default: how long a warm worker trusts what it has read about distributions. A change of a
distribution takes minutes to reach the edge, so what is a minute old still describes what viewers get."""


MAX_TARGETS_AT_ONCE: Final = 40
"""This application's own: distributions that one execution takes on. With every one of them failing in its own words,
or polled to its deadline, an execution stays below 262,144 bytes of state and 25,000 events (SFD, quotas)."""


def price(paths: int) -> Decimal:
    """The most that so many paths can cost, in US dollars. With no free ones left."""
    return paths * DOLLARS_PER_PATH
