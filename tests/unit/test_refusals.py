from __future__ import annotations

import pytest

from invalidation.cloudfront.client import refusal
from invalidation.errors import ERRORS, is_transient
from tests.unit.data import rows

CODES = rows("error_codes.csv")


@pytest.mark.parametrize("row", CODES, ids=[f"{row['code']} {row['status']}" for row in CODES])
def test_a_code_becomes_the_error_that_says_what_to_do(row: dict[str, str]) -> None:
    error = refusal("CreateInvalidation", "distribution/E1", row["code"], int(row["status"]), "no, said the service")
    assert type(error) is ERRORS[row["error"]]
    assert is_transient(row["error"]) == (row["transient"] == "yes")
    message = str(error)
    assert message.startswith(f"CreateInvalidation on distribution/E1: {row['code']} (no, said the service). ")
    assert message.endswith("."), "advice follows"


@pytest.mark.parametrize(
    ("call", "resource", "advice"),
    [
        ("ListDistributions", "*", "Grant cloudfront:ListDistributions on * to"),
        (
            "CreateInvalidation",
            "distribution/E1",
            "Grant cloudfront:CreateInvalidation on arn:aws:cloudfront::<account>:distribution/E1 to",
        ),
    ],
)
def test_a_denial_names_the_action_and_the_resource_to_grant(call: str, resource: str, advice: str) -> None:
    assert advice in str(refusal(call, resource, "AccessDenied", 403, "User is not authorized"))


def test_a_long_message_of_the_service_is_cut() -> None:
    assert len(str(refusal("GetInvalidation", "distribution/E1", "InternalError", 500, "x" * 10_000))) == 1_000
