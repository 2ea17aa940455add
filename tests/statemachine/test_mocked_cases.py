"""The cases of ``MockConfigFile.json``, which is in the format of Step Functions Local, on the real definition."""

from __future__ import annotations

import pytest

from tests.definition import rendered, states, transitions
from tests.statemachine.machine import MockedMachine, case_names, responses_of
from tests.statemachine.recorded_execution import covered

SUCCEEDED, FAILED = "SUCCEEDED", "FAILED"
COMPLETED, BATCH_FAILED = "Batch Completed", "Batch Failed"
ENDS = {
    "HappyPath": (SUCCEEDED, "", COMPLETED),
    "LoneChange": (SUCCEEDED, "", COMPLETED),
    "SlowCompletion": (SUCCEEDED, "", COMPLETED),
    "CompletedWhenCreated": (SUCCEEDED, "", COMPLETED),
    "ThrottledThenFine": (SUCCEEDED, "", COMPLETED),
    "ThrottledBeyondItsRetries": (SUCCEEDED, "", COMPLETED),
    "TooManyInProgressThenFine": (SUCCEEDED, "", COMPLETED),
    "SentInParts": (SUCCEEDED, "", COMPLETED),
    "NoRoomInTime": (FAILED, "NoRoomInTime", BATCH_FAILED),
    "AccessDenied": (FAILED, "AccessDenied", BATCH_FAILED),
    "NoSuchDistribution": (FAILED, "NoSuchDistribution", BATCH_FAILED),
    "TwoDistributions": (SUCCEEDED, "", COMPLETED),
    "OneOfTwoDistributionsFails": (FAILED, "AccessDenied", BATCH_FAILED),
    "NeverCompletes": (FAILED, "InvalidationTimedOut", BATCH_FAILED),
    "NothingToInvalidate": (SUCCEEDED, "", COMPLETED),
    "DryRun": (SUCCEEDED, "", COMPLETED),
    "NoDistribution": (SUCCEEDED, "", COMPLETED),
    "Follower": (SUCCEEDED, "", "Joined Open Batch"),
    "Ignored": (SUCCEEDED, "", "Change Ignored"),
    "Paused": (SUCCEEDED, "", "Bucket Paused"),
    "NothingOwed": (SUCCEEDED, "", "Nothing Owed"),
    "Rejected": (FAILED, "InvalidRequest", BATCH_FAILED),
    "TableBusyThenFine": (SUCCEEDED, "", COMPLETED),
    "ConcurrencyTakenForMinutes": (SUCCEEDED, "", COMPLETED),
    "JoinFails": (FAILED, "ChangesNotAccepted", BATCH_FAILED),
    "Superseded": (SUCCEEDED, "", "Covered By Another Batch"),
    "EmptyBatch": (SUCCEEDED, "", "Covered By Another Batch"),
    "PausedWhileGathering": (SUCCEEDED, "", "Bucket Paused"),
    "CloseFails": (FAILED, "BatchContended", BATCH_FAILED),
    "ResolveFails": (FAILED, "AccessDenied", BATCH_FAILED),
    "FinishFails": (FAILED, "BatchTableUnavailable", BATCH_FAILED),
    "AnnouncingFails": (FAILED, "EventBridge.FailedEntry", BATCH_FAILED),
    "AnnouncingFailsThenFine": (SUCCEEDED, "", COMPLETED),
    "NotificationFails": (FAILED, "NotificationFailed", "Notification Failed"),
    "NotifyCannotBeCalled": (FAILED, "NotificationFailed", "Notification Failed"),
    "NotificationFailsThenFine": (SUCCEEDED, "", COMPLETED),
    "VerifiedAtEdge": (SUCCEEDED, "", COMPLETED),
    "VerifiedWhenCreated": (SUCCEEDED, "", COMPLETED),
    "StaleAtEdge": (FAILED, "EdgeStillStale", BATCH_FAILED),
}
BEFORE_THE_MAP = (
    "Join Batch",
    "Leads The Batch?",
    "Wait For Batch To Close",
    "Close Batch",
    "Owns Changes?",
    "Resolve Distributions",
    "Invalidate Distributions",
)
ENDING = ("Finish Batch", "Announce Outcome", "Notify", "All Completed?")
CREATED = ("Create Invalidation", "Anything To Invalidate?")
POLL = ("Wait For Invalidation", "Get Invalidation", "Invalidation Completed?")
PART_SENT = (*CREATED, "Send The Rest", "Wait For Room")
NO_ROOM = ("Create Invalidation", "Back Off", "Wait For Room")
each_case = pytest.mark.parametrize("case", case_names())


def test_this_table_and_the_mock_config_file_name_the_same_cases() -> None:
    assert list(ENDS) == case_names()


