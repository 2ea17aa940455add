"""ListDistributions and ListInvalidations are paged, and a summary has what the configuration has.

ministack lists everything on one page, and leaves OriginGroups and the true Staging out of DistributionSummary: code
that forgets to turn the page, or the origin behind a group, would pass.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from ministack.services import cloudfront

from invalidations_cli.local.patches import cloudfront_invalidations, seam
from invalidations_cli.local.settings import LocalSettings

Item = dict[str, Any]
QUERY: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("query")


def apply(settings: LocalSettings) -> None:
    handle = seam(cloudfront, "handle_request", "ef0452b7158e")
    seam(cloudfront, "_list_distributions", "bc6f28d8bcc1")
    seam(cloudfront, "_list_invalidations", "56f06ffe6927")
    build_list = seam(cloudfront, "_build_distribution_list_xml", "77d89c82dc02")

    @wraps(handle)
    async def handle_with_query(method: str, path: str, headers: Any, body: bytes, query: dict[str, Any]) -> Any:
        QUERY.set(query or {})
        return await handle(method, path, headers, body, query)

    def list_distributions() -> Any:
        return page_of(list(cloudfront._distributions.values()), settings.page_size, "DistributionList", summaries)

    def summaries(root: Element, distributions: Sequence[Item]) -> None:
        build_list(root, distributions)
        for summary, distribution in zip(root.find("Items") or (), distributions, strict=True):
            complete(summary, distribution)

    def list_invalidations(distribution_id: str) -> Any:
        if distribution_id not in cloudfront._distributions:
            return cloudfront._error("NoSuchDistribution", "The specified distribution does not exist.", 404)
        newest_first = list(reversed(cloudfront._invalidations.get(distribution_id, [])))
        for invalidation in newest_first:
            cloudfront_invalidations.settle(invalidation, settings)
        return page_of(newest_first, settings.page_size, "InvalidationList", invalidation_summaries)

    cloudfront.handle_request = handle_with_query
    cloudfront._list_distributions = list_distributions
    cloudfront._list_invalidations = list_invalidations


def page_of(items: list[Item], limit: int, name: str, fill: Callable[[Element, Sequence[Item]], None]) -> Any:
    """The page that the request's Marker and MaxItems ask for."""
    query = {key: value[0] if isinstance(value, list) else value for key, value in QUERY.get().items()}
    size = min(int(query.get("MaxItems") or limit), limit)
    marker = query.get("Marker") or ""
    start = next((place for place, item in enumerate(items, start=1) if item["Id"] == marker), 0)
    page = items[start : start + size]
    more = start + size < len(items)

    def build(root: Element) -> None:
        fill(root, page)
        facts = {"Marker": marker, "MaxItems": size, "IsTruncated": str(more).lower(), "Quantity": len(page)}
        if more:
            facts["NextMarker"] = page[-1]["Id"]
        for tag, value in facts.items():
            element = root.find(tag)
            (SubElement(root, tag) if element is None else element).text = str(value)

    return cloudfront._xml_response(name, build)


def complete(summary: Element, distribution: Item) -> None:
    configuration = cloudfront._strip_namespace(cloudfront._dist_config_el(distribution))
    staging = summary.find("Staging")
    if staging is not None:
        staging.text = (cloudfront._text(configuration, "Staging") or "false").lower()
    groups = cloudfront._find(configuration, "OriginGroups")
    if groups is not None and summary.find("OriginGroups") is None:
        summary.append(groups)


def invalidation_summaries(root: Element, invalidations: Sequence[Item]) -> None:
    if not invalidations:
        return
    items = SubElement(root, "Items")
    for invalidation in invalidations:
        summary = SubElement(items, "InvalidationSummary")
        for tag in ("Id", "CreateTime", "Status"):
            SubElement(summary, tag).text = invalidation[tag]
