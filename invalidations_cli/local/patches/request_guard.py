"""A web page cannot use the emulator.

ministack answers whoever asks, whatever the Host, and with `Access-Control-Allow-Origin: *`: while it runs, any page in
a browser on this machine could create a function and call it. Here a request is refused that a browser marks as a
page's (`Origin`, `Sec-Fetch-Site`), or that asks for a host which is neither this machine nor a bucket or distribution
of the emulator (DNS rebinding). No answer carries a CORS header. SDKs and the AWS CLI send none of these marks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ministack import app
from ministack.services import cloudfront, s3

from invalidations_cli.local.loopback import is_loopback
from invalidations_cli.local.patches import PatchDoesNotFit
from invalidations_cli.local.settings import LocalSettings
from invalidations_cli.local.viewing import EDGE

BUCKET_HOST = re.compile(r"(.+?)\.(?:s3[.-].*amazonaws\.com(?:\.cn)?|127\.0\.0\.1)")
FROM_NO_OTHER_SITE = frozenset({"none", "same-origin"})
CORS = b"access-control-"
GUARDED = ("http", "websocket")


def apply(_settings: LocalSettings) -> None:
    serve = app.app
    if getattr(serve, "__module__", "") != app.__name__:
        raise PatchDoesNotFit("request_guard.py has to be the first that stands in front of ministack's app.")

    async def serve_unless_refused(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in GUARDED:
            await serve(scope, receive, send)
            return
        reason = refusal_of(scope["headers"])
        if reason is not None:
            await refuse(scope["type"], reason, send)
            return

        async def send_without_cors(message: Any) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message["headers"] if not bytes(pair[0]).lower().startswith(CORS)]
                message = {**message, "headers": kept}
            await send(message)

        await serve(scope, receive, send_without_cors)

    app.app = serve_unless_refused


def refusal_of(headers: Any) -> str | None:
    """Why a request with these headers (pairs of bytes) is refused; None: it is served."""
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1").strip())
    if "origin" in found:
        return "it carries Origin, as a web page's requests do"
    if not set(found.get("sec-fetch-site", ["none"])) <= FROM_NO_OTHER_SITE:
        return "a web page of another site sent it"
    hosts = found.get("host", [])
    if len(hosts) != 1 or not is_own(host_without_port(hosts[0])):
        return f"its Host {', '.join(hosts) or '(none)'} is neither this machine nor a bucket or distribution here"
    return None


def host_without_port(host: str) -> str:
    """`127.0.0.1` of `127.0.0.1:4566`, and `::1` of `[::1]:4566`."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    name, _colon, port = host.rpartition(":")
    return (name if port.isdigit() else host).lower()


def is_own(host: str) -> bool:
    """Whether this machine is meant: no public name ends in `.localhost` (RFC 6761, section 6.3)."""
    if is_loopback(host) or host.endswith(".localhost"):
        return True
    if host.endswith(EDGE):
        return any(each.get("DomainName", "").lower() == host for each in in_all_accounts(cloudfront._distributions))
    bucket = BUCKET_HOST.fullmatch(host)
    return bucket is not None and bucket[1] in {name for _account, name in s3._buckets._data}


def in_all_accounts(resources: Any) -> list[Mapping[str, Any]]:
    return list(resources._data.values())


async def refuse(kind: str, reason: str, send: Any) -> None:
    if kind == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    text = f"The local AWS refuses this request: {reason}.\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": text})
