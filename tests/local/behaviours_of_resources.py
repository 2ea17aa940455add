"""What AWS does and plain ministack does not: CloudFormation and CloudFront."""

import http.client
import json
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from invalidations_cli.local import site
from invalidations_cli.local.aws import LocalAws
from tests.local import distributions, tools

TOPIC = {"Type": "AWS::SNS::Topic", "Properties": {}}


def cloudformation_types(aws: LocalAws) -> bool:
    """A saved query and an alarm on metric math can be created."""
    query = {"Type": "AWS::Logs::QueryDefinition", "Properties": {"Name": "q", "QueryString": "fields @message"}}
    metric = {"Metric": {"Namespace": "n", "MetricName": "m"}, "Period": 60, "Stat": "Sum"}
    alarm = {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "ComparisonOperator": "GreaterThanThreshold",
            "EvaluationPeriods": 1,
            "Threshold": 0,
            "Metrics": [{"Id": "e", "Expression": "m"}, {"Id": "m", "MetricStat": metric, "ReturnData": False}],
        },
    }
    return all(tools.stack(aws, {"One": one}) == "CREATE_COMPLETE" for one in (query, alarm))


def cloudformation_tables(aws: LocalAws) -> bool:
    """A table has the time to live and the recovery that its template says."""
    name = tools.new_name()
    properties = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "TimeToLiveSpecification": {"AttributeName": "expiresAt", "Enabled": True},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
    }
    tools.stack(aws, {"Table": {"Type": "AWS::DynamoDB::Table", "Properties": properties}})
    dynamodb = aws.client("dynamodb")
    expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    return [expiry.get("AttributeName"), recovery] == ["expiresAt", "ENABLED"]


