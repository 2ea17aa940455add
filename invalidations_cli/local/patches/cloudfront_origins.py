"""An S3 website endpoint is an origin that answers. A key may begin with a slash.

ministack does not reach a website endpoint (502), and asks for the key `x` where a viewer asks for `//x`. Here a
website serves its index document for a directory, redirects to the directory where the slash is missing, and gives its
error document (Amazon S3 User Guide, "Hosting a static website", "Website endpoints"); and the key of `//x` is `/x`.
Its routing rules are followed: the first whose
condition holds, on a key's beginning, on the error, or on both ("Configuring a webpage redirect").
"""

from __future__ import annotations

import http.client
import re
from functools import wraps
from typing import Any
from urllib.parse import quote, unquote
from xml.etree import ElementTree as ET

from ministack.services import cloudfront, s3

from invalidations_cli.local.patches import seam
from invalidations_cli.local.settings import LocalSettings

Answer = tuple[int, str, dict[str, Any], bytes]

WEBSITE = re.compile(r"(.+)\.s3-website[.-][a-z0-9-]+\.amazonaws\.(?:com(?:\.cn)?|eu)")
HTML = {"content-type": "text/html; charset=utf-8"}


def apply(_settings: LocalSettings) -> None:
    seam(cloudfront, "_s3_object_key", "cb61f5126788")
    fetch = seam(cloudfront, "_fetch_from_origin", "11c0079215ff")

    @wraps(fetch)
    async def fetch_from_any(origin: dict[str, Any], method: str, uri: str, *more: Any) -> Any:
        website = WEBSITE.fullmatch(origin["domain_name"].lower())
        if website is None:
            return await fetch(origin, method, uri, *more)
        if origin["protocol_policy"] == "https-only":
            raise cloudfront.OriginUnreachable("A website endpoint speaks HTTP only.")
        return of_website(website[1], website[0], method, unquote(origin["origin_path"] + uri)[1:])

    cloudfront._s3_object_key = key_of
    cloudfront._fetch_from_origin = fetch_from_any


def key_of(origin: dict[str, Any], uri: str) -> str:
    """OriginPath and the path, without the one slash that the path begins with."""
    return unquote((origin.get("origin_path") or "") + uri)[1:]


def of_website(bucket: str, host: str, method: str, key: str) -> Answer:
    """What the website of a bucket answers for a path without its leading slash."""
    text = s3._bucket_websites.get(bucket)
    if text is None:
        return 404, "Not Found", dict(HTML), page("404 Not Found", "NoSuchWebsiteConfiguration")
    configuration = {element.tag.rpartition("}")[2]: element for element in ET.fromstring(text)}  # noqa: S314 - the user's own
    elsewhere = text_in(configuration, "RedirectAllRequestsTo", "HostName")
    if elsewhere:
        protocol = text_in(configuration, "RedirectAllRequestsTo", "Protocol") or "http"
        return 301, "Moved Permanently", {"location": f"{protocol}://{elsewhere}/{quote(key)}"}, b""
    rules = list(configuration.get("RoutingRules", ()))
    if moved := redirect(rules, host, key, 0):
        return moved
    index = text_in(configuration, "IndexDocument", "Suffix")
    found = read(bucket, method, f"{key}{index}" if key.endswith("/") or not key else key)
    if found is not None:
        return found
    if key and not key.endswith("/") and read(bucket, "HEAD", f"{key}/{index}") is not None:
        return 302, "Found", {"location": f"/{quote(key)}/"}, b""
    failed = missing(bucket, method, text_in(configuration, "ErrorDocument", "Key"))
    return redirect(rules, host, key, failed[0]) or failed


def redirect(rules: list[ET.Element], host: str, key: str, status: int) -> Answer | None:
    """What the first routing rule answers that holds before (0) or after an error."""
    for rule in rules:
        parts = {element.tag.rpartition("}")[2]: element for element in rule}
        prefix, wanted = (
            text_in(parts, "Condition", each) for each in ("KeyPrefixEquals", "HttpErrorCodeReturnedEquals")
        )
        if not key.startswith(prefix) or (wanted or "0") != str(status):
            continue
        protocol = text_in(parts, "Redirect", "Protocol") or "http"
        to = text_in(parts, "Redirect", "ReplaceKeyWith")
        if has(parts, "Redirect", "ReplaceKeyPrefixWith"):
            to = text_in(parts, "Redirect", "ReplaceKeyPrefixWith") + key[len(prefix) :]
        location = f"{protocol}://{text_in(parts, 'Redirect', 'HostName') or host}/{quote(to or key)}"
        code = int(text_in(parts, "Redirect", "HttpRedirectCode") or 301)
        return code, http.client.responses.get(code, ""), {"location": location}, b""
    return None


def missing(bucket: str, method: str, document: str) -> Answer:
    """The error document with a 404, or a 403 where listing is denied."""
    status, name, code = (404, "Not Found", "NoSuchKey") if may_list(bucket) else (403, "Forbidden", "AccessDenied")
    found = read(bucket, method, document) if document else None
    if found is None:
        return status, name, dict(HTML), page(f"{status} {name}", code)
    return status, name, found[2], found[3]


def read(bucket: str, method: str, key: str) -> Answer | None:
    """An object as anybody may read it; None: there is none, or nobody may."""
    status, headers, body = s3.serve_cloudfront_origin_fetch(bucket, key, method, {})
    if status >= 400:
        return None
    return status, "", {name.lower(): value for name, value in dict(headers).items()}, body


def may_list(bucket: str) -> bool:
    """Whether anybody may list the bucket, and so learns that an object is missing."""
    owner = s3._bucket_owner_account(bucket)
    return bool(s3._foreign_bucket_allows(owner, bucket, "", "GET", {}, ""))


def has(configuration: dict[str, Any], section: str, name: str) -> bool:
    return any(element.tag.rpartition("}")[2] == name for element in configuration.get(section, ()))


def text_in(configuration: dict[str, Any], section: str, name: str) -> str:
    for element in configuration.get(section, ()):
        if element.tag.rpartition("}")[2] == name:
            return str(element.text or "")
    return ""


def page(title: str, code: str) -> bytes:
    return f"<html><head><title>{title}</title></head><body><h1>{title}</h1><p>Code: {code}</p></body></html>".encode()
