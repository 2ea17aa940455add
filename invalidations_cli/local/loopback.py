"""A lock on the network: this process reaches its own machine and nothing else.

The module imports only the standard library and nothing of this project, because its source is also put in front of
what each Lambda worker runs.
"""

import ipaddress
import sys
from typing import Any

CONNECTING = frozenset({"socket.connect", "socket.bind", "socket.sendto"})
RESOLVING = frozenset({"socket.getaddrinfo", "socket.gethostbyname"})


def is_loopback(host: object) -> bool:
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in {None, "localhost"}:
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False


def refuse_elsewhere(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook (PEP 578); raises ConnectionRefusedError where a host is not this machine."""
    if event in CONNECTING and isinstance(arguments[-1], tuple):
        host = arguments[-1][0]
    elif event in RESOLVING:
        host = arguments[0]
    else:
        return
    if not is_loopback(host):
        text = f"The local AWS reaches its own machine only; something asked for {host!r}."
        raise ConnectionRefusedError(text)


def allow_loopback_only() -> None:
    sys.addaudithook(refuse_elsewhere)
