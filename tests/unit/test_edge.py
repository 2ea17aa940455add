"""What viewers get beside what the bucket holds: only a clear difference counts as stale."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from invalidation.cloudfront import edge
from invalidation.cloudfront.edge import EdgeAnswer, EdgeVerdict, Looked, ask_edge, look

OLD, NEW = '"0123456789abcdef"', '"fedcba9876543210"'
ask_plainly = partial(ask_edge, connect=http.client.HTTPConnection)


class FakeS3:
    """One object; ``etags`` are what each look at it finds, the last of them again and again; "" is no object."""

    def __init__(self, *etags: str) -> None:
        self._etags = list(etags)

    def head_object(self, **asked: Any) -> dict[str, Any]:
        assert asked == {"Bucket": "my-site", "Key": "a b.html"}
        etag = self._etags.pop(0) if len(self._etags) > 1 else self._etags[0]
        if etag.isdigit():
            raise _refused(etag)
        if not etag:
            raise _refused("404")
        return {"ETag": etag}


def _refused(code: str) -> Exception:
    if code == "0":
        return EndpointConnectionError(endpoint_url="https://my-site.s3.amazonaws.com")
    return ClientError({"Error": {"Code": code, "Message": ""}}, "HeadObject")


def _looked(s3: FakeS3, ask: Callable[[str, str], EdgeAnswer], host: str = "www.example.com") -> Looked:
    client: Any = s3
    return look(client, "my-site", "a b.html", host, "/a%20b.html", ask=ask)


def _gives(status: int, etag: str = "", *, error_page: bool = False) -> Callable[[str, str], EdgeAnswer]:
    def ask(host: str, path: str) -> EdgeAnswer:
        assert (host, path) == ("www.example.com", "/a%20b.html")
        return EdgeAnswer(status, etag, error_page)

    return ask


CASES = [
    ("what the bucket holds", NEW, _gives(200, NEW), EdgeVerdict.FRESH),
    ("the same, with an ETag that a proxy has weakened", NEW, _gives(200, f"W/{NEW}"), EdgeVerdict.FRESH),
    ("what the bucket held before", NEW, _gives(200, OLD), EdgeVerdict.STALE),
    ("what it held before, weakened", NEW, _gives(200, f"W/{OLD}"), EdgeVerdict.STALE),
    ("a page without an ETag", NEW, _gives(200), EdgeVerdict.UNKNOWN),
    ("a redirect to another host", NEW, _gives(301), EdgeVerdict.UNKNOWN),
    ("a page that needs a signature", NEW, _gives(403), EdgeVerdict.UNKNOWN),
    ("an error of the origin", NEW, _gives(503), EdgeVerdict.UNKNOWN),
    ("an error page with a status of 200", NEW, _gives(200, OLD, error_page=True), EdgeVerdict.UNKNOWN),
    ("an object that is gone, as it was", "", _gives(200, OLD), EdgeVerdict.STALE),
    ("an object that is gone, as it was, without its ETag", "", _gives(200), EdgeVerdict.STALE),
    ("nothing, where nothing is", "", _gives(404), EdgeVerdict.FRESH),
    ("nothing, where nothing may be listed", "", _gives(403), EdgeVerdict.FRESH),
    ("the page of a one-page application, where nothing is", "", _gives(200, OLD, error_page=True), EdgeVerdict.FRESH),
    ("a redirect, where nothing is", "", _gives(302), EdgeVerdict.UNKNOWN),
    ("something, where S3 denies to tell", "403", _gives(200, OLD), EdgeVerdict.UNKNOWN),
    ("something, where S3 does not answer", "0", _gives(200, OLD), EdgeVerdict.UNKNOWN),
]


@pytest.mark.parametrize(("stored", "ask", "verdict"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_edge_gives(stored: str, ask: Callable[[str, str], EdgeAnswer], verdict: EdgeVerdict) -> None:
    assert _looked(FakeS3(stored), ask).verdict is verdict


@pytest.mark.parametrize("changes", [(OLD, NEW), (OLD, ""), ("", NEW)])
@pytest.mark.parametrize("answer", [_gives(200, OLD), _gives(404)])
def test_an_object_that_changes_while_it_is_looked_at_proves_nothing(
    changes: tuple[str, str], answer: Callable[[str, str], EdgeAnswer]
) -> None:
    assert _looked(FakeS3(*changes), answer).verdict is EdgeVerdict.UNKNOWN


def test_what_was_seen_is_told() -> None:
    assert _looked(FakeS3(NEW), _gives(200, OLD)).to_document() == {
        "path": "/a%20b.html",
        "verdict": "Stale",
        "stored": NEW,
        "served": OLD,
    }
    gone = _looked(FakeS3(""), _gives(404)).to_document()
    assert (gone["stored"], gone["served"]) == ("none", "404")


# ---------------------------------------------------------------- a real server


class Site(BaseHTTPRequestHandler):
    """Answers each request with the next of the server's answers: a status and headers."""

    protocol_version = "HTTP/1.1"
    server: Any

    def do_HEAD(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        status, headers = self.server.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "1000000000")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def _serving(status: int, **headers: str) -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.answer, server.asked = (status, {name.replace("_", "-"): value for name, value in headers.items()}), []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _host(server: Any) -> str:
    return f"127.0.0.1:{server.server_address[1]}"


