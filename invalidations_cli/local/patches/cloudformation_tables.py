"""A DynamoDB table made by CloudFormation has its time to live, recovery and encryption.

ministack leaves them out; with them, DescribeTimeToLive and the like tell what the template says.
"""

from __future__ import annotations

from typing import Any

from ministack.services import dynamodb
from ministack.services.cloudformation import provisioners

from invalidations_cli.local.patches import seam
from invalidations_cli.local.settings import LocalSettings

Properties = dict[str, Any]
TABLE = "AWS::DynamoDB::Table"


def apply(_settings: LocalSettings) -> None:
    create, update = (
        seam(provisioners, "_ddb_create", "277586e016c6"),
        seam(provisioners, "_ddb_update", "0665980ffdd0"),
    )

    def create_whole(logical_id: str, properties: Properties, stack: str) -> Any:
        name, attributes = create(logical_id, properties, stack)
        complete(name, properties)
        return name, attributes

    def update_whole(name: str, old: Properties, new: Properties, stack: str, logical_id: str | None = None) -> Any:
        name, attributes = update(name, old, new, stack, logical_id)
        complete(name, new)
        return name, attributes

    handlers = provisioners._RESOURCE_HANDLERS
    handlers[TABLE] = {**handlers[TABLE], "create": create_whole, "update": update_whole}


def complete(table: str, properties: Properties) -> None:
    expiry = properties.get("TimeToLiveSpecification") or {}
    if "AttributeName" in expiry:
        specification = {"AttributeName": expiry["AttributeName"], "Enabled": is_true(expiry.get("Enabled", True))}
        dynamodb._update_ttl({"TableName": table, "TimeToLiveSpecification": specification})
    recovery = properties.get("PointInTimeRecoverySpecification") or {}
    if recovery:
        enabled = {"PointInTimeRecoveryEnabled": is_true(recovery.get("PointInTimeRecoveryEnabled", False))}
        dynamodb._update_continuous_backups({"TableName": table, "PointInTimeRecoverySpecification": enabled})
    encryption = properties.get("SSESpecification") or {}
    if encryption:
        asked = {key: encryption[key] for key in ("SSEType", "KMSMasterKeyId") if key in encryption}
        enabled_encryption = {"Enabled": is_true(encryption.get("SSEEnabled", True)), **asked}
        dynamodb._tables[table]["SSEDescription"] = dynamodb._sse_description_from_spec(enabled_encryption)


def is_true(value: Any) -> bool:
    """CloudFormation hands on booleans as it got them: true, "true"."""
    return str(value).lower() == "true"
