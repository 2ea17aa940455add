"""Handlers may be viewers: Verify At Edge asks `https://<distribution>.cloudfront.net` for what it gives.

ministack answers viewers in plain HTTP at its own port, and nowhere else: a handler that asks for the distribution's
host leaves the machine, or, where it may not, gets nothing. Here such a host is found on this machine: at a listener
that speaks TLS, with a certificate that the workers trust, and hands each request on to ministack's own edge.
"""

from __future__ import annotations

import http.client
import inspect
import os
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import ministack.core.lambda_runtime as runtime

from invalidations_cli.local import certificates, viewing
from invalidations_cli.local.settings import LocalSettings

SECONDS = 30.0
OF_THE_CONNECTION = frozenset({"connection", "keep-alive", "transfer-encoding"})


def apply(_settings: LocalSettings) -> None:
    authority, edge = certificates.make(Path(os.environ["TMPDIR"]))
    port = listen(edge)
    source = inspect.getsource(viewing)
    order = f"lead_to_the_edge({port}, {str(authority)!r})"
    runtime._PYTHON_WORKER_SCRIPT = f"{source}\n{order}\n{runtime._PYTHON_WORKER_SCRIPT}"


def listen(certificate: Path) -> int:
    """Speak TLS at a free port from now on; which it is."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    listener = ThreadingHTTPServer(("127.0.0.1", 0), EdgeConnection)
    # Each connection's own thread shakes hands, so that nobody waits for somebody slow.
    listener.socket = context.wrap_socket(listener.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    return int(listener.server_address[1])


class EdgeConnection(BaseHTTPRequestHandler):
    """One viewer's request, handed on to the edge as one that came over TLS."""

    timeout = SECONDS

    def hand_on(self) -> None:
        gateway = http.client.HTTPConnection("127.0.0.1", int(os.environ["GATEWAY_PORT"]), timeout=SECONDS)
        try:
            headers = {**dict(self.headers), "X-Forwarded-Proto": "https"}
            gateway.request(self.command, self.path, headers=headers)
            response = gateway.getresponse()
            body = response.read()
        finally:
            gateway.close()
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in OF_THE_CONNECTION:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_HEAD = hand_on  # noqa: N815 - the base class's names

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""
