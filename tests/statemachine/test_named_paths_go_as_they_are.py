"""The real definition with the real handlers, when somebody names more wildcards than CloudFront takes at a time."""

from __future__ import annotations

from invalidation.batches.targets import Target
from invalidation.cloudfront.limits import MAX_WILDCARDS_A_REQUEST, MAX_WILDCARDS_BY_HAND
from invalidation.cloudfront.rules import Widening
from invalidations_cli.commands.request import lines_of
from invalidations_cli.follow import FollowedExecution
from tests.statemachine.recorded_execution import RecordedExecution
from tests.statemachine.site import Site

CREATE = "cloudfront:CreateInvalidation"
WILDCARDS = [f"/{number:02}/*" for number in range(40)]


def asked(site: Site, paths: list[str], **options: bool) -> RecordedExecution:
    return site.stack.run({"distributionId": site.distribution, "paths": paths, **options})


def test_each_part_waits_until_there_is_room_and_nothing_is_sent_twice_or_widened(site: Site) -> None:
    for first in (WILDCARDS[15], WILDCARDS[30]):
        site.stack.functions.refuse(CREATE, "TooManyInvalidationsInProgress", times=1, about=first)
    execution = asked(site, [*WILDCARDS, "/index.html"])
    assert execution.status == "SUCCEEDED"
    assert "Wait For Room" in execution.iterations[0]
    assert [path for request in site.invalidated for path in request] == ["/index.html", *WILDCARDS]
    assert max(len(part) for part in site.invalidated) == MAX_WILDCARDS_A_REQUEST
    (target,) = execution.output["outcome"]["targets"]
    assert (target["paths"], target["wildcards"], "widened" in target) == (41, 40, False)
    assert target["invalidationIds"] == site.stack.edge.ids(site.distribution)


def test_what_is_beyond_that_is_merged_and_told_in_the_notification_the_audit_and_to_who_asked(site: Site) -> None:
    paths = [f"/{number:03}/*" for number in range(MAX_WILDCARDS_BY_HAND)]
    execution = asked(site, [*paths, "/000-b/*"], dryRun=True)
    (told,) = site.stack.notifications(execution)
    (target,) = told["body"]["targets"]
    assert (target["wildcards"], target["widened"]) == (150, [{"path": "/000*", "asked": 2}])
    recorded = Target.read(site.stack.table, execution.output["outcome"]["batchId"], site.distribution)
    assert recorded.plan is not None
    assert recorded.plan.widened == (Widening("/000*", 2),)
    lines = list(lines_of([FollowedExecution(execution.arn, execution.status, outcome=execution.output["outcome"])]))
    assert any("150 paths (150 wildcards)  /000* for 2 paths" in line for line in lines)
