"""A failed call says what Lambda says.

ministack reports whatever a Python handler raises as `Runtime.HandlerError` and ends its worker, and a throttled call
as `Lambda.Unknown`: a state machine that catches errors by name could not be tried. Here there are errorType,
errorMessage and stackTrace (Lambda Developer Guide, "Handle errors in Python"); a module that cannot be imported is
`Runtime.ImportModuleError`, a worker that dies `Runtime.ExitError`; else the worker lives on; and a throttle is
`Lambda.TooManyRequestsException`.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

import ministack.core.lambda_runtime as runtime
import ministack.services.lambda_svc as service

from invalidations_cli.local.patches import PatchDoesNotFit, seam
from invalidations_cli.local.settings import LocalSettings

AS_IT_IS = (
    '_real_stdout.write(json.dumps({"status": "error", "error": str(e), "trace": traceback.format_exc()}) + "\\n")'
)
NOT_STARTED = "Worker init failed: "
DIED = ("Worker process died", "[Errno 32] Broken pipe")
AS_LAMBDA_SAYS = """traceback.print_exc()
            _real_stdout.write(json.dumps({"status": "ok", "result": {"handlerError": {
                "errorMessage": str(e), "errorType": type(e).__name__, "requestId": context.aws_request_id,
                "stackTrace": traceback.format_tb(e.__traceback__)[1:]}}}) + "\\n")"""


def apply(_settings: LocalSettings) -> None:
    keep_the_type_of_an_error()
    name_a_throttle()


def keep_the_type_of_an_error() -> None:
    if runtime._PYTHON_WORKER_SCRIPT.count(AS_IT_IS) != 1:
        raise PatchDoesNotFit(
            "The worker script of ministack reports errors in another way than lambda_errors.py expects."
        )
    runtime._PYTHON_WORKER_SCRIPT = runtime._PYTHON_WORKER_SCRIPT.replace(AS_IT_IS, AS_LAMBDA_SAYS)
    execute = seam(service, "_execute_function_warm", "62b9218bef5b")

    @wraps(execute)
    def execute_and_tell(function: Any, event: Any, request_id: str) -> Any:
        result = execute(function, event, request_id)
        body = result.get("body")
        if isinstance(body, dict) and "handlerError" in body:
            return {**result, "body": body["handlerError"], "error": True}
        if result.get("error") and str(body["errorMessage"]).startswith(NOT_STARTED):
            message = f"Unable to import module: {body['errorMessage'].removeprefix(NOT_STARTED)}"
            return {**result, "body": {"errorType": "Runtime.ImportModuleError", "errorMessage": message}}
        if result.get("error") and body["errorMessage"] in DIED:
            message = f"RequestId: {request_id} Error: Runtime exited with error: signal: killed"
            return {**result, "body": {"errorType": "Runtime.ExitError", "errorMessage": message}}
        return result

    service._execute_function_warm = execute_and_tell


def name_a_throttle() -> None:
    throttled = seam(service, "_throttle_response", "647221d5b077")

    @wraps(throttled)
    def throttled_by_name(*arguments: Any, **named: Any) -> Any:
        response = throttled(*arguments, **named)
        body = response["body"]
        body.update(errorType="Lambda.TooManyRequestsException", errorMessage=body["message"])
        return response

    service._throttle_response = throttled_by_name
