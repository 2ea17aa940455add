"""What the template asks for, and what it refuses before anything is created."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.definition import ROOT, template
from tools.rendering import rendered, translated

TEMPLATE = template()
PARAMETERS: dict[str, dict[str, Any]] = TEMPLATE["Parameters"]
MOST_PARAMETERS = 24
PATTERN_CHARACTERS = 2_048
"""EventBridge User Guide, "Quotas": the size of an event pattern."""
ENVIRONMENT_BYTES = 4_096
"""Lambda Developer Guide, "Quotas": all of a function's environment variables."""
REGIONS_WITHOUT_PIPES = {
    "ap-east-2",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-west-1",
    "il-central-1",
    "mx-central-1",
}
bucket_names = st.from_regex(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", fullmatch=True)


def accepted(name: str, value: str) -> bool:
    """Whether CloudFormation would take a value of a parameter."""
    declared = PARAMETERS[name]
    fits = bool(re.fullmatch(declared.get("AllowedPattern", ".*"), value, re.DOTALL))
    return (
        fits
        and len(value) <= declared.get("MaxLength", 4_096)
        and value in map(str, declared.get("AllowedValues", [value]))
    )


def refusals(values: dict[str, str]) -> list[str]:
    """What the template's rules say to these values of parameters and pseudo parameters."""
    known = {name: str(each.get("Default", "my-site")) for name, each in PARAMETERS.items()}
    known |= {"AWS::Region": "us-east-1"} | values
    return [
        str(each["AssertDescription"])
        for rule in TEMPLATE["Rules"].values()
        if _holds(rule.get("RuleCondition", {"Fn::Equals": [1, 1]}), known)
        for each in rule["Assertions"]
        if not _holds(each["Assert"], known)
    ]


def _holds(condition: Any, known: dict[str, str]) -> bool:
    def value(each: Any) -> Any:
        return known[each["Ref"]] if isinstance(each, dict) else each

    match condition:
        case {"Fn::Equals": [one, other]}:
            return bool(value(one) == value(other))
        case {"Fn::Not": [negated]}:
            return not _holds(negated, known)
        case {"Fn::Contains": [some, one]}:
            return value(one) in some
    raise AssertionError(condition)


def test_nobody_is_asked_for_more_than_the_buckets() -> None:
    assert [name for name, each in PARAMETERS.items() if "Default" not in each] == ["BucketNames"]


def test_there_are_few_parameters_and_each_has_its_place_in_the_console() -> None:
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(PARAMETERS)
    assert len(PARAMETERS) <= MOST_PARAMETERS


def test_each_default_is_accepted() -> None:
    assert [name for name, each in PARAMETERS.items() if not accepted(name, str(each.get("Default", "my-site")))] == []


def test_a_pattern_says_in_words_what_it_accepts() -> None:
    assert [
        name for name, each in PARAMETERS.items() if "AllowedPattern" in each and "ConstraintDescription" not in each
    ] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BucketNames", "my-site,www.example.com"),
        ("ExcludeKeys", "logs/*,*.tmp,a b,*/.git/*"),
        ("DistributionIds", "E2QWRUHAPOMQZL,E1"[:14]),
        ("DistributionRoleArn", "arn:aws-cn:iam::123456789012:role/x"),
        ("VerifyAtEdge", "www.example.com"),
    ],
)
def test_what_people_write_is_accepted(name: str, value: str) -> None:
    assert accepted(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BucketNames", ""),
        ("BucketNames", "my-site, other"),
        ("BucketNames", "My_Site"),
        ("BucketNames", ",".join(f"a{number:02}" for number in range(101))),
        ("BucketNames", ",".join(f"{number:063}" for number in range(19))),
        ("ExcludeKeys", "**/x"),
        ("ExcludeKeys", "logs/**"),
        ("ExcludeKeys", "*"),
        ("ExcludeKeys", "a, b"),
        ("ExcludeKeys", 'a"b'),
        ("ExcludeKeys", "a\\*"),
        ("ExcludeKeys", "x" * 301),
        ("VerifyAtEdge", "yes"),
        ("EnableBucketEvents", "maybe"),
    ],
)
def test_what_a_deploy_would_fail_with_is_refused_before_it(name: str, value: str) -> None:
    assert not accepted(name, value)


