"""Tables of cases, each row with its source: CFD is the Amazon CloudFront Developer Guide."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def rows(name: str) -> list[dict[str, str]]:
    """The rows of a CSV table."""
    with (HERE / name).open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table, strict=True))


def cases(name: str) -> list[dict[str, Any]]:
    """The cases of a JSON table."""
    found: list[dict[str, Any]] = json.loads((HERE / name).read_text(encoding="utf-8"))
    return found
