"""A parameter that the template does not have is refused.

ministack ignores it: a misspelt one would pass here and fail on AWS.
"""

from __future__ import annotations

from typing import Any

from ministack.services.cloudformation import changesets, engine, handlers

from invalidations_cli.local.patches import seam
from invalidations_cli.local.settings import LocalSettings


def apply(_settings: LocalSettings) -> None:
    resolve = seam(engine, "_resolve_parameters", "65ee21dccd44")

    def resolve_known(template: dict[str, Any], provided: list[dict[str, Any]], previous: Any = None) -> Any:
        known = template.get("Parameters") or {}
        unknown = [parameter["Key"] for parameter in provided or [] if parameter.get("Key") not in known]
        if unknown:
            raise ValueError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
        return resolve(template, provided, previous)

    for module in (engine, changesets, handlers):
        module._resolve_parameters = resolve_known
