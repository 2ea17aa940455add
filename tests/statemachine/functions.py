"""The real handlers, in this process, each with the environment that the template gives it, and nothing else."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import threading
import traceback
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from functools import cache, partial
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.definition import ACCOUNT, REGION, ROOT, template
from tools.rendering import NotUnderstood

KEPT = ("PATH", "HOME", "TZ", "LANG", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
LAMBDA = {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13"}
PSEUDO = {"AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "AWS::StackName": "test"}
ACTIONS = {
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:GetBucketNotificationConfiguration": "s3:GetBucketNotification",
    "s3:PutBucketNotificationConfiguration": "s3:PutBucketNotification",
}
"""Where an IAM action is not called like its operation (Service Authorization Reference)."""
PREFIXES = {"monitoring": "cloudwatch"}
"""Where a service signs by another name than its actions have."""


_template = cache(template)


def properties(logical_id: str) -> Any:
    """The properties of a resource of the template."""
    return _template()["Resources"][logical_id]["Properties"]


def parameters() -> dict[str, Any]:
    """The template's parameters with their defaults, as Ref sees them."""
    return {name: str(each.get("Default", "my-site")) for name, each in _template()["Parameters"].items()}


def environment(logical_id: str, refs: Mapping[str, Any]) -> dict[str, str]:
    """The variables of a function of the template, resolved. KeyError: it refers to something that is not given."""
    common = _template()["Globals"]["Function"]["Environment"]["Variables"]
    own = properties(logical_id).get("Environment", {}).get("Variables", {})
    known = {**PSEUDO, **refs}
    return {name: str(_resolved(value, known)) for name, value in {**common, **own}.items()}


def _resolved(value: Any, refs: Mapping[str, Any]) -> Any:
    match value:
        case {"Ref": name}:
            return refs[name]
        case {"Fn::GetAtt": [name, attribute]}:
            return refs[f"{name}.{attribute}"]
        case {"Fn::FindInMap": [name, first, second]}:
            return _template()["Mappings"][name][first][second]
        case {"Fn::Join": [separator, items]}:
            return separator.join(_resolved(items, refs))
        case {"Fn::If": [condition, yes, no]}:
            return _resolved(yes if _holds(_template()["Conditions"][condition], refs) else no, refs)
        case dict():
            raise NotUnderstood(f"the tests cannot resolve {value}")
    return value


def _holds(condition: Any, refs: Mapping[str, Any]) -> bool:
    match condition:
        case {"Fn::Equals": [one, other]}:
            return bool(_resolved(one, refs) == _resolved(other, refs))
        case {"Fn::Not": [negated]}:
            return not _holds(negated, refs)
        case {"Condition": name}:
            return _holds(_template()["Conditions"][name], refs)
    raise NotUnderstood(f"the tests cannot decide {condition}")


def folder_of(logical_id: str) -> str:
    return str(properties(logical_id)["Handler"]).partition(".")[0]


def allowed_actions(logical_id: str) -> set[str]:
    """The actions that a function's own policies allow, on whatever resource and under whatever condition."""
    return set(_actions(properties(f"{logical_id}Role")["Policies"]))


def _actions(policies: Any) -> Iterator[str]:
    if isinstance(policies, dict):
        actions = policies.get("Action", [])
        yield from [actions] if isinstance(actions, str) else actions
        policies = list(policies.values())
    if isinstance(policies, list):
        for each in policies:
            yield from _actions(each)


@dataclass(frozen=True)
class Refusal:
    """An error that AWS answers one call with."""

    action: str
    code: str
    status: int
    about: str

    def answer(self) -> tuple[Any, dict[str, Any]]:
        error = {"Code": self.code, "Message": "as the test has asked for"}
        metadata = {"HTTPStatusCode": self.status, "RequestId": str(uuid.uuid4())}
        return SimpleNamespace(status_code=self.status), {"Error": error, "ResponseMetadata": metadata}


