"""What AWS does and plain ministack does not: one behaviour for each patch, told through AWS's own APIs.

Each takes an empty emulator and answers whether it behaves as AWS does. `test_canaries.py` asks both emulators.
"""

import json
import time
from typing import Any

from invalidations_cli.local.aws import LocalAws
from tests.local import tools

OUTSIDE = "192.0.2.1"
"""An address for documentation (RFC 5737): it is nobody's, and a numeric one is not looked up anywhere."""


def loopback_only(aws: LocalAws) -> bool:
    """A handler cannot reach beyond this machine."""
    source = f"import socket\ndef handler(event, context):\n    return len(socket.getaddrinfo({OUTSIDE!r}, 443)) > 0\n"
    return tools.call(aws, tools.function(aws, source)) is not True


def request_guard(aws: LocalAws) -> bool:
    """What a web page sends is refused, and no answer carries a CORS header."""
    own = tools.requested(aws, "GET", "/_ministack/health")
    of_a_page = tools.requested(aws, "GET", "/_ministack/health", Origin="https://example.com")
    cors = [name for _status, headers in (own, of_a_page) for name in headers if name.startswith("access-control-")]
    return [own[0], of_a_page[0], cors] == [200, 403, []]


def lambda_processes(aws: LocalAws) -> bool:
    """A function works in a home of its own, without the emulator's variables, and starts no process."""
    source = """
import os, subprocess
def handler(event, context):
    try:
        subprocess.run(["true"])
    except PermissionError:
        return [os.environ["HOME"], os.environ["TMPDIR"], os.environ.get("GATEWAY_PORT")]
    return "started"
"""
    first, second = (tools.call(aws, tools.function(aws, source)) for _ in range(2))
    return first != "started" and first[0] != second[0] and first[1].startswith(first[0]) and not first[2]


def lambda_errors(aws: LocalAws) -> bool:
    """A failed call says which error was raised, and the same worker takes the next call."""
    source = (
        "import os\nclass Throttled(Exception): pass\ndef handler(event, context):\n    raise Throttled(os.getpid())\n"
    )
    arn = tools.function(aws, source)
    first, second = tools.call(aws, arn), tools.call(aws, arn)
    return [first["errorType"], first["errorMessage"]] == ["Throttled", str(second["errorMessage"])]


def lambda_interpreter(aws: LocalAws) -> bool:
    """A handler finds boto3, and nothing that only the project's tools need."""
    source = (
        "from importlib.util import find_spec\n"
        "def handler(event, context):\n    return [bool(find_spec(name)) for name in ('boto3', 'ministack', 'click')]\n"
    )
    return bool(tools.call(aws, tools.function(aws, source)) == [True, False, False])


def lambda_shared_code(aws: LocalAws) -> bool:
    """Two functions with the same package run from the same files."""
    source = "import os\ndef handler(event, context):\n    return os.path.realpath(__file__)\n"
    return bool(tools.call(aws, tools.function(aws, source)) == tools.call(aws, tools.function(aws, source)))


def lambda_queue(aws: LocalAws) -> bool:
    """Of four tasks that start together, no more than two run at once."""
    source = """
import time
def handler(event, context):
    at = time.time()
    time.sleep(0.6)
    return [at, time.time()]
"""
    task = lambda_task(tools.function(aws, source), End=True, TimeoutSeconds=20, OutputPath="$.Payload")
    machine = tools.machine(aws, {"Work": task})
    started = [tools.start(aws, machine) for _ in range(4)]
    spans = [json.loads(tools.ended(aws, arn)["output"]) for arn in started]
    return bool(max(sum(begin <= at < end for begin, end in spans) for at, _end in spans) <= 2)


def step_functions_endings(aws: LocalAws) -> bool:
    """An execution times out; one that was stopped stays stopped when its task fails afterwards."""
    late = tools.start(aws, tools.machine(aws, {"Wait": {"Type": "Wait", "Seconds": 3, "End": True}}, TimeoutSeconds=1))
    source = "import time\ndef handler(event, context):\n    time.sleep(3)\n    raise ValueError\n"
    task = lambda_task(tools.function(aws, source), End=True)
    stopped = tools.start(aws, tools.machine(aws, {"Fail": task}))
    tools.eventually(lambda: len(tools.history(aws, stopped)) > 2)
    aws.client("stepfunctions").stop_execution(executionArn=stopped)
    time.sleep(5)
    return [tools.ended(aws, arn)["status"] for arn in (late, stopped)] == ["TIMED_OUT", "ABORTED"]


def step_functions_retries(aws: LocalAws) -> bool:
    """MaxDelaySeconds bounds what a retry waits."""
    retry = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 600, "MaxAttempts": 1, "MaxDelaySeconds": 1}
    nowhere = "arn:aws:lambda:us-east-1:123456789012:function:nowhere"
    execution = tools.start(aws, tools.machine(aws, {"Fail": lambda_task(nowhere, End=True, Retry=[retry])}))
    return bool(tools.ended(aws, execution, tools.timeout(aws, 3))["status"] == "FAILED")