def loopback_counts_as_tls(aws: LocalAws) -> bool:
    """A topic that refuses what does not come over TLS takes a message."""
    topic = aws.client("sns").create_topic(Name=tools.new_name())["TopicArn"]
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sns:Publish",
        "Resource": topic,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    aws.client("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    source = f"""
import boto3
def handler(event, context):
    boto3.client("sns").publish(TopicArn={topic!r}, Message="x")
"""
    arn = tools.function(aws, source)
    role = aws.client("lambda").get_function(FunctionName=arn)["Configuration"]["Role"].rpartition("/")[2]
    allow = {"Effect": "Allow", "Action": "sns:Publish", "Resource": topic}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    aws.client("iam").put_role_policy(RoleName=role, PolicyName="publish", PolicyDocument=document)
    return "FunctionError" not in aws.client("lambda").invoke(FunctionName=arn)


def cloudformation_parameters(aws: LocalAws) -> bool:
    """A parameter that the template does not have is refused."""
    return tools.stack(aws, {"Topic": TOPIC}, parameters={"Misspelt": "1"}) == "REFUSED"


def cloudformation_custom_resources(aws: LocalAws) -> bool:
    """A custom resource whose Create failed is sent a Delete with the id that it had answered."""
    bucket = tools.new_name()
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=bucket)
    source = f"""
import boto3, json, urllib.request
def handler(event, context):
    boto3.client("s3").put_object(Bucket={bucket!r}, Key=event["RequestType"], Body=event.get("PhysicalResourceId", ""))
    status = "FAILED" if event["RequestType"] == "Create" else "SUCCESS"
    same = {{key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}}
    answer = {{**same, "Status": status, "Reason": "on purpose", "PhysicalResourceId": "half-made"}}
    request = urllib.request.Request(event["ResponseURL"], json.dumps(answer).encode(), method="PUT")
    urllib.request.urlopen(request).close()
"""
    arn = tools.function(aws, source)
    role = aws.client("lambda").get_function(FunctionName=arn)["Configuration"]["Role"].rpartition("/")[2]
    allow = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    aws.client("iam").put_role_policy(RoleName=role, PolicyName="write", PolicyDocument=policy)
    tools.stack(aws, {"Half": {"Type": "Custom::Half", "Properties": {"ServiceToken": arn, "ServiceTimeout": 20}}})
    written = {item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])}
    return written == {"Create", "Delete"} and s3.get_object(Bucket=bucket, Key="Delete")["Body"].read() == b"half-made"


def cloudfront_invalidations(aws: LocalAws) -> bool:
    """An invalidation takes time; a wrong path, and more wildcards than may be in progress, are refused."""
    distribution = new_distribution(aws).distribution_id
    first = invalidate(aws, distribution, "/a/*")
    refusals = [invalidate(aws, distribution, *paths) for paths in (["no-slash"], ["/a b"], ["/x*y"], ["/b/*"])]
    codes = ["InvalidArgument"] * 3 + ["TooManyInvalidationsInProgress"]
    if first != "InProgress" or refusals != codes:
        return False
    return bool(tools.eventually(lambda: invalidate(aws, distribution, "/b/*") == "InProgress", tools.timeout(aws, 3)))


def cloudfront_listing(aws: LocalAws) -> bool:
    """Two distributions need two pages of one, and a summary tells of origin groups and staging."""
    for _ in range(2):
        new_distribution(aws, with_group=True)
    cloudfront = aws.client("cloudfront")
    first = cloudfront.list_distributions()["DistributionList"]
    pages = list(cloudfront.get_paginator("list_distributions").paginate())
    summaries = [item for page in pages for item in page["DistributionList"]["Items"]]
    return (
        first["IsTruncated"]
        and len(first["Items"]) == 1
        and len({item["Id"] for item in summaries}) == len(summaries) == len(pages) >= 2
        and any(item.get("OriginGroups", {}).get("Quantity") == 1 and item["Staging"] for item in summaries)
    )


def cloudfront_edge_cache(aws: LocalAws) -> bool:
    """The edge keeps what it fetched until an invalidation of its path is completed, for GET and for HEAD."""
    bucket = tools.new_name()
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=bucket)
    distribution = site.create_distribution(aws, bucket)

    def publish(text: str) -> None:
        s3.put_object(Bucket=bucket, Key="a b.html", Body=text.encode())

    def viewed() -> tuple[str, str]:
        return view(aws, distribution.domain_name, "/a%20b.html")

    publish("one")
    views = [viewed(), viewed()]
    publish("two")
    views += [viewed(), view(aws, distribution.domain_name, "/a%20b.html", "HEAD")]
    invalidate(aws, distribution.distribution_id, "/a%20b.html")
    fresh = tools.eventually(lambda: viewed()[0] == "two", tools.timeout(aws, 3))
    return bool(fresh) and views == [("one", "Miss"), ("one", "Hit"), ("one", "Hit"), ("", "Hit")]


def cloudfront_origins(aws: LocalAws) -> bool:
    """A website endpoint answers for a directory with its index document."""
    bucket = tools.new_name()
    website(aws, bucket, "default.html")
    aws.client("s3").put_object(Bucket=bucket, Key="docs/default.html", Body=b"a directory")
    created = aws.client("cloudfront").create_distribution(DistributionConfig=distributions.of_its_website(bucket))
    return view(aws, created["Distribution"]["DomainName"], "/docs/")[0] == "a directory"


def cloudfront_configurations(aws: LocalAws) -> bool:
    """Braces in a path pattern are refused."""
    cloudfront, document = aws.client("cloudfront"), distributions.on_a_pattern_only("a-bucket", "*.{css,js}")
    try:
        cloudfront.create_distribution(DistributionConfig=document)
    except cloudfront.exceptions.InvalidArgument:
        return True
    return False


def website(aws: LocalAws, bucket: str, index: str, error: str = "", **more: Any) -> None:
    """A new bucket that anybody may read, hosted as a website."""
    site.create_bucket(aws, bucket)
    let_anybody_read(aws, bucket)
    documents = {"IndexDocument": {"Suffix": index}} | ({"ErrorDocument": {"Key": error}} if error else {})
    aws.client("s3").put_bucket_website(Bucket=bucket, WebsiteConfiguration={**documents, **more})


def let_anybody_read(aws: LocalAws, bucket: str) -> None:
    """Get objects of a bucket, and list it, as a website's owner allows."""
    s3 = aws.client("s3")
    s3.delete_public_access_block(Bucket=bucket)
    read = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    listing = {**read, "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [read, listing]}))


def cloudfront_viewers(aws: LocalAws) -> bool:
    """A function finds its distribution's host, over TLS with a certificate that it trusts, as a viewer would."""
    bucket = tools.new_name()
    site.create_bucket(aws, bucket)
    distribution = site.create_distribution(aws, bucket)
    aws.client("s3").put_object(Bucket=bucket, Key="a.html", Body=b"one")
    source = f"""
import http.client, socket
HOST = {distribution.domain_name!r}
def handler(event, context):
    try:
        socket.getaddrinfo(HOST, 443, flags=socket.AI_NUMERICHOST)  # asks no name server
    except OSError:
        return "nowhere"
    connection = http.client.HTTPSConnection(HOST, timeout=20)
    connection.request("HEAD", "/a.html")
    response = connection.getresponse()
    return [response.status, response.headers["ETag"], len(response.read())]
"""
    etag = aws.client("s3").head_object(Bucket=bucket, Key="a.html")["ETag"]
    return bool(tools.call(aws, tools.function(aws, source)) == [200, etag, 0])


def cloudfront_resources(aws: LocalAws) -> bool:
    """A function that may read any cache policy, and nothing else, reads one."""
    source = f"""
import boto3
def handler(event, context):
    return boto3.client("cloudfront").get_cache_policy(Id={site.CACHING_OPTIMIZED!r})["CachePolicy"]["Id"]
"""
    arn = tools.function(aws, source)
    role = aws.client("lambda").get_function(FunctionName=arn)["Configuration"]["Role"].rpartition("/")[2]
    resource = "arn:aws:cloudfront::123456789012:cache-policy/*"
    allow = {"Effect": "Allow", "Action": "cloudfront:GetCachePolicy", "Resource": resource}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    aws.client("iam").put_role_policy(RoleName=role, PolicyName="read", PolicyDocument=policy)
    return bool(tools.call(aws, arn) == site.CACHING_OPTIMIZED)


def new_distribution(aws: LocalAws, *, with_group: bool = False) -> site.SampleDistribution:
    bucket = tools.new_name()
    configuration = site.configuration(bucket, "")
    if with_group:
        origins = configuration["Origins"]["Items"]
        origins.append({**origins[0], "Id": "spare"})
        configuration["Origins"]["Quantity"] = 2
        members = {"Quantity": 2, "Items": [{"OriginId": origin["Id"]} for origin in origins]}
        criteria = {"StatusCodes": {"Quantity": 1, "Items": [500]}}
        group = {"Id": "group", "FailoverCriteria": criteria, "Members": members}
        configuration |= {"OriginGroups": {"Quantity": 1, "Items": [group]}, "Staging": True}
    created = aws.client("cloudfront").create_distribution(DistributionConfig=configuration)["Distribution"]
    return site.SampleDistribution(created["Id"], created["DomainName"])


def invalidate(aws: LocalAws, distribution_id: str, *paths: str) -> str:
    """The new invalidation's status, or the code of CloudFront's refusal."""
    cloudfront = aws.client("cloudfront")
    batch = {"CallerReference": tools.new_name(), "Paths": {"Quantity": len(paths), "Items": list(paths)}}
    try:
        created = cloudfront.create_invalidation(DistributionId=distribution_id, InvalidationBatch=batch)
    except cloudfront.exceptions.ClientError as refusal:
        return str(refusal.response["Error"]["Code"])
    return str(created["Invalidation"]["Status"])


def view(aws: LocalAws, domain: str, path: str, method: str = "GET") -> tuple[str, Any]:
    """The body, and whether the edge had it: Hit or Miss."""
    with closing(
        http.client.HTTPConnection(urlsplit(aws.endpoint).netloc, timeout=tools.TIMEOUT_SECONDS)
    ) as connection:
        connection.request(method, path, headers={"Host": domain})
        response = connection.getresponse()
        return response.read().decode(), str(response.getheader("X-Cache")).partition(" ")[0]