@given(
    names=st.lists(bucket_names, min_size=1, max_size=100),
    keys=st.lists(st.from_regex(r"[a-z*][a-z]{1,20}\*?"), max_size=20),
)
def test_whatever_is_accepted_fits_into_the_event_pattern(names: list[str], keys: list[str]) -> None:
    while not accepted("BucketNames", ",".join(names)):
        names.pop()
    keys = [each.strip() for each in keys]
    while not accepted("ExcludeKeys", ",".join(keys)):
        keys.pop()
    assert len(_pattern(",".join(names), ",".join(keys))) <= PATTERN_CHARACTERS


def test_the_largest_that_is_accepted_fits_into_pattern_and_environment() -> None:
    names = ",".join(f"bucket-{number:04}" for number in range(100))
    keys = ",".join(f"{number:02}*-------" for number in range(20))
    longest = {"BucketNames": names + "x" * (1_200 - len(names)), "ExcludeKeys": keys + "x" * (300 - len(keys))}
    assert len(_pattern(**longest)) <= PATTERN_CHARACTERS
    values = longest | {
        name: "x" * each.get("MaxLength", 60)
        for name, each in PARAMETERS.items()
        if name not in longest and each["Type"] == "String"
    }
    values |= {"DistributionIds": ",".join(["E" * 32] * 40), "DistributionRoleArn": "x" * 600}
    made = rendered(translated(ROOT / "template.yaml"), values)
    for name, each in made["Resources"].items():
        if each["Type"] == "AWS::Lambda::Function":
            variables = each["Properties"]["Environment"]["Variables"]
            assert sum(len(key) + len(value) for key, value in variables.items()) <= ENVIRONMENT_BYTES, name


SOURCE = translated(ROOT / "template.yaml")


def _pattern(BucketNames: str, ExcludeKeys: str) -> str:  # noqa: N803 # parameters of the template
    made = rendered(
        {
            **SOURCE,
            "Resources": {"ChangeRule": SOURCE["Resources"]["ChangeRule"]["Properties"]["EventPattern"] | {"Type": ""}},
        },
        {"BucketNames": BucketNames, "ExcludeKeys": ExcludeKeys},
    )
    pattern = {key: value for key, value in made["Resources"]["ChangeRule"].items() if key != "Type"}
    return json.dumps(pattern, separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize("region", sorted(REGIONS_WITHOUT_PIPES))
def test_where_there_are_no_pipes_buffered_intake_is_refused_and_direct_intake_is_not(region: str) -> None:
    (told,) = refusals({"AWS::Region": region, "Intake": "Buffered"})
    assert "Intake=Direct" in told
    assert refusals({"AWS::Region": region, "Intake": "Direct"}) == []
    made = rendered(SOURCE, {"BucketNames": "my-site", "AWS::Region": region})
    assert not [name for name, each in made["Resources"].items() if "Pipe" in name or "Pipes" in each["Type"]]


def test_where_there_are_pipes_either_intake_is_accepted() -> None:
    for intake in ("Direct", "Buffered"):
        assert refusals({"Intake": intake}) == []
        made = rendered(SOURCE, {"BucketNames": "my-site", "Intake": intake})
        assert "IntakePipe" in made["Resources"], "what is in the queue drains after a switch"


@pytest.mark.parametrize("region", ["us-gov-east-1", "us-gov-west-1", "eusc-de-east-1"])
def test_a_partition_without_cloudfront_is_refused_by_name(region: str) -> None:
    (told,) = refusals({"AWS::Region": region})
    assert "GovCloud" in told
    assert "Sovereign" in told


def test_china_is_no_special_case_and_no_partition_is_written_down() -> None:
    assert refusals({"AWS::Region": "cn-north-1"}) == []
    text = (ROOT / "template.yaml").read_text(encoding="utf-8")
    assert "arn:aws:" not in text
    assert "arn:aws-cn:" not in text
