"""Settings from the environment, and the rules and the budget that they make.

They are the template's parameters, typed. Every default is the template's own; a test keeps them equal. ``CONSTANTS``
have no parameter, as nobody has wanted another value; the variable is there for tests and for emergencies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any

from invalidation.cloudfront.limits import FREE_PATHS_A_MONTH
from invalidation.cloudfront.rules import Budget, InvalidateBy, PathRules
from invalidation.errors import AccessDenied

CONSTANTS = {
    "max_batch_window_seconds": "a minute of old content is what a site under sustained change can bear",
    "completion_timeout": "AWS reports completion after 25 seconds at the 95th percentile (AWS, April 2026)",
    "room_timeout": "longer than CloudFront's quota of invalidations in progress has ever kept somebody waiting",
    "role_wait_seconds": "a new permission acts within seconds (aws/aws-cdk#37675); a deploy can bear a minute",
    "max_tries": "after 5, 15, 45 and 135 minutes: what has not passed by then does not pass by itself",
    "no_completion_seconds": "an hour: every step and every retry of a batch that goes well has ended by then",
}
"""Settings that are the same for everybody, and why they are what they are."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The environment of a function. A function reads only what its part of the template sets."""

    batch_table_name: str = ""
    notification_topic_arn: str = ""
    email_topic_arn: str = ""
    chat_topic_arn: str = ""
    notify_on: str = "Failures"
    runbook_url: str = "docs/runbook.md"
    state_machine_arn: str = ""
    distribution_ids: tuple[str, ...] = ()
    bucket_names: tuple[str, ...] = ()
    change_rules: tuple[str, ...] = ()
    intake_pipe: str = ""
    intake_queue_url: str = ""
    enable_bucket_events: bool = True
    distribution_role_arn: str = ""
    distribution_role_external_id: str = ""
    max_paths_a_day: int = 10_000
    batch_window_seconds: int = 10
    max_batch_window_seconds: int = 60
    widest_path: str = "/*"
    directory_index: str = ""
    edge_rewrites: str = "Keys"
    include_keys: tuple[str, ...] = ("*",)
    skip_unchanged: bool = False
    invalidate_by: str = "Paths"
    dry_run: bool = False
    completion_timeout: timedelta = timedelta(minutes=30)
    room_timeout: timedelta = timedelta(minutes=60)
    max_tries: int = 5
    role_wait_seconds: int = 60
    verify_at_edge: str = "false"
    audit_retention: timedelta = timedelta(days=400)
    observability: str = "Basic"
    monthly_path_budget: int = 1_000
    no_completion_seconds: int = 3_600

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the variables that are set, named like the template's parameters in upper case.

        Raises:
            ValueError: a number is none. The template's own bounds should have refused it.
        """
        return cls(**{each.name: _read(environment, each.name, each.default) for each in fields(cls)})


UNITS = {"completion_timeout": "minutes", "room_timeout": "minutes", "audit_retention": "days"}
"""Settings that are times, with the unit in which their variables give them, and with which those end."""


def _read(environment: Mapping[str, str], name: str, default: object) -> Any:
    unit = UNITS.get(name, "")
    text = environment.get(f"{name}_{unit}".strip("_").upper())
    match default:
        case _ if text is None:
            return default
        case bool():
            return text == "true"
        case int():
            return int(float(text))  # a parameter that is a Number may have a fraction
        case timedelta():
            return timedelta(**{unit: int(float(text))})
        case tuple():
            return _listed(text)
    return text


def check_is_named(distribution_id: str, named: Sequence[str]) -> None:
    """Refuse a request for a distribution that ``DistributionIds`` does not name.

    The role could not invalidate it.

    Raises:
        AccessDenied: it is none of them, and says what to do.
    """
    if named and distribution_id not in named:
        raise AccessDenied(
            f"distribution {distribution_id} is none of those that this stack may invalidate: DistributionIds names "
            f"{', '.join(named)}. Add it there, or leave DistributionIds empty"
        )


def verifies_at_edge(setting: str) -> bool:
    """Whether ``VerifyAtEdge`` (``true``, ``false`` or a host name) asks for a look at the edge."""
    return setting != "false"


def host_to_verify(setting: str, otherwise: str) -> str:
    """The host that ``VerifyAtEdge`` names, or the distribution's own domain name."""
    return otherwise if setting in ("true", "false") else setting


def _listed(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


def rules_of(settings: Settings) -> PathRules:
    """What the settings decide about paths."""
    return PathRules(
        directory_index=settings.directory_index,
        whole_behaviors=settings.edge_rewrites == "WholeBehavior",
        root_queries=settings.edge_rewrites == "KeysAndRootQueries",
        invalidate_by=InvalidateBy(settings.invalidate_by),
    )


@dataclass(frozen=True, slots=True)
class SendingLimits:
    """How far, how much and how long an invalidation may go.

    ``budget`` is for a batch in a month that has nothing left; ``monthly_paths`` says when that is.
    """

    budget: Budget = field(default_factory=Budget)
    monthly_paths: int = FREE_PATHS_A_MONTH
    dry_run: bool = False
    completion_timeout: timedelta = timedelta(minutes=30)


def sending_limits_of(settings: Settings) -> SendingLimits:
    """What the settings decide about sending.

    Raises:
        ValueError: ``widest_path`` is no wildcard that CloudFront knows.
    """
    budget = Budget(widest_path=settings.widest_path)
    return SendingLimits(budget, settings.monthly_path_budget, settings.dry_run, settings.completion_timeout)
