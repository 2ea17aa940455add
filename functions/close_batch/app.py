"""Close Batch: what the batch covers is frozen, and nobody else will cover it.

Input: ``{"execution", "batchId", "bucket"}``. Output: ``{"status", "changes"}``, where status is FROZEN, SUPERSEDED,
EMPTY or PAUSED.
"""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime
from typing import Any

from invalidation.batches.close import close
from invalidation.batches.dynamodb import batch_table
from invalidation.batches.head import Execution
from invalidation.config import Settings
from invalidation.observability import Event, observed

SETTINGS = Settings.from_environment(os.environ)
TABLE = batch_table(SETTINGS.batch_table_name)


@observed
def handler(event: Event, _context: Any) -> dict[str, Any]:
    execution = Execution(event["execution"], datetime.fromisoformat(event["startedAt"]))
    attempt = uuid.uuid4().hex
    return close(TABLE, event["bucket"], event["batchId"], execution, attempt, lambda: datetime.now(UTC)).to_document()
