"""What a report says of a batch in the product's own terms, and what no file can make it say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invalidations_cli.report.page import render
from invalidations_cli.report.summary import summary_of
from tests.recordings.batch import ARN, BATCH, DISTRIBUTIONS, read_batch_history
from tests.recordings.history import History, machine, run_of


def test_a_batch_is_summed_up_by_outcome_paths_invalidations_and_price() -> None:
    batch = summary_of(read_batch_history())["batch"]
    assert (batch["outcome"], batch["batchId"]) == ("PartlyFailed", BATCH)
    assert (batch["bucket"], batch["changes"]) == ("my-site", 40)
    assert (batch["paths"], batch["wildcards"], batch["price"]) == (3, 1, 0.015)
    assert [each["id"] for each in batch["distributions"]] == list(DISTRIBUTIONS)
    assert [each["invalidations"] for each in batch["distributions"]] == [["I1AAAAAAAAAAAA", "I2BBBBBBBBBBBB"], []]


def test_each_state_entered_and_each_retry_is_a_transition() -> None:
    history = History().entered("A").tried("Slow").tried().exited("A")
    summary = summary_of(run_of(machine(A={"Type": "Task", "End": True}), history))
    assert (summary["transitions"], summary["dollars"]) == (2, 0.00005)


def test_an_execution_of_another_machine_has_transitions_and_no_batch() -> None:
    summary = summary_of(run_of(machine(A={"Type": "Pass", "End": True}), History().entered("A", "Pass")))
    assert (summary["batch"], summary["console"], summary["transitions"]) == (None, None, 1)


def test_the_consoles_page_is_that_of_the_executions_region() -> None:
    assert summary_of(read_batch_history())["console"] == (
        f"https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/{ARN}"
    )


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:states:evil.example/#:123456789012:execution:m:n",
        "arn:aws:states:eu-west-1.evil-1:123456789012:execution:m:n",
        'arn:aws:states:eu-west-1:123456789012:execution:m:n"><script>',
        "javascript:alert(1)",
        "arn:aws:states:us-east-1:000000000000:execution:m:n",
        "",
    ],
)
def test_no_file_decides_where_a_link_leads_and_local_executions_have_none(arn: str) -> None:
    assert summary_of(read_batch_history(arn))["console"] is None


ANYTHING = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=2)
NAMES = ["outcome", "batchId", "bucket", "changes", "price", "error", "message", "targets", "targetsOmitted"]


@given(st.dictionaries(st.sampled_from(NAMES), ANYTHING))
def test_an_outcome_of_any_form_gives_a_page(outcome: dict[str, Any]) -> None:
    batch = summary_of(read_batch_history(**outcome))["batch"]
    assert all(isinstance(batch[name], str) for name in ("outcome", "batchId", "bucket", "error", "message"))
    assert all(isinstance(batch[name], int) for name in ("changes", "paths", "omitted"))


def test_the_page_carries_the_summary() -> None:
    assert "I1AAAAAAAAAAAA" in render(read_batch_history())
