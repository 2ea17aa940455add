"""What the template's parameters decide about paths and what they may cost, as the domain takes it."""

from __future__ import annotations

from invalidation.plan import Budget
from invalidation.routing import InvalidateBy, PathRules
from invalidation.settings import Settings


def rules_of(settings: Settings) -> PathRules:
    return PathRules(
        directory_index=settings.directory_index,
        spellings=settings.other_spellings,
        whole_behaviors=settings.edge_rewrites == "WholeBehavior",
        invalidate_by=InvalidateBy(settings.invalidate_by),
    )


def budget_of(settings: Settings) -> Budget:
    """For the changes of a batch.

    Raises:
        ValueError: a number is out of its range. The template's own bounds should have refused it.
    """
    return Budget(settings.max_exact_paths, settings.max_cover_paths, settings.max_wildcards, settings.widest_path)