class Functions:
    """The functions of a stack: ``invoke`` answers as Lambda does.

    Handlers take turns: on Lambda each has a process of its own, here they would share Powertools' metrics.
    """

    def __init__(self, refs: Mapping[str, Any], now: type) -> None:
        self._refs = refs
        self._now = now
        self._modules: dict[str, ModuleType] = {}
        self._failures: dict[str, list[Exception]] = {}
        self._lost: dict[str, list[Exception]] = {}
        self._hanging: dict[str, int] = {}
        self._refusals: list[Refusal] = []
        self._lock = threading.RLock()
        self._over = threading.Event()
        self.calls: set[tuple[str, str]] = set()
        """(function, IAM action) of every call that a handler made to AWS."""
        self.answers: dict[str, list[Any]] = {}
        """What each function has returned."""

    def fail(self, logical_id: str, *errors: Exception) -> None:
        """Let the next invocations fail: with a ClientError of Invoke, or as if the handler had raised."""
        self._failures.setdefault(logical_id, []).extend(errors)

    def lose_answers(self, logical_id: str, *errors: Exception) -> None:
        """Let the handler do its work in the next invocations, and its answer be lost."""
        self._lost.setdefault(logical_id, []).extend(errors)

    def hang(self, logical_id: str, times: int) -> None:
        """Let the next invocations never be answered."""
        self._hanging[logical_id] = times

    def close(self) -> None:
        """Let the workers go that hang still."""
        self._over.set()

    def refuse(self, action: str, code: str, status: int = 400, *, times: int = 1, about: str = "") -> None:
        """Let the next calls of an AWS action be answered with an error; ``about`` is something in their parameters."""
        self._refusals += [Refusal(action, code, status, about)] * times

    def forgive(self) -> None:
        """Refuse nothing any more."""
        self._refusals.clear()

    @contextmanager
    def with_environment(self, logical_id: str, **variables: str) -> Iterator[None]:
        """A function with other values for some variables, as if the stack had been updated."""
        before = self.module(logical_id)
        self._modules[logical_id] = self._load(logical_id, variables)
        try:
            yield
        finally:
            self._modules[logical_id] = before

    def module(self, logical_id: str) -> ModuleType:
        """The function's module, loaded as Lambda loads it."""
        with self._lock:
            if logical_id not in self._modules:
                self._modules[logical_id] = self._load(logical_id)
            return self._modules[logical_id]

    def invoke(self, function: str, payload: bytes) -> dict[str, Any]:
        logical_id = function.rsplit(":", 1)[-1]
        if self._hanging.get(logical_id, 0):
            self._hanging[logical_id] -= 1
            self._over.wait()
            return _failed(TimeoutError("nobody is waiting any more"))
        with self._lock:
            try:
                answer = self._answer(logical_id, json.loads(payload))
            except ClientError as error:
                if error.operation_name == "Invoke":
                    raise
                return _failed(error)
            except Exception as error:  # noqa: BLE001 # whatever a handler raises, Lambda reports it
                return _failed(error)
        self.answers.setdefault(logical_id, []).append(answer)
        return {"StatusCode": 200, "ExecutedVersion": "$LATEST", "Payload": answer}

    def _answer(self, logical_id: str, event: Any) -> Any:
        if failures := self._failures.get(logical_id):
            raise failures.pop(0)
        context = SimpleNamespace(
            aws_request_id=str(uuid.uuid4()), function_name=logical_id, get_remaining_time_in_millis=lambda: 300_000
        )
        answer = json.loads(json.dumps(self.module(logical_id).handler(event, context)))
        if lost := self._lost.get(logical_id):
            raise lost.pop(0)
        return answer

    def _load(self, logical_id: str, variables: Mapping[str, str] | None = None) -> ModuleType:
        folder = folder_of(logical_id)
        path = ROOT / "functions" / folder / "app.py"
        spec = importlib.util.spec_from_file_location(f"{folder}.app_of_the_stack", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        with pytest.MonkeyPatch.context() as patch:
            for name in set(os.environ) - set(KEPT):
                patch.delenv(name)
            for name, value in {**LAMBDA, **environment(logical_id, self._refs), **(variables or {})}.items():
                patch.setenv(name, value)
            patch.delitem(
                sys.modules, "invalidation.observability", raising=False
            )  # reads its environment when it is imported
            patch.setattr(boto3, "client", self._recording(logical_id))
            spec.loader.exec_module(module)
        module.datetime = self._now  # type: ignore[attr-defined] # what the handlers ask for the time
        if hasattr(module, "now"):
            clock: Any = self._now
            module.now = partial(clock.now, UTC)  # type: ignore[attr-defined]
        return module

    def _recording(self, logical_id: str) -> Any:
        create: Any = boto3.client
        loading = threading.get_ident()

        def client(*args: Any, **kwargs: Any) -> Any:
            made = create(*args, **kwargs)
            if threading.get_ident() != loading:  # the interpreter's own, of an execution that is going on
                return made
            signing_name = made.meta.service_model.signing_name
            prefix = PREFIXES.get(signing_name, signing_name)

            def before_call(model: Any, params: Any, **_: Any) -> Any:
                action = f"{prefix}:{model.name}"
                self.calls.add((logical_id, ACTIONS.get(action, action)))
                return self._refusal(ACTIONS.get(action, action), params)

            made.meta.events.register("before-call", before_call)
            return made

        return client

    def _refusal(self, action: str, params: Any) -> Any:
        """What botocore takes for the service's answer; None lets the call go on."""
        for refusal in self._refusals:
            if refusal.action == action and refusal.about in f"{params.get('url_path')} {params.get('body')}":
                self._refusals.remove(refusal)
                return refusal.answer()
        return None


def not_allowed(calls: Collection[tuple[str, str]]) -> list[str]:
    """Calls that the function's role would not allow."""
    return sorted(f"{function}: {action}" for function, action in calls if action not in allowed_actions(function))


def stumbled() -> ClientError:
    """Lambda itself fails, before the function has run."""
    error: Any = {
        "Error": {"Code": "ServiceException", "Message": "An error occurred."},
        "ResponseMetadata": {"HTTPStatusCode": 500, "RequestId": str(uuid.uuid4())},
    }
    return ClientError(error, "Invoke")


def _failed(error: Exception) -> dict[str, Any]:
    """Lambda's answer for a handler that raised (Lambda Developer Guide, "Python function errors")."""
    payload = {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "requestId": str(uuid.uuid4()),
        "stackTrace": traceback.format_tb(error.__traceback__),
    }
    return {"StatusCode": 200, "ExecutedVersion": "$LATEST", "FunctionError": "Unhandled", "Payload": payload}