def test_every_state_is_entered_and_every_transition_is_taken_by_some_case(mocked: MockedMachine) -> None:
    entered, taken = covered([mocked.run(case) for case in case_names()])
    assert sorted({name for name, _ in states(rendered())} - entered) == []
    assert sorted(set(transitions(rendered())) - taken) == []


@each_case
def test_a_case_ends_where_it_should(mocked: MockedMachine, case: str) -> None:
    execution = mocked.run(case)
    assert (execution.status, execution.error, execution.states[-1]) == ENDS[case]


@each_case
def test_a_case_takes_only_transitions_that_the_definition_allows(mocked: MockedMachine, case: str) -> None:
    assert mocked.run(case).transitions <= set(transitions(rendered()))


@each_case
def test_a_case_uses_up_its_mocked_responses(mocked: MockedMachine, case: str) -> None:
    execution = mocked.run(case)
    for state, responses in responses_of(case).items():
        given = sum(int(numbers.rpartition("-")[2]) - int(numbers.partition("-")[0]) + 1 for numbers in responses)
        assert execution.tries(state) == given, state


@each_case
def test_a_failed_case_gives_a_cause_that_a_person_can_read(mocked: MockedMachine, case: str) -> None:
    execution = mocked.run(case)
    assert bool(execution.cause) == (execution.status == FAILED)
    assert "Traceback" not in execution.cause
    assert not execution.cause.startswith("{"), "the JSON in which Lambda wraps a function's error"


def test_a_notification_that_fails_names_the_error_and_gives_all_that_the_function_said(mocked: MockedMachine) -> None:
    told = mocked.run("NotificationFails").cause
    assert told.startswith("The step Notify ended with NotificationFailed, so nobody was told.")
    assert "SNS did not take the notification (KMSDisabled)" in told
    told = mocked.run("NotifyCannotBeCalled").cause
    assert told.startswith("The step Notify ended with Lambda.ResourceNotFoundException, so nobody was told.")
    assert "is in its record and in the event on the bus" in told


def test_the_happy_path_goes_through_its_states_in_order(mocked: MockedMachine) -> None:
    execution = mocked.run("HappyPath")
    assert execution.states == (*BEFORE_THE_MAP, *CREATED, *POLL, "Distribution Invalidated", *ENDING, COMPLETED)
    assert execution.output["outcome"]["outcome"] == "Completed"
    assert [waited.seconds for waited in execution.waits if waited.state == "Wait For Invalidation"] == [5]


def test_what_join_batch_has_frozen_goes_straight_to_its_distributions(mocked: MockedMachine) -> None:
    execution = mocked.run("LoneChange")
    assert execution.states[:3] == ("Join Batch", "Leads The Batch?", "Resolve Distributions")


def test_a_storm_that_takes_the_account_s_concurrency_is_waited_out(mocked: MockedMachine) -> None:
    execution = mocked.run("ConcurrencyTakenForMinutes")
    assert execution.errors("Join Batch") == ("Lambda.TooManyRequestsException",) * 40
    pauses = execution.waited_in("Join Batch")
    assert sum(pauses) > 300
    assert max(pauses) <= 120


def test_slow_completion_polls_until_it_is_completed_and_waits_as_long_as_the_function_says(
    mocked: MockedMachine,
) -> None:
    execution = mocked.run("SlowCompletion")
    assert execution.iterations == ((*CREATED, *POLL * 4, "Distribution Invalidated"),)
    assert execution.waited_in("Wait For Invalidation") == [5, 5, 10, 20]


def test_an_invalidation_that_is_completed_when_it_is_created_is_not_polled(mocked: MockedMachine) -> None:
    assert mocked.run("CompletedWhenCreated").iterations == ((*CREATED, "Distribution Invalidated"),)


def test_a_throttled_call_is_tried_again_in_the_same_state(mocked: MockedMachine) -> None:
    execution = mocked.run("ThrottledThenFine")
    assert execution.errors("Create Invalidation") == ("CloudFrontThrottled",) * 3
    assert execution.errors("Get Invalidation") == ("CloudFrontThrottled",)
    assert execution.iterations == ((*CREATED, *POLL, "Distribution Invalidated"),)


def test_a_call_that_stays_throttled_waits_for_room_like_one_that_finds_none(mocked: MockedMachine) -> None:
    execution = mocked.run("ThrottledBeyondItsRetries")
    assert execution.errors("Create Invalidation") == ("CloudFrontThrottled",) * 5
    assert execution.iterations == ((*NO_ROOM, *CREATED, *POLL, "Distribution Invalidated"),)


def test_too_many_in_progress_waits_longer_each_time_without_using_up_retries(mocked: MockedMachine) -> None:
    execution = mocked.run("TooManyInProgressThenFine")
    assert execution.iterations == ((*NO_ROOM * 3, *CREATED, *POLL, "Distribution Invalidated"),)
    waits = execution.waited_in("Wait For Room")
    assert all(5 <= seconds <= ceiling for seconds, ceiling in zip(waits, (15, 30, 45), strict=True))