def test_one_head_request_is_made_and_no_body_is_read() -> None:
    with _serving(200, ETag=NEW, X_Cache="Hit from cloudfront") as server:
        assert _looked(FakeS3(NEW), ask_plainly, _host(server)).verdict is EdgeVerdict.FRESH
    ((path, headers),) = server.asked
    assert path == "/a%20b.html"
    assert headers["Accept-Encoding"] == "identity", "a compressed answer has another ETag"
    assert headers["User-Agent"] == "cloudfront-auto-invalidation"


def test_a_redirect_is_not_followed() -> None:
    with _serving(200, ETag=NEW) as elsewhere, _serving(301, Location=f"http://{_host(elsewhere)}/") as server:
        seen = _looked(FakeS3(NEW), ask_plainly, _host(server))
    assert (seen.verdict, seen.served) == (EdgeVerdict.UNKNOWN, "301")
    assert elsewhere.asked == []


def test_cloudfront_s_own_word_for_an_error_page_is_believed_whatever_the_status() -> None:
    with _serving(200, ETag=OLD, X_Cache="Error from cloudfront") as server:
        assert ask_plainly(_host(server), "/gone.html")[:3] == (200, OLD, True)


def test_the_certificate_is_checked_and_plain_http_is_not_spoken() -> None:
    with _serving(200, ETag=NEW) as server:
        seen = _looked(FakeS3(NEW), ask_edge, _host(server))
    assert (seen.verdict, seen.served) == (EdgeVerdict.UNKNOWN, "SSLError")
    assert server.asked == []


def test_nobody_there_is_no_verdict() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        seen = _looked(FakeS3(NEW), ask_plainly, f"127.0.0.1:{taken.getsockname()[1]}")
    assert (seen.verdict, seen.served) == (EdgeVerdict.UNKNOWN, "ConnectionRefusedError")


@contextmanager
def _one_answer(send: Callable[[socket.socket], object]) -> Iterator[str]:
    """A server that takes one connection and does with it what it likes; its host and port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        listening.settimeout(5)

        def serve() -> None:
            with closing(listening.accept()[0]) as connection:
                send(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


def test_an_edge_that_says_nothing_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "SECONDS", 0.1)
    over = threading.Event()
    with _one_answer(lambda _connection: over.wait(5)) as host:
        seen = _looked(FakeS3(NEW), ask_plainly, host)
        over.set()
    assert (seen.verdict, seen.served) == (EdgeVerdict.UNKNOWN, "TimeoutError")


def test_an_answer_that_trickles_in_is_given_up_on_and_half_of_it_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(edge, "SECONDS", 0.3)
    pieces = [b"HTTP/1.1 200 OK\r\n", b'ETag: "0123', *[b"0"] * 100]

    def trickle(connection: socket.socket) -> None:
        try:
            for piece in pieces:
                connection.sendall(piece)
                threading.Event().wait(0.05)
        except OSError:
            sent_until_the_end.clear()

    sent_until_the_end = threading.Event()
    sent_until_the_end.set()
    with _one_answer(trickle) as host:
        seen = _looked(FakeS3(NEW), ask_plainly, host)
    assert (seen.verdict, seen.served) == (EdgeVerdict.UNKNOWN, "TimeoutError")
    assert not sent_until_the_end.is_set(), "the connection was ended"


def test_what_is_not_http_is_no_verdict() -> None:
    with _one_answer(lambda connection: connection.sendall(b"220 mail.example.com ESMTP\r\n\r\n")) as host:
        seen = _looked(FakeS3(NEW), ask_plainly, host)
    assert (seen.verdict, seen.served) == (EdgeVerdict.UNKNOWN, "BadStatusLine")


@pytest.mark.parametrize("path", ["/a b\r\nHost: evil", "/\u00fc"])
def test_a_path_that_is_not_encoded_is_never_sent(path: str) -> None:
    with _serving(200, ETag=NEW) as server:
        client: Any = FakeS3(NEW)
        seen = look(client, "my-site", "a b.html", _host(server), path, ask=ask_plainly)
    assert seen.verdict is EdgeVerdict.UNKNOWN
    assert server.asked == []
