"""The JSON lines that functions logged, by one CloudWatch Logs Insights query over all their log groups.

The query keeps to what AWS documents, and has not run there. The emulator knows a part of that language, in which a
filter may look for a pattern in `@message` but not compare a field of the JSON in it.
"""

import json
import re
import time
from collections.abc import Iterable
from typing import Any, cast

from localcloud.cloud import LocalCloud
from localcloud.environment import LocalCloudError

QUERY_TIMEOUT = 30.0

Line = dict[str, str]


def query(field: str, pattern: str) -> str:
    """The query for every line in which this field, as it is logged, matches the regular expression."""
    return f'fields @timestamp, @message | filter @message like /"{field}": *"{pattern}"/ | sort @timestamp asc'


def pattern_of(text: str) -> str:
    """The regular expression that matches a text as JSON writes it between quotes."""
    return re.sub(r"[][\\^$.|?*+(){}/]", r"\\\g<0>", json.dumps(text)[1:-1])


def ask(cloud: LocalCloud, functions: Iterable[str], text: str) -> list[Line]:
    """Every JSON line that the query finds in the log groups of these functions (names or ARNs), in order of time.

    Raises LocalCloudError if the query does not end.
    """
    client, logs = cloud.client("lambda"), cloud.client("logs")
    found = [client.get_function_configuration(FunctionName=function) for function in functions]
    groups = [function["LoggingConfig"].get("LogGroup", "") for function in found]
    now = int(time.time())
    begun = logs.start_query(logGroupNames=groups, startTime=0, endTime=now + 60, queryString=text, limit=10000)
    deadline = time.monotonic() + QUERY_TIMEOUT
    while (answer := logs.get_query_results(queryId=begun["queryId"]))["status"] in ("Scheduled", "Running"):
        if time.monotonic() > deadline:
            raise LocalCloudError(f"The query timed out after {QUERY_TIMEOUT:.0f} s.")
        time.sleep(0.1)
    messages = [cell.get("value", "") for row in answer["results"] for cell in row if cell.get("field") == "@message"]
    lines = [_parsed(line) for message in messages for line in message.splitlines()]
    return sorted((line for line in lines if line), key=lambda line: line["timestamp"])


def _parsed(line: str) -> Line | None:
    try:
        parsed: Any = json.loads(line)
    except ValueError:
        return None
    return cast(Line, parsed) if isinstance(parsed, dict) and "timestamp" in parsed else None
