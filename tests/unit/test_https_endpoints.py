"""An emulator with HTTPS: AWS_CA_BUNDLE names the authority of its certificate, for clients and for viewers."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from botocore.exceptions import SSLError

from invalidations_cli.canaries import EdgeViewer
from invalidations_cli.local import certificates
from invalidations_cli.local.aws import LocalAws

pytestmark = pytest.mark.slow

LISTED = b"<ListAllMyBucketsResult><Buckets><Bucket><Name>site</Name></Bucket></Buckets></ListAllMyBucketsResult>"


class AnswersWithBuckets(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(LISTED)))
        self.send_header("X-Cache", "Hit from cloudfront")
        self.end_headers()
        self.wfile.write(LISTED)

    def log_message(self, *_words: object) -> None:
        pass


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(certificates, "HOSTS", "localhost")
    authority, own = certificates.make(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own)
    server = ThreadingHTTPServer(("127.0.0.1", 0), AnswersWithBuckets)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority))
    yield f"https://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_clients_and_viewers_trust_the_authority_that_is_named(endpoint: str) -> None:
    assert [each["Name"] for each in LocalAws(endpoint).client("s3").list_buckets()["Buckets"]] == ["site"]
    assert EdgeViewer("d1.cloudfront.net", endpoint).get("/").hit


def test_nobody_is_trusted_whom_no_bundle_names(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_CA_BUNDLE")
    with pytest.raises(SSLError):
        LocalAws(endpoint).client("s3").list_buckets()
    assert "CERTIFICATE_VERIFY_FAILED" in EdgeViewer("d1.cloudfront.net", endpoint).get("/").problem
