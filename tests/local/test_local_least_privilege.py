"""Least privilege: with every feature used, no call is denied, and nothing is granted that is not used."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ops.local import server
from ops.local.aws import LocalAws
from ops.local.package import lambda_interpreter
from ops.local.settings import Settings
from tests.local import privileges
from tests.local.features import STACK, Everything
from tests.local.privileges import Call, Grant

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("privileges")]

BY_LAMBDA = "Lambda itself does this in the function's name, where the emulator's Lambda needs no permission"
BY_SNS = "SNS asks KMS in the publisher's name (KMS condition kms:ViaService); the emulator's SNS encrypts nothing"
UNSEEN = {
    "logs:CreateLogStream": BY_LAMBDA,
    "logs:PutLogEvents": BY_LAMBDA,
    "xray:PutTraceSegments": BY_LAMBDA,
    "xray:PutTelemetryRecords": BY_LAMBDA,
    "kms:Decrypt": BY_SNS,
    "kms:GenerateDataKey*": BY_SNS,
}
"""Actions that are granted and that no call on the emulator can need → why AWS needs them."""


@dataclass(frozen=True, slots=True)
class Used:
    """What was granted at any time, and what was called."""

    aws: LocalAws
    granted: set[Grant]
    calls: list[Call]


@pytest.fixture(scope="module")
def used() -> Iterator[Used]:
    settings = Settings(wait_scale=0.1, invalidation_seconds=0.5, lambda_python=str(lambda_interpreter()))
    with server.running(settings, server.free_port()) as emulator:
        everything = Everything(LocalAws(emulator.endpoint))
        everything.set_up()
        granted = everything.granted()
        everything.use()
        everything.use_another_account()
        yield Used(everything.aws, granted | everything.granted(), privileges.calls(everything.aws))


def test_with_every_feature_used_no_call_is_denied(used: Used) -> None:
    denied = [call for call in used.calls if not call.allowed]
    print(f"denied, of {len(used.calls)} different calls: {denied}")  # noqa: T201 - the test's other result
    assert denied == []
    assert len({call.role for call in used.calls if call.role.startswith(STACK)}) == 9, "every function was to be used"


def test_nothing_is_granted_that_is_never_used(used: Used) -> None:
    unused = privileges.unused(used.granted, used.calls)
    print(f"granted and not used, of {len(used.granted)} grants: {unused}")  # noqa: T201 - likewise
    assert [grant for grant in unused if grant.action not in UNSEEN] == []
    assert {grant.action for grant in unused} == set(UNSEEN), "an exception is needed no more"
