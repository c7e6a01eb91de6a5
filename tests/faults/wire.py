"""The proxy's wire format: HTTP/1.1 messages, and the errors of DynamoDB, SNS and Lambda."""

import asyncio
import json
import re

THROTTLED = (
    b'{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"slow down"}'
)
BROKEN = b'{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"broken"}'
SNS_ERROR = b"<ErrorResponse><Error><Type>Receiver</Type><Code>%s</Code><Message>no</Message></Error></ErrorResponse>"
STALE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: 39\r\n\r\n"
    b'{"Count":0,"ScannedCount":0,"Items":[]}'
)


def may_be_stale(request: bytes) -> bool:
    head, _, body = request.partition(b"\r\n\r\n")
    read = re.search(rb"(?i)x-amz-target: DynamoDB_20120810\.(Query|Scan|GetItem)", head)
    return bool(read) and not json.loads(body).get("ConsistentRead")


async def read(reader: asyncio.StreamReader) -> bytes:
    """Read one HTTP/1.1 message with a known length. Returns nothing at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    length = re.search(rb"(?i)content-length: (\d+)", head)
    return head + (await reader.readexactly(int(length[1])) if length else b"")


def error(service: str, status: int, dynamodb: bytes, sns: bytes) -> bytes:
    body = dynamodb if service == "dynamodb" else SNS_ERROR % sns
    kind = b"application/x-amz-json-1.0" if service == "dynamodb" else b"text/xml"
    return b"HTTP/1.1 %d No\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n%s" % (status, kind, len(body), body)


def refused_by_lambda(status: int, kind: bytes, message: bytes) -> bytes:
    body = b'{"Message":"%s"}' % message
    head = b"HTTP/1.1 %d No\r\nx-amzn-errortype: %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % (status, kind, len(body)) + body
