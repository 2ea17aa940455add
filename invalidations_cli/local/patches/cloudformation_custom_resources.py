"""A custom resource whose Create failed gets its Delete, and a deleted function's workers end.

AWS sends that Delete during the rollback; ministack does not, so what the failed Create had done half would stay. It
also keeps the workers of functions that are gone.
"""

from __future__ import annotations

import contextlib
from typing import Any

import ministack.core.lambda_runtime as runtime
from ministack.services.cloudformation import custom_resource, provisioners

from invalidations_cli.local.patches import seam
from invalidations_cli.local.settings import LocalSettings

FUNCTION = "AWS::Lambda::Function"


def apply(_settings: LocalSettings) -> None:
    delete_after_a_failed_create()
    end_workers_of_deleted_functions()


def delete_after_a_failed_create() -> None:
    invoke = seam(custom_resource, "invoke_custom_resource", "d5c75f69f54b")
    deliver = seam(custom_resource, "deliver_response", "4f864c27b849")
    ids: dict[tuple[str, str], str] = {}

    def deliver_and_remember(token: str, response: dict[str, Any]) -> Any:
        ids[response.get("StackId", ""), response.get("LogicalResourceId", "")] = response.get("PhysicalResourceId", "")
        return deliver(token, response)

    def invoke_and_clean(
        kind: str, logical_id: str, properties: Any, name: str, stack: str, *more: Any, **named: Any
    ) -> Any:
        try:
            return invoke(kind, logical_id, properties, name, stack, *more, **named)
        except RuntimeError:
            if kind == "Create":
                physical_id = ids.get((stack, logical_id)) or f"{name}-{logical_id}"
                with contextlib.suppress(RuntimeError, TimeoutError):
                    invoke("Delete", logical_id, properties, name, stack, *more, physical_id=physical_id)
            raise

    custom_resource.deliver_response = deliver_and_remember
    custom_resource.invoke_custom_resource = invoke_and_clean


def end_workers_of_deleted_functions() -> None:
    handlers = dict(provisioners._RESOURCE_HANDLERS[FUNCTION])
    delete = handlers["delete"]

    def delete_with_workers(name: str, *more: Any, **named: Any) -> Any:
        outcome = delete(name, *more, **named)
        runtime.invalidate_worker(name)
        return outcome

    provisioners._RESOURCE_HANDLERS[FUNCTION] = {**handlers, "delete": delete_with_workers}
