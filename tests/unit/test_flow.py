from __future__ import annotations

from typing import Any

import pytest

from invalidations_cli.report.flow import Transition, condition, flow


def test_edges_carry_the_choices_answers_and_the_errors_that_a_catch_names() -> None:
    states = {
        "Work": {
            "Type": "Task",
            "Next": "Done?",
            "Catch": [
                {"ErrorEquals": ["NoRoom", "Throttled"], "Next": "Wait"},
                {"ErrorEquals": ["States.ALL"], "Next": "Broken"},
            ],
        },
        "Done?": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.status", "StringEquals": "Completed", "Next": "Finished"}],
            "Default": "Wait",
        },
        "Wait": {"Type": "Wait", "Seconds": 1, "Next": "Work"},
        "Finished": {"Type": "Succeed"},
        "Broken": {"Type": "Fail"},
    }
    assert flow({"StartAt": "Work", "States": states}).edges == (
        Transition("Work", "Done?", "next"),
        Transition("Work", "Wait", "catch", "NoRoom, Throttled"),
        Transition("Work", "Broken", "catch"),
        Transition("Done?", "Finished", "choice", "Completed"),
        Transition("Done?", "Wait", "default", "otherwise"),
        Transition("Wait", "Work", "next"),
    )


def test_several_answers_that_lead_to_one_state_share_an_edge() -> None:
    rules = [{"Variable": "$.role", "StringEquals": role, "Next": "Out"} for role in ("a", "b")]
    machine = flow(
        {
            "StartAt": "Q",
            "States": {"Q": {"Type": "Choice", "Choices": rules, "Default": "Out"}, "Out": {"Type": "Pass"}},
        }
    )
    assert machine.edges == (Transition("Q", "Out", "choice", "a / b / otherwise"),)


def test_a_catch_of_any_error_swallows_the_names_of_another_catch_to_the_same_state() -> None:
    catchers = [{"ErrorEquals": ["A"], "Next": "Out"}, {"ErrorEquals": ["States.ALL"], "Next": "Out"}]
    machine = flow({"StartAt": "T", "States": {"T": {"Type": "Task", "Catch": catchers}, "Out": {"Type": "Pass"}}})
    assert machine.edges == (Transition("T", "Out", "catch"),)


def test_states_inside_maps_and_parallels_are_walked_with_the_container_that_they_are_in() -> None:
    inner = {"StartAt": "Inner", "States": {"Inner": {"Type": "Pass", "End": True}}}
    branch = {"StartAt": "Each", "States": {"Each": {"Type": "Map", "ItemProcessor": inner, "End": True}}}
    machine = flow({"StartAt": "Both", "States": {"Both": {"Type": "Parallel", "Branches": [branch], "End": True}}})
    assert [(state.name, container) for state, container in machine.walk()] == [
        ("Both", None),
        ("Each", "Both"),
        ("Inner", "Each"),
    ]


def test_the_older_spelling_of_a_maps_item_processor_is_read_too() -> None:
    inner = {"StartAt": "Inner", "States": {"Inner": {"Type": "Pass", "End": True}}}
    machine = flow({"StartAt": "Each", "States": {"Each": {"Type": "Map", "Iterator": inner, "MaxConcurrency": 3}}})
    assert machine.states[0].machines[0].start == "Inner"
    assert machine.states[0].note == "for each item, 3 at a time"


@pytest.mark.parametrize(
    ("task", "resource"),
    [
        ({"Resource": "arn:aws:states:::events:putEvents"}, "events:putEvents"),
        ({"Resource": "arn:aws-cn:states:::sns:publish.waitForTaskToken"}, "sns:publish.waitForTaskToken"),
        ({"Resource": "arn:aws:lambda:eu-west-1:123456789012:function:Notify"}, "Notify"),
        (
            {"Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "${NotifyFunctionArn}"}},
            "NotifyFunctionArn",
        ),
        (
            {
                "Resource": "arn:aws:states:::lambda:invoke",
                "Arguments": {"FunctionName": "arn:aws:lambda:eu-west-1:123456789012:function:Notify"},
            },
            "Notify",
        ),
    ],
)
def test_what_a_task_calls_is_told_in_few_words(task: dict[str, Any], resource: str) -> None:
    machine = flow({"StartAt": "T", "States": {"T": {"Type": "Task", **task, "End": True}}})
    assert machine.states[0].resource == resource


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"Variable": "$.role", "StringEquals": "leader"}, "leader"),
        ({"Variable": "$.plan.count", "NumericGreaterThan": 0}, "count > 0"),
        ({"Variable": "$.n", "NumericLessThanEqualsPath": "$.limits.most"}, "n ≤ most"),
        ({"Variable": "$.completed", "BooleanEquals": True}, "completed"),
        ({"Variable": "$.completed", "BooleanEquals": False}, "not completed"),
        ({"Variable": "$.error", "IsPresent": True}, "error is present"),
        ({"Variable": "$.error", "IsNull": False}, "error is not null"),
        ({"Variable": "$.key", "StringMatches": "*.html"}, "key like *.html"),
        ({"Variable": "$.at", "TimestampLessThan": "2026-01-01T00:00:00Z"}, "at < 2026-01-01T00:00:00Z"),
        ({"Not": {"Variable": "$.role", "StringEquals": "leader"}}, "not leader"),
        (
            {"Or": [{"Variable": "$.a", "BooleanEquals": True}, {"Variable": "$.b", "NumericEquals": 1}]},
            "a or b = 1",
        ),
        ({"Condition": "{% $states.input.n > 3 %}"}, "$states.input.n > 3"),
        ({}, ""),
    ],
)
def test_a_choice_rule_is_told_in_few_words(rule: dict[str, Any], words: str) -> None:
    assert condition(rule) == words


@pytest.mark.parametrize("definition", [{}, {"States": {}}, {"StartAt": "B", "States": {"A": {}}}, {"States": ["A"]}])
def test_what_is_no_definition_is_refused(definition: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no state machine definition"):
        flow(definition)
