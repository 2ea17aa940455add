"""A call about a cache policy or a tenant is authorised on its ARN.

ministack takes `*` for the resource of such a call, so that a role which may use just these is denied (Service
Authorization Reference, "Actions, resources, and condition keys for Amazon CloudFront").
"""

from __future__ import annotations

import re
from functools import wraps
from typing import Any

from ministack.core import iam_actions

from invalidations_cli.local.patches import seam
from invalidations_cli.local.settings import LocalSettings

RESOURCE = re.compile(r"/2020-05-31/(cache-policy|distribution-tenant)/([^/]+)")


def apply(_settings: LocalSettings) -> None:
    extract = seam(iam_actions, "extract_resource_arn", "82f51700695c")

    @wraps(extract)
    def extract_of_cloudfront(service: str, *request: Any) -> Any:
        _method, path, *_more, account = request
        found = RESOURCE.match(path) if service == "cloudfront" else None
        if found is None:
            return extract(service, *request)
        return f"arn:aws:cloudfront::{account}:{found[1]}/{found[2]}"

    iam_actions.extract_resource_arn = extract_of_cloudfront
