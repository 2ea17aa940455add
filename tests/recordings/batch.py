"""The history of a batch with two distributions, made by hand: one is invalidated, the other denied."""

from __future__ import annotations

import json
from typing import Any

from invalidations_cli.history import ExecutionHistory
from invalidations_cli.recording import Recording
from tests.recordings.history import START, History

ARN = "arn:aws:states:eu-west-1:123456789012:execution:site-invalidation:run-1"
BATCH = "20261123T062719Z-0123456789"
DISTRIBUTIONS = ("E1GOODGOODGOOD", "E2DENIEDDENIED")
DENIED = "CreateInvalidation was denied: grant cloudfront:CreateInvalidation to the role that makes the call, " * 3
OUTCOME = {
    "outcome": "PartlyFailed",
    "batchId": BATCH,
    "bucket": "my-site",
    "changes": 40,
    "price": 0.015,
    "error": "AccessDenied",
    "message": DENIED,
    "targets": [
        {
            "distributionId": DISTRIBUTIONS[0],
            "state": "COMPLETED",
            "paths": 3,
            "wildcards": 1,
            "invalidationIds": ["I1AAAAAAAAAAAA", "I2BBBBBBBBBBBB"],
        },
        {
            "distributionId": DISTRIBUTIONS[1],
            "state": "PARKED",
            "paths": 3,
            "wildcards": 1,
            "error": "AccessDenied",
            "message": DENIED,
        },
    ],
}
DEFINITION = {
    "StartAt": "Wait For Batch To Close",
    "States": {
        "Wait For Batch To Close": {"Type": "Wait", "Seconds": 10, "Next": "Invalidate Distributions"},
        "Invalidate Distributions": {
            "Type": "Map",
            "MaxConcurrency": 2,
            "ItemProcessor": {
                "StartAt": "Create Invalidation",
                "States": {
                    "Create Invalidation": {
                        "Type": "Task",
                        "Resource": "arn:aws:states:::lambda:invoke",
                        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Distribution Failed"}],
                        "End": True,
                    },
                    "Distribution Failed": {"Type": "Pass", "End": True},
                },
            },
            "Next": "Batch Failed",
        },
        "Batch Failed": {"Type": "Fail"},
    },
}


def history_of_a_batch(**outcome: Any) -> History:
    """Its events; what is named replaces parts of the outcome document."""
    made = History()
    made.entered("Wait For Batch To Close", "Wait").exited("Wait For Batch To Close", "Wait")
    made.entered("Invalidate Distributions", "Map").add("MapStateStarted", "mapStateStarted", length=2)
    start = made.last
    for index, distribution in enumerate(DISTRIBUTIONS):
        state = json.dumps({"batchId": BATCH, "distributionId": distribution})
        place: dict[str, Any] = {"name": "Invalidate Distributions", "index": index}
        made.add("MapIterationStarted", "mapIterationStarted", after=start, **place)
        made.add("TaskStateEntered", "stateEntered", name="Create Invalidation", input=state)
        made.tried("AccessDenied" if index else "")
        made.exited("Create Invalidation")
        if index:
            made.entered("Distribution Failed", "Pass").exited("Distribution Failed", "Pass")
        made.add("MapIterationSucceeded", "mapIterationSucceeded", **place)
    made.add("MapStateSucceeded").exited("Invalidate Distributions", "Map")
    told = json.dumps({"outcome": OUTCOME | outcome})
    made.add("FailStateEntered", "stateEntered", name="Batch Failed", input=told)
    return made.add("ExecutionFailed", "executionFailed", error="AccessDenied", cause=DENIED)


def recording_of_a_batch(arn: str = ARN, **outcome: Any) -> Recording:
    """Definition, description and events."""
    events = history_of_a_batch(**outcome).events
    execution = {"executionArn": arn, "name": "run-1", "status": "FAILED", "startDate": START}
    return Recording(DEFINITION, execution, events)


def read_batch_history(arn: str = ARN, **outcome: Any) -> ExecutionHistory:
    """The same, read."""
    return recording_of_a_batch(arn, **outcome).history()
