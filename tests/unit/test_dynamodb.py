"""What the adapter makes of DynamoDB's bad days. That it works on good ones, the contract tests show."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import ANY, Stubber

from invalidation.batches.dynamodb import BATCH_WRITE, DYNAMODB_CONFIG, DynamoBatchTable
from invalidation.batches.table import Index, Key
from invalidation.errors import BatchTableUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NAME = "batches"
KEY = Key("a", "b")
ITEM = {"pk": "a", "sk": "b"}

OPERATIONS: dict[str, tuple[str, Callable[[DynamoBatchTable], object]]] = {
    "get": ("get_item", lambda table: table.get(KEY)),
    "get_all": ("batch_get_item", lambda table: table.get_all([KEY])),
    "put": ("put_item", lambda table: table.put(ITEM)),
    "put_new": ("put_item", lambda table: table.put_new(ITEM)),
    "put_all": ("batch_write_item", lambda table: table.put_all([ITEM])),
    "update": ("update_item", lambda table: table.update(KEY, {"x": 1}, {})),
    "ensure": ("update_item", lambda table: table.ensure(KEY)),
    "delete_all": ("batch_write_item", lambda table: table.delete_all([KEY])),
    "page": ("query", lambda table: table.page("a")),
    "index_page": ("query", lambda table: table.index_page(Index.AUDIT, "a")),
}


@pytest.fixture
def client() -> "DynamoDBClient":
    config = Config(**{**DYNAMODB_CONFIG, "retries": {"total_max_attempts": 1}})
    return boto3.client(
        "dynamodb",
        region_name="eu-central-1",
        config=config,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )


@pytest.fixture
def stubber(client: "DynamoDBClient") -> Iterator[Stubber]:
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


@pytest.fixture
def table(client: "DynamoDBClient") -> DynamoBatchTable:
    return DynamoBatchTable(client, NAME)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ProvisionedThroughputExceededException", 400),
        ("ThrottlingException", 400),
        ("RequestLimitExceeded", 400),
        ("InternalServerError", 500),
        ("ServiceUnavailable", 503),
    ],
)
def test_what_may_go_well_later_is_unavailable(
    table: DynamoBatchTable, stubber: Stubber, operation: str, code: str, status: int
) -> None:
    method, call = OPERATIONS[operation]
    stubber.add_client_error(method, code, http_status_code=status)
    with pytest.raises(BatchTableUnavailable, match=code):
        call(table)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("code", ["AccessDeniedException", "ValidationException", "ResourceNotFoundException"])
def test_what_will_never_go_well_stays_what_it_is(
    table: DynamoBatchTable, stubber: Stubber, operation: str, code: str
) -> None:
    method, call = OPERATIONS[operation]
    stubber.add_client_error(method, code, http_status_code=400)
    with pytest.raises(ClientError, match=code):
        call(table)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_answer_is_unavailable(
    client: "DynamoDBClient", table: DynamoBatchTable, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    method, call = OPERATIONS[operation]

    def unreachable(**_: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://dynamodb.eu-central-1.amazonaws.com")

    monkeypatch.setattr(client, method, unreachable)
    with pytest.raises(BatchTableUnavailable, match="did not answer"):
        call(table)


@pytest.mark.parametrize(("operation", "answer"), [("put_new", False), ("update", None)])
def test_a_condition_that_does_not_hold_is_an_answer(
    table: DynamoBatchTable, stubber: Stubber, operation: str, answer: object
) -> None:
    method, call = OPERATIONS[operation]
    stubber.add_client_error(method, "ConditionalCheckFailedException", http_status_code=400)
    assert call(table) is answer


def written(number: int) -> dict[str, Any]:
    return {"PutRequest": {"Item": {"pk": {"S": "a"}, "sk": {"S": f"{number:03d}"}}}}


def items(number: int) -> list[dict[str, Any]]:
    return [{"pk": "a", "sk": f"{n:03d}"} for n in range(number)]


def test_what_dynamodb_leaves_unprocessed_is_sent_again(table: DynamoBatchTable, stubber: Stubber) -> None:
    left = [written(1), written(2)]
    stubber.add_response(
        "batch_write_item",
        {"UnprocessedItems": {NAME: left}},
        {"RequestItems": {NAME: [written(0), *left]}},
    )
    stubber.add_response("batch_write_item", {"UnprocessedItems": {}}, {"RequestItems": {NAME: left}})
    table.put_all(items(3))


def test_what_is_never_processed_is_unavailable(table: DynamoBatchTable, stubber: Stubber) -> None:
    for _ in range(5):
        stubber.add_response("batch_write_item", {"UnprocessedItems": {NAME: [written(0)]}}, {"RequestItems": ANY})
    with pytest.raises(BatchTableUnavailable, match="1 writes unprocessed"):
        table.put_all(items(1))


def test_what_dynamodb_leaves_unread_is_asked_for_again_unless_it_never_answers(
    table: DynamoBatchTable, stubber: Stubber
) -> None:
    left: dict[str, Any] = {NAME: {"Keys": [{"pk": {"S": "a"}, "sk": {"S": "001"}}], "ConsistentRead": True}}
    for number in range(2):
        item = {"pk": {"S": "a"}, "sk": {"S": f"{number:03d}"}}
        answer = {"Responses": {NAME: [item]}, "UnprocessedKeys": {} if number else left}
        stubber.add_response("batch_get_item", answer, {"RequestItems": ANY if not number else left})
    assert table.get_all([Key("a", "000"), Key("a", "001")]) == items(2)
    for _ in range(5):
        stubber.add_response("batch_get_item", {"Responses": {NAME: []}, "UnprocessedKeys": left})
    with pytest.raises(BatchTableUnavailable, match="1 reads unprocessed"):
        table.get_all([Key("a", "001")])


def test_progress_however_slow_is_not_given_up(table: DynamoBatchTable, stubber: Stubber) -> None:
    for left in range(BATCH_WRITE - 1, -1, -1):
        unprocessed = {NAME: [written(n) for n in range(left)]} if left else {}
        stubber.add_response("batch_write_item", {"UnprocessedItems": unprocessed}, {"RequestItems": ANY})
    table.put_all(items(BATCH_WRITE))


def test_a_failure_among_many_writes_is_not_swallowed(
    client: "DynamoDBClient", table: DynamoBatchTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def last_fails(RequestItems: dict[str, list[Any]]) -> dict[str, Any]:  # noqa: N803 -- boto3's name
        if written(299) in RequestItems[NAME]:
            raise EndpointConnectionError(endpoint_url="https://dynamodb.eu-central-1.amazonaws.com")
        return {}

    monkeypatch.setattr(client, "batch_write_item", last_fails)
    with pytest.raises(BatchTableUnavailable):
        table.put_all(items(300))


def test_an_item_is_ensured_once_by_a_process(table: DynamoBatchTable, stubber: Stubber) -> None:
    stubber.add_response("update_item", {"Attributes": {"pk": {"S": "a"}, "sk": {"S": "b"}}})
    table.ensure(KEY)
    table.ensure(KEY)


def test_an_item_whose_ensuring_failed_is_ensured_again(table: DynamoBatchTable, stubber: Stubber) -> None:
    stubber.add_client_error("update_item", "InternalServerError", http_status_code=500)
    with pytest.raises(BatchTableUnavailable):
        table.ensure(KEY)
    stubber.add_response("update_item", {"Attributes": {"pk": {"S": "a"}, "sk": {"S": "b"}}})
    table.ensure(KEY)


@pytest.mark.parametrize("value", [0.5, object()], ids=["a float", "an object"])
def test_a_value_that_dynamodb_has_no_type_for_is_refused(table: DynamoBatchTable, value: object) -> None:
    with pytest.raises(TypeError, match=r"Float types are not supported|Unsupported type"):
        table.put({**ITEM, "value": value})
