"""One bucket behind three kinds of distributions: each is sent exactly the paths under which it serves a key."""

from dataclasses import dataclass

import pytest

from invalidations_cli.local import deploy, site
from invalidations_cli.local.aws import LocalAws
from invalidations_cli.local.environment import LocalEnvironment
from tests.local import distributions, fresh, tools

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("local")]

BUCKET = "three-ways"


@dataclass(frozen=True, slots=True)
class ThreeWays:
    aws: LocalAws
    state_machine_arn: str
    behind_origin_path: str
    on_pattern: str
    of_website: str

    def put(self, key: str) -> None:
        """Write an object, and wait until the execution that it started has ended well."""
        before = {each["executionArn"] for each in tools.executions(self.aws, self.state_machine_arn)}
        self.aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"new")

        def ended() -> list[str]:
            now = tools.executions(self.aws, self.state_machine_arn)
            return [each["status"] for each in now if each["executionArn"] not in before and "stopDate" in each]

        assert tools.eventually(ended) == ["SUCCEEDED"]

    def paths(self, distribution_id: str) -> list[tuple[str, ...]]:
        """What was sent to it, an entry for each invalidation."""
        return [each.paths for each in fresh.invalidations(self.aws, distribution_id)]


@pytest.fixture(scope="module")
def three(local: LocalEnvironment) -> ThreeWays:
    aws = local.aws
    site.create_bucket(aws, BUCKET)
    outputs = deploy.deploy(
        aws, deploy.load(), {"BucketNames": BUCKET, "BatchWindowSeconds": "1"}, stack="three-distributions"
    )
    return ThreeWays(
        aws,
        outputs["StateMachineArn"],
        distributions.create(aws, distributions.behind_an_origin_path(BUCKET, "/static")),
        distributions.create(aws, distributions.on_a_pattern_only(BUCKET, "/static/*")),
        distributions.create(aws, distributions.of_its_website(BUCKET)),
    )


def test_each_distribution_is_sent_exactly_the_paths_under_which_it_serves_the_changed_key(three: ThreeWays) -> None:
    three.put("static/index.html")
    # /static is the root of the first, so that index.html is also its default root object.
    assert three.paths(three.behind_origin_path) == [("/", "/index.html")]
    assert three.paths(three.on_pattern) == [("/static/index.html",)]
    # A website answers for a directory with its index document, and without the slash with a redirect.
    assert three.paths(three.of_website) == [("/static", "/static/", "/static/index.html")]

    three.put("about us/ü+1%.html")
    assert len(three.paths(three.behind_origin_path)) == 1, "the key is outside its OriginPath"
    assert len(three.paths(three.on_pattern)) == 1, "its behaviour for this path goes to another origin"
    # As documented, and as viewers write a space and a plus: S3 takes a raw plus for a space.
    assert three.paths(three.of_website)[1:] == [
        (
            "/about%20us/%C3%BC%2B1%25.html",
            "/about%20us/%C3%BC+1%25.html",
            "/about+us/%C3%BC%2B1%25.html",
            "/about+us/%C3%BC+1%25.html",
        )
    ]
