"""A lock on the network. This process reaches its own machine and nothing else, nor does a process that it starts.

The module imports only the standard library and nothing of this project, because its source is also put in front of
what each Lambda worker runs. It guards against mistakes and against functions in plain Python; it is no sandbox for
machine code.
"""

import ipaddress
import sys
from typing import Any

CONNECTING = frozenset({"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"})
RESOLVING = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})
STARTING = frozenset(
    {"subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn"}
)
"""What starts another process, which this hook would not see."""
OUTSIDE_PYTHON = frozenset({"ctypes.dlopen", "ctypes.dlsym", "ctypes.dlsym/handle", "ctypes.call_function"})
"""What calls the C library past Python, and so past this hook."""


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


def refuse_processes(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook. Raises PermissionError where a function starts a process or calls the C library."""
    if event in STARTING or (event in OUTSIDE_PYTHON and arguments[0] is not None):
        text = f"A function on the local AWS starts no processes and loads no libraries of its own ({event})."
        raise PermissionError(text)


def allow_loopback_only() -> None:
    sys.addaudithook(refuse_elsewhere)


def allow_no_processes() -> None:
    """Also replaces what starts a process without an audit event."""
    import _posixsubprocess  # noqa: PLC0415 - not on every system

    def refuse(*_arguments: Any) -> None:
        refuse_processes("subprocess.Popen", ())

    _posixsubprocess.fork_exec = refuse  # type: ignore[assignment] # it takes whatever it is given
    sys.addaudithook(refuse_processes)
