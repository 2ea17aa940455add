"""The way to the edge. Where a host of CloudFront's leads, and whose word is taken for it.

The module imports only the standard library and nothing of this project, because its source is also put in front of
what each Lambda worker runs.
"""

import os
import socket
from typing import Any

EDGE = ".cloudfront.net"
"""How the name of every distribution's host ends."""


def lead_to_the_edge(port: int, authority: str) -> None:
    """Such a host is found at this port, and trusted by `authority` (a file)."""
    os.environ["SSL_CERT_FILE"] = authority
    look_up = socket.getaddrinfo

    def look_up_here(host: Any, service: Any, *more: Any, **named: Any) -> Any:
        if isinstance(host, str) and host.lower().endswith(EDGE):
            return look_up("127.0.0.1", port, *more, **named)
        return look_up(host, service, *more, **named)

    socket.getaddrinfo = look_up_here  # type: ignore[assignment] # it takes what the original takes