def test_what_is_sent_in_parts_goes_on_after_a_short_wait(mocked: MockedMachine) -> None:
    execution = mocked.run("SentInParts")
    assert execution.iterations == ((*PART_SENT * 2, *CREATED, *POLL, "Distribution Invalidated"),)
    waits = execution.waited_in("Wait For Room")
    assert all(1 <= seconds <= 4 for seconds in waits), "States.MathRandom leaves its end out, moto does not"


@pytest.mark.parametrize("case", ["AccessDenied", "NoSuchDistribution", "NoRoomInTime"])
def test_a_permanent_error_is_not_tried_again_by_the_machine(mocked: MockedMachine, case: str) -> None:
    execution = mocked.run(case)
    assert execution.errors("Create Invalidation").count(case) == 1
    assert execution.iterations[0][-1] == "Distribution Failed"


def test_the_failure_of_a_distribution_is_told_by_its_name_to_finish_batch(mocked: MockedMachine) -> None:
    (payload,) = mocked.run("AccessDenied").payloads("Finish Batch")
    (result,) = payload["state"]["results"]
    assert (result["distributionId"], result["outcome"], result["error"]) == (
        "E2QWRUHAPOMQZL",
        "Failed",
        "AccessDenied",
    )
    assert "cloudfront:CreateInvalidation" in result["cause"]


def test_one_distribution_failing_does_not_stop_the_other(mocked: MockedMachine) -> None:
    execution = mocked.run("OneOfTwoDistributionsFails")
    assert sorted(iteration[-1] for iteration in execution.iterations) == [
        "Distribution Failed",
        "Distribution Invalidated",
    ]
    (payload,) = execution.payloads("Finish Batch")
    assert sorted(each["outcome"] for each in payload["state"]["results"]) == ["Failed", "Invalidated"]
    assert (execution.status, execution.error) == ("FAILED", "AccessDenied")


def test_an_invalidation_that_never_completes_ends_the_polling(mocked: MockedMachine) -> None:
    execution = mocked.run("NeverCompletes")
    polls_without_an_end = (*CREATED, *POLL * 3, "Wait For Invalidation", "Get Invalidation", "Distribution Failed")
    assert execution.iterations == (polls_without_an_end,)


@pytest.mark.parametrize("case", ["Follower", "Ignored", "Paused", "NothingOwed"])
def test_whoever_does_not_lead_is_done_after_three_states(mocked: MockedMachine, case: str) -> None:
    assert len(mocked.run(case).states) == 3


def test_a_follower_tells_who_leads(mocked: MockedMachine) -> None:
    output = mocked.run("Follower").output
    assert output["role"] == "follower"
    assert output["leader"].startswith("arn:aws:states:")


FAILURES_OUTSIDE_THE_MAP = {
    "JoinFails": ("Join Batch", 7),
    "CloseFails": ("Close Batch", 7),
    "ResolveFails": ("Resolve Distributions", 1),
}


@pytest.mark.parametrize(("case", "state", "tries"), [(case, *each) for case, each in FAILURES_OUTSIDE_THE_MAP.items()])
def test_a_failed_step_is_written_down_announced_and_told(
    mocked: MockedMachine, case: str, state: str, tries: int
) -> None:
    execution = mocked.run(case)
    assert execution.tries(state) == tries
    assert execution.states[execution.states.index(state) + 1 :] == (*ENDING, BATCH_FAILED)


def test_a_rejected_request_is_written_down_announced_and_told(mocked: MockedMachine) -> None:
    execution = mocked.run("Rejected")
    assert execution.states == ("Join Batch", "Leads The Batch?", *ENDING, BATCH_FAILED)
    (payload,) = execution.payloads("Finish Batch")
    assert payload["state"]["failure"]["error"] == "InvalidRequest"


def test_when_finishing_fails_people_are_told_all_the_same(mocked: MockedMachine) -> None:
    execution = mocked.run("FinishFails")
    assert execution.tries("Finish Batch") == 7
    assert execution.states[-4:] == ("Finish Batch", "Notify", "All Completed?", BATCH_FAILED)


def test_an_event_that_is_never_taken_is_told_in_the_notification(mocked: MockedMachine) -> None:
    execution = mocked.run("AnnouncingFails")
    assert execution.tries("Announce Outcome") == 6
    (payload,) = execution.payloads("Notify")
    assert payload["state"]["announceFailure"]["Error"] == "EventBridge.FailedEntry"
    assert payload["state"]["outcome"]["outcome"] == "Completed"


def test_a_notification_that_is_never_taken_fails_the_run_after_its_retries(mocked: MockedMachine) -> None:
    execution = mocked.run("NotificationFails")
    assert execution.tries("Notify") == 6
    assert "SNS did not take the notification" in execution.cause
