"""Resource types that cost nothing to accept are accepted. Saved queries, and alarms on metric math.

ministack's CloudFormation refuses them. Here they are taken and do nothing: no part of the workflow reads them, and a
person looks at them on AWS.
"""

from __future__ import annotations

from typing import Any

from ministack.services.cloudformation import provisioners

from invalidations_cli.local.patches import PatchDoesNotFit
from invalidations_cli.local.settings import LocalSettings

Properties = dict[str, Any]
ALARM = "AWS::CloudWatch::Alarm"
INERT = ("AWS::Logs::QueryDefinition", "AWS::CloudWatch::CompositeAlarm")


def apply(_settings: LocalSettings) -> None:
    handlers = provisioners._RESOURCE_HANDLERS
    for kind in INERT:
        if kind in handlers:
            raise PatchDoesNotFit(f"ministack knows {kind} by now: take it out of cloudformation_types.py.")
        handlers[kind] = {"create": create, "update": update, "delete": delete}
    handlers[ALARM] = alarm_with_metric_math(dict(handlers[ALARM]))


def create(logical_id: str, properties: Properties, stack: str) -> tuple[str, Properties]:
    name = properties.get("AlarmName") or properties.get("Name") or f"{stack}-{logical_id}"
    return name, {"Arn": f"arn:aws:local:::{name}", "QueryDefinitionId": name}


def update(name: str, _old: Properties, _new: Properties, _stack: str, **_more: Any) -> tuple[str, Properties]:
    return name, {"Arn": f"arn:aws:local:::{name}", "QueryDefinitionId": name}


def delete(_name: str, _properties: Properties) -> None:
    return None


def alarm_with_metric_math(own: dict[str, Any]) -> dict[str, Any]:
    def create_alarm(logical_id: str, properties: Properties, stack: str) -> Any:
        return (create if "Metrics" in properties else own["create"])(logical_id, properties, stack)

    def update_alarm(name: str, old: Properties, new: Properties, stack: str, logical_id: str | None = None) -> Any:
        if "Metrics" in old or "Metrics" in new:
            return update(name, old, new, stack)
        return own["update"](name, old, new, stack, logical_id)

    def delete_alarm(name: str, properties: Properties) -> None:
        if "Metrics" not in (properties or {}):
            own["delete"](name, properties)

    return {**own, "create": create_alarm, "update": update_alarm, "delete": delete_alarm}
