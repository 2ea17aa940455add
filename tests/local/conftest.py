"""One local AWS for the whole session, and a pair of empty emulators for the canaries.

Tests that share one are in one xdist group, so that it is started once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from invalidations_cli.local import deploy, environment, server, site
from invalidations_cli.local.aws import LocalAws
from invalidations_cli.local.environment import LocalEnvironment
from invalidations_cli.local.package import deployment_package, lambda_interpreter
from invalidations_cli.local.settings import LocalSettings
from tests.local import tools
from tests.local.instruments.control import INSTRUMENTS

QUICK = LocalSettings(wait_scale=0.1, invalidation_seconds=0.5, extra_patches=INSTRUMENTS)


@dataclass(frozen=True, slots=True)
class Emulators:
    """The same empty emulator, as ministack comes and with this project's patches."""

    plain: LocalAws
    patched: LocalAws


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    """The first build takes as long as downloads do: it has ended before any test looks at the clock."""
    deployment_package()


@pytest.fixture(scope="session")
def local() -> Iterator[LocalEnvironment]:
    with environment.running(QUICK, server.free_port(), {"BatchWindowSeconds": "2"}) as there:
        yield there


@pytest.fixture(scope="session")
def emulators() -> Iterator[Emulators]:
    python = str(lambda_interpreter())
    patched = LocalSettings(
        lambda_python=python,
        handlers_at_once=2,
        page_size=1,
        max_wildcards=1,
        invalidation_seconds=1.0,
        extra_patches=INSTRUMENTS,
    )
    plain = LocalSettings(patches=())
    with server.running(plain, server.free_port()) as one, server.running(patched, server.free_port()) as other:
        yield Emulators(tools.PlainEmulator(one.endpoint), LocalAws(other.endpoint))


@pytest.fixture(scope="session")
def denied(local: LocalEnvironment) -> LocalEnvironment:
    """A second stack beside the first, with a bucket of its own, whose function may not create invalidations."""
    bucket, stack = "another-web-site", "denied"
    template = deploy.load()
    assert remove_permission(template, "cloudfront:CreateInvalidation") == 1
    site.create_bucket(local.aws, bucket)
    outputs = deploy.deploy(local.aws, template, {"BucketNames": bucket, "BatchWindowSeconds": "2"}, stack=stack)
    site.send_events_to_eventbridge(local.aws, bucket)
    distribution = site.create_distribution(local.aws, bucket)
    return replace(
        local,
        bucket=bucket,
        outputs=outputs,
        distribution_id=distribution.distribution_id,
        distribution_domain=distribution.domain_name,
        queue_url=site.subscribe_queue(local.aws, outputs["NotificationTopicArn"], f"{bucket}-notifications"),
    )


def remove_permission(node: Any, action: str) -> int:
    """Take the action out of every statement that allows it; returns how many did."""
    if isinstance(node, list):
        return sum(remove_permission(item, action) for item in node)
    if not isinstance(node, dict):
        return 0
    actions = node.get("Action")
    if actions == action or (isinstance(actions, list) and action in actions):
        node["Action"] = "cloudfront:GetInvalidation"
        return 1
    return sum(remove_permission(value, action) for value in node.values())
