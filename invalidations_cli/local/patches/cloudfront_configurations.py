"""A distribution's configuration is refused where CloudFront refuses it.

ministack takes any. Here an S3OriginConfig needs a bucket's REST endpoint, not its website's, and a path pattern only
the characters that it may hold (CloudFront Developer Guide, "Distribution settings reference": "Origin domain", "Path
pattern"). AWS documents no message texts; these say what was wrong.
"""

from __future__ import annotations

import re
from functools import wraps
from typing import Any

from ministack.services import cloudfront

from invalidations_cli.local.patches import seam
from invalidations_cli.local.patches.cloudfront_origins import WEBSITE
from invalidations_cli.local.settings import LocalSettings

PATTERN = re.compile(r"""[A-Za-z0-9_\-.*?$/~"'@:+&]{1,255}""")
TTLS = ("MinTTL", "DefaultTTL", "MaxTTL")


def apply(_settings: LocalSettings) -> None:
    check = seam(cloudfront, "_distribution_vpc_origin_error", "881642a11555")

    @wraps(check)
    def check_more(configuration: Any) -> Any:
        return check(configuration) or refusal_of(configuration)

    cloudfront._distribution_vpc_origin_error = check_more


def refusal_of(configuration: Any) -> Any:
    """CloudFront's error; None: it takes the configuration."""
    for origin in items(configuration, "Origins"):
        domain = cloudfront._text(origin, "DomainName") or ""
        if cloudfront._find(origin, "S3OriginConfig") is not None and WEBSITE.fullmatch(domain.lower()):
            text = f"The parameter Origin DomainName does not refer to a valid S3 bucket: {domain}."
            return cloudfront._error("InvalidArgument", text, 400)
    for behavior in items(configuration, "CacheBehaviors"):
        pattern = cloudfront._text(behavior, "PathPattern") or ""
        if not PATTERN.fullmatch(pattern):
            return cloudfront._error("InvalidArgument", f"The parameter PathPattern is not valid: {pattern}.", 400)
    for behavior in [cloudfront._find(configuration, "DefaultCacheBehavior"), *items(configuration, "CacheBehaviors")]:
        own = [cloudfront._opt_text(behavior, name) for name in TTLS] if behavior is not None else []
        seconds = [float(text) for text in own if text]
        if seconds != sorted(seconds):
            return cloudfront._error("InvalidTTLOrder", "MinTTL, DefaultTTL and MaxTTL are not in this order.", 400)
    return None


def items(configuration: Any, name: str) -> list[Any]:
    found = cloudfront._find(configuration, name)
    held = cloudfront._find(found, "Items") if found is not None else None
    return [] if held is None else list(held)
