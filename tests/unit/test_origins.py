from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invalidation.cloudfront.distribution import Match, is_endpoint, is_website, match
from tests.unit.data import rows

DOMAINS = rows("origin_domains.csv")

bucket_names = st.from_regex(r"[a-z0-9][a-z0-9.-]{1,30}[a-z0-9]", fullmatch=True).filter(lambda name: "s3" not in name)
regions = st.sampled_from(["eu-west-1", "us-gov-east-1", "ap-southeast-5", "me-central-1"])
services = st.one_of(
    st.just("s3.amazonaws.com"),
    regions.flatmap(
        lambda region: st.sampled_from(
            [
                f"s3.{region}.amazonaws.com",
                f"s3-{region}.amazonaws.com",
                f"s3.dualstack.{region}.amazonaws.com",
                f"s3-website-{region}.amazonaws.com",
                f"s3-website.{region}.amazonaws.com",
                f"s3.{region}.amazonaws.com.cn",
            ]
        )
    ),
)


@pytest.mark.parametrize("row", DOMAINS, ids=[f"{row['bucket']} at {row['domain_name']}" for row in DOMAINS])
def test_a_domain_name_is_read_as_the_documentation_says(row: dict[str, str]) -> None:
    assert match(row["domain_name"], row["bucket"]) is Match(row["match"])
    assert is_website(row["domain_name"]) == (row["website"] == "yes")


@settings(deadline=None)
@given(bucket=bucket_names, other=bucket_names, service=services, data=st.data())
def test_a_bucket_s_domain_name_is_that_bucket_and_no_other(
    bucket: str, other: str, service: str, data: st.DataObject
) -> None:
    domain_name = f"{bucket}.{service}"
    cased = "".join(data.draw(st.sampled_from([char, char.upper()])) for char in domain_name)
    assert match(cased, bucket) is Match.THIS_BUCKET
    assert (match(cased, other) is Match.THIS_BUCKET) == (other == bucket)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_no_text_is_too_odd_to_be_read(text: str) -> None:
    assert match(text, "site") in set(Match)


@pytest.mark.parametrize(
    ("domain_name", "endpoint"),
    [
        ("s3.amazonaws.com", True),
        ("S3.eu-west-1.amazonaws.com", True),
        ("s3-eu-west-1.amazonaws.com", True),
        ("site.s3.eu-west-1.amazonaws.com", False),
        ("s3-website-eu-west-1.amazonaws.com", False),
        ("example.com", False),
    ],
)
def test_an_endpoint_without_a_bucket_is_told_from_one_with(domain_name: str, endpoint: bool) -> None:
    assert is_endpoint(domain_name) == endpoint