def step_functions_history(aws: LocalAws) -> bool:
    """The history tells of the states inside a Map, and what each event came after."""
    inner = {"StartAt": "Inner", "States": {"Inner": {"Type": "Pass", "End": True}}}
    each = {"Type": "Map", "ItemsPath": "$", "ItemProcessor": inner, "End": True}
    execution = tools.start(aws, tools.machine(aws, {"Each": each}), [1, 2])
    tools.ended(aws, execution)
    events = tools.history(aws, execution)
    ids = [event["id"] for event in events]
    return (
        tools.states_entered(aws, execution).count("Inner") == 2
        and sum(event["type"] == "MapIterationSucceeded" for event in events) == 2
        and ids == sorted(set(ids))
        and all(event.get("previousEventId", -1) < event["id"] for event in events[1:])
        and all("previousEventId" in event for event in events)
    )


def step_functions_children(aws: LocalAws) -> bool:
    """A parent learns of its failed child as States.TaskFailed."""
    child = tools.machine(aws, {"Fail": {"Type": "Fail", "Error": "TheChildsOwn"}})
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": child, "Input": {}},
        "End": True,
    }
    return bool(tools.ended(aws, tools.start(aws, tools.machine(aws, {"Child": task})))["error"] == "States.TaskFailed")


def step_functions_logs(aws: LocalAws) -> bool:
    """A state machine's log group has a line for each event."""
    name, states = f"/aws/vendedlogs/states/{tools.new_name()}", aws.client("stepfunctions")
    aws.client("logs").create_log_group(logGroupName=name)
    arn = f"arn:aws:logs:us-east-1:123456789012:log-group:{name}:*"
    machine = tools.machine(aws, {"Done": {"Type": "Pass", "Result": "r", "End": True}})
    logged = {"level": "ALL", "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": arn}}]}
    states.update_state_machine(stateMachineArn=machine, loggingConfiguration=logged)
    tools.ended(aws, tools.start(aws, machine))
    lines = [
        json.loads(event["message"]) for event in aws.client("logs").filter_log_events(logGroupName=name)["events"]
    ]
    kinds = ["ExecutionStarted", "PassStateEntered", "PassStateExited", "ExecutionSucceeded"]
    return [line["type"] for line in lines] == kinds and all("input" not in line["details"] for line in lines)


def step_functions_api(aws: LocalAws) -> bool:
    """The same name and input start one execution, and the one started last is listed first."""
    states, wait = aws.client("stepfunctions"), {"Type": "Wait", "Seconds": 2, "End": True}
    machine = tools.machine(aws, {"Wait": wait})
    first = [states.start_execution(stateMachineArn=machine, name="one", input="{}")["executionArn"]]
    try:
        first.append(states.start_execution(stateMachineArn=machine, name="one", input="{}")["executionArn"])
    except states.exceptions.ExecutionAlreadyExists:
        return False
    second = states.start_execution(stateMachineArn=machine, name="another", input="{}")["executionArn"]
    tools.ended(aws, second)
    listed = [each["executionArn"] for each in tools.executions(aws, machine)]
    return len(set(first)) == 1 and listed == [second, first[0]]


def eventbridge_dead_letters(aws: LocalAws) -> bool:
    """An event for a state machine that is gone ends up in the dead-letter queue, and says why."""
    url, arn = tools.queue(aws)
    gone = "arn:aws:states:us-east-1:123456789012:stateMachine:gone"
    events, name = aws.client("events"), tools.new_name()
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    target = {"Id": "1", "Arn": gone, "RoleArn": tools.role(aws), "DeadLetterConfig": {"Arn": arn}}
    events.put_targets(Rule=name, Targets=[target])
    events.put_events(Entries=[{"Source": name, "DetailType": "x", "Detail": '{"key": "k"}'}])
    kept = tools.eventually(lambda: tools.messages(aws, url), tools.timeout(aws, 2))
    return bool(kept) and kept[0]["MessageAttributes"]["TARGET_ARN"]["StringValue"] == gone


def pipes_from_queues(aws: LocalAws) -> bool:
    """A pipe starts its state machine with a list of what came over its queue, shaped by the input template."""
    url, arn = tools.queue(aws)
    machine = tools.machine(aws, {"Done": {"Type": "Succeed"}})
    aws.client("pipes").create_pipe(
        Name=tools.new_name(),
        RoleArn=tools.role(aws),
        Source=arn,
        SourceParameters={"SqsQueueParameters": {"BatchSize": 10, "MaximumBatchingWindowInSeconds": 1}},
        Target=machine,
        TargetParameters={
            "InputTemplate": '{"key": <$.body.key>, "all": <$.body>}',
            "StepFunctionStateMachineParameters": {"InvocationType": "FIRE_AND_FORGET"},
        },
    )
    for key in ("a b", "ü"):
        aws.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps({"key": key}))
    started: Any = tools.eventually(lambda: tools.executions(aws, machine), tools.timeout(aws, 4))
    if not started:
        return False
    records = json.loads(tools.ended(aws, started[0]["executionArn"])["input"])
    return bool(records == [{"key": key, "all": {"key": key}} for key in ("a b", "ü")])


def lambda_task(function_arn: str, **fields: Any) -> dict[str, Any]:
    resource = "arn:aws:states:::lambda:invoke"
    return {"Type": "Task", "Resource": resource, "Parameters": {"FunctionName": function_arn, "Payload": {}}, **fields}
