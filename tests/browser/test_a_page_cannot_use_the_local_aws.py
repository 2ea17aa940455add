"""A web page of another origin, in a real browser, neither reads from the local AWS nor writes to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from invalidations_cli.local import server
from invalidations_cli.local.aws import LocalAws
from invalidations_cli.local.settings import ACCOUNT, LocalSettings

pytestmark = [pytest.mark.browser, pytest.mark.local]

BUCKET = "a-bucket"
CREDENTIAL = f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={ACCOUNT}%2F20261128%2Fus-east-1%2F"
ATTEMPTS = """async ([endpoint, credential]) => {
    const asked = [
        ["GET", `/?${credential}s3%2Faws4_request`],
        ["GET", `/a-bucket/secret.txt?${credential}s3%2Faws4_request`],
        ["GET", `/2015-03-31/functions?${credential}lambda%2Faws4_request`],
        ["GET", "/_ministack/health"],
        ["GET", "/_local/calls"],
        ["POST", `/2015-03-31/functions?${credential}lambda%2Faws4_request`],
        ["POST", `/?Action=CreateTopic&Name=from-a-page&${credential}sns%2Faws4_request`],
        ["POST", "/_ministack/reset"],
        ["PUT", `/from-a-page?${credential}s3%2Faws4_request`],
        ["PUT", `/a-bucket/from-a-page?${credential}s3%2Faws4_request`],
        ["DELETE", `/a-bucket/secret.txt?${credential}s3%2Faws4_request`],
    ];
    const got = [];
    for (const mode of ["cors", "no-cors"]) {
        for (const [method, path] of asked) {
            const options = { method, mode, body: method === "GET" ? undefined : "{}" };
            try {
                const answer = await fetch(endpoint + path, options);
                got.push([mode, method, path, answer.status, await answer.text()]);
            } catch (error) {
                got.push([mode, method, path, 0, ""]);
            }
        }
    }
    return got;
}"""
SUBRESOURCES = """async ([endpoint, credential]) => {
    const url = `${endpoint}/a-bucket/picture.svg?${credential}s3%2Faws4_request`;
    const picture = new Image();
    return await new Promise((done) => {
        picture.onload = () => done("seen");
        picture.onerror = () => done("refused");
        picture.src = url;
    });
}"""
FORM = """([endpoint, credential]) => {
    const form = document.createElement("form");
    form.method = "POST";
    form.enctype = "text/plain";
    form.action = `${endpoint}/?Action=CreateTopic&Name=from-a-form&${credential}sns%2Faws4_request`;
    document.body.append(form);
    form.submit();
}"""


class Page(BaseHTTPRequestHandler):
    """An empty page, whatever is asked for."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>a page</title>")

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with server.running(LocalSettings(), server.free_port()) as emulator:
        aws = LocalAws(emulator.endpoint)
        s3 = aws.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="secret.txt", Body=b"secret")
        s3.put_object(
            Bucket=BUCKET,
            Key="picture.svg",
            Body=b'<svg xmlns="http://www.w3.org/2000/svg"/>',
            ContentType="image/svg+xml",
        )
        yield aws


@pytest.fixture(scope="module", params=["127.0.0.1", "localhost", "somebody.example"])
def origin(request: pytest.FixtureRequest) -> Iterator[str]:
    """A web server beside the emulator, by an address that is the emulator's site and by ones that are not."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as pages:
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        yield f"http://{request.param}:{pages.server_address[1]}/"
        pages.shutdown()


def untouched(aws: LocalAws) -> bool:
    s3 = aws.client("s3")
    return (
        [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == [BUCKET]
        and [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET)["Contents"]] == ["picture.svg", "secret.txt"]
        and aws.client("sns").list_topics()["Topics"] == []
        and aws.client("lambda").list_functions()["Functions"] == []
    )


def test_no_request_of_a_page_is_answered_and_none_changes_anything(
    browser: Browser, aws: LocalAws, origin: str
) -> None:
    page = browser.new_page()
    page.goto(origin)
    got = page.evaluate(ATTEMPTS, [aws.endpoint, CREDENTIAL])
    assert {mode for mode, *_rest in got} == {"cors", "no-cors"}
    assert [(status, text) for *_what, status, text in got if status or text] == []
    assert page.evaluate(SUBRESOURCES, [aws.endpoint, CREDENTIAL]) == "refused"
    with page.expect_navigation():
        page.evaluate(FORM, [aws.endpoint, CREDENTIAL])
    assert "refuses this request" in page.content()
    assert untouched(aws)
    page.close()


def test_a_page_whose_name_has_come_to_mean_this_machine_gets_nothing(browser: Browser, aws: LocalAws) -> None:
    page = browser.new_page()
    rebound = f"http://rebound.example:{urlsplit(aws.endpoint).port}"
    for path in ("/", "/_ministack/health", "/_local/calls", f"/{BUCKET}/secret.txt?{CREDENTIAL}s3%2Faws4_request"):
        answer = page.goto(rebound + path)
        assert answer is not None
        assert answer.status == 403
        assert "secret" not in page.inner_text("body").replace("secret.txt", "")
    page.close()


def test_a_person_may_look_at_the_local_aws_in_a_browser(browser: Browser, aws: LocalAws) -> None:
    page = browser.new_page()
    answer = page.goto(f"{aws.endpoint}/_ministack/health")
    assert answer is not None
    assert answer.status == 200
    page.close()
