"""What makes the suite quick, so that it is noticed when it no longer does."""

from pathlib import Path

import boto3

from tests.conftest import LONGEST


def test_the_files_that_are_to_go_first_are_there() -> None:
    assert set(LONGEST) - {path.name for path in Path(__file__).parents[1].rglob("test_*.py")} == set()


def test_two_sessions_of_boto3_have_read_a_model_of_aws_once() -> None:
    """It rests on a private attribute of botocore's loader."""
    loaders = [boto3.Session()._session.get_component("data_loader") for _ in range(2)]
    first, second = (loader.load_service_model("sqs", "service-2") for loader in loaders)
    assert loaders[0] is not loaders[1]
    assert first is second
