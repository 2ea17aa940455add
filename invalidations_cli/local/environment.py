"""The local AWS as a whole. An emulator, the stack deployed in it, and a web site for it to watch."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from invalidations_cli.local import deploy, server, site
from invalidations_cli.local.aws import SECRET, LocalAws
from invalidations_cli.local.package import BuildProblem, deployment_package, lambda_interpreter
from invalidations_cli.local.settings import ACCOUNT, REGION, LocalSettings

BUCKET = "my-web-site"
QUEUE = "notifications"
Problem = (BuildProblem, deploy.DeployProblem, server.EmulatorProblem)
"""What `running` raises; each message says what to do."""


@dataclass(frozen=True, slots=True)
class LocalEnvironment:
    """What is there, as `up --json` prints it."""

    server: server.EmulatorProcess
    aws: LocalAws
    bucket: str
    distribution_id: str
    distribution_domain: str
    queue_url: str
    outputs: Mapping[str, str]

    @property
    def endpoint(self) -> str:
        return self.server.endpoint

    @property
    def state_machine_arn(self) -> str:
        return self.outputs["StateMachineArn"]

    @property
    def topic_arn(self) -> str:
        return self.outputs["NotificationTopicArn"]

    def to_json(self) -> str:
        return json.dumps(
            {
                "endpoint": self.endpoint,
                "region": REGION,
                "accessKeyId": ACCOUNT,
                "secretAccessKey": SECRET,
                "bucket": self.bucket,
                "distributionId": self.distribution_id,
                "distributionDomain": self.distribution_domain,
                "stateMachineArn": self.state_machine_arn,
                "topicArn": self.topic_arn,
                "queueUrl": self.queue_url,
                "outputs": dict(self.outputs),
                "pid": self.server.process.pid,
            }
        )


def ignore(_text: str) -> None:
    """Say nothing."""


@contextlib.contextmanager
def running(
    settings: LocalSettings | None = None,
    port: int | None = None,
    parameters: Mapping[str, str] | None = None,
    say: Callable[[str], None] = ignore,
    template: deploy.Template | None = None,
) -> Iterator[LocalEnvironment]:
    """A local AWS for as long as the context lasts; raises what `Problem` lists.

    `parameters` are the stack's, over its defaults; `say` gets a line about each step; `template` is the project's own
    unless another is given.
    """
    say("Building the deployment package (some seconds the first time) …")
    interpreter = lambda_interpreter()
    deployment_package()
    say("Starting a local AWS …")
    chosen = replace(settings or LocalSettings(), lambda_python=str(interpreter))
    with server.running(chosen, port) as emulator:
        if port is None and emulator.port != server.USUAL_PORT:
            say(f"Port {server.USUAL_PORT} is taken, perhaps by another local AWS: this one is at {emulator.port}.")
        aws = LocalAws(emulator.endpoint)
        site.create_bucket(aws, BUCKET)
        say(f"Deploying template.yaml into {emulator.endpoint} …")
        outputs = deploy.deploy(aws, template or deploy.load(), {"BucketNames": BUCKET, **(parameters or {})})
        site.send_events_to_eventbridge(aws, BUCKET)
        distribution = site.create_distribution(aws, BUCKET)
        yield LocalEnvironment(
            server=emulator,
            aws=aws,
            bucket=BUCKET,
            distribution_id=distribution.distribution_id,
            distribution_domain=distribution.domain_name,
            queue_url=site.subscribe_queue(aws, outputs["NotificationTopicArn"], QUEUE),
            outputs=outputs,
        )
