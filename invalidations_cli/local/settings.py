"""How one local AWS is set up: what `up`, `demo` and the tests may choose."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import Literal, Self

from invalidation.cloudfront.limits import (
    MAX_PATHS_IN_PROGRESS,
    MAX_WILDCARDS_IN_PROGRESS,
    PATHS_A_SECOND,
    WILDCARDS_A_SECOND,
)

REGION = "us-east-1"
ACCOUNT = "123456789012"
"""Any access key of twelve digits is, to ministack, the root user of that account."""

DIRECTORY_PREFIX = "local-aws-"
"""What the name of an emulator's own temporary directory begins with; no other directory is ever deleted."""

ALL_PATCHES = (
    "request_guard",
    "loopback_only",
    "lambda_processes",
    "lambda_errors",
    "lambda_interpreter",
    "lambda_shared_code",
    "lambda_queue",
    "step_functions_endings",
    "step_functions_retries",
    "step_functions_history",
    "step_functions_children",
    "step_functions_logs",
    "step_functions_api",
    "eventbridge_dead_letters",
    "pipes_from_queues",
    "cloudformation_types",
    "cloudformation_tables",
    "loopback_counts_as_tls",
    "cloudformation_parameters",
    "cloudformation_custom_resources",
    "cloudfront_invalidations",
    "cloudfront_listing",
    "cloudfront_configurations",
    "cloudfront_origins",
    "cloudfront_edge_cache",
    "cloudfront_viewers",
    "cloudfront_resources",
)
"""The modules in `invalidations_cli/local/patches/`, in the order in which they are applied."""


Quota = Literal["rate", "in-progress", "none"]


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """Choices that the emulator's process needs; sent to it as JSON.

    Attributes:
        wait_scale: What a second of a Wait state or of a retry's interval lasts (0.1: a tenth of a second).
        invalidation_seconds: How long an invalidation stays InProgress.
        page_size: Most items in a page of CloudFront's lists (AWS: 100).
        cloudfront_quota: `in-progress`: so many paths may be in progress for a distribution; `rate`: so many a second
            for the account (the scope is not published, and the account is the stricter); or `none`.
        max_paths: Most paths in progress without a wildcard.
        max_wildcards: Most paths in progress that end in `*`.
        paths_a_second: Most paths and tags accepted within any second; a request of more is never accepted.
        wildcards_a_second: Most wildcards accepted within any second, without any burst.
        rate_counts: Whether each wildcard path counts, or each request that has any.
        rate_error: The error code beyond the rate; AWS does not say which it is.
        handlers_at_once: How many Lambda handlers run at the same time; others wait their turn.
        lambda_python: The interpreter of the Lambda workers.
        patches: Names out of `ALL_PATCHES`; fewer only to show what plain ministack does.
        extra_patches: Dotted names of more modules with an `apply(settings)`, applied last; tests bring their own.
    """

    wait_scale: float = 1.0
    invalidation_seconds: float = 3.0
    page_size: int = 100
    cloudfront_quota: Quota = "in-progress"
    max_paths: int = MAX_PATHS_IN_PROGRESS
    max_wildcards: int = MAX_WILDCARDS_IN_PROGRESS
    paths_a_second: int = PATHS_A_SECOND
    wildcards_a_second: int = WILDCARDS_A_SECOND
    rate_counts: Literal["paths", "requests"] = "paths"
    rate_error: Literal["Throttling", "TooManyInvalidationsInProgress"] = "Throttling"
    handlers_at_once: int = max(2, min(8, os.cpu_count() or 2))
    lambda_python: str = ""
    patches: tuple[str, ...] = field(default=ALL_PATCHES)
    extra_patches: tuple[str, ...] = ()

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        document = json.loads(text)
        names = {key: tuple(document[key]) for key in ("patches", "extra_patches")}
        return cls(**{**document, **names})
