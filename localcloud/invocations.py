"""What Restate has not finished: one query for all tests, commands and pages, with and without VQueues.

It is a file of its own, `unfinished.sql`, so that the Restate CLI can ask it too (docs/stuck.md), and it is in the
monitor's package, which looks for stuck invocations by it; read from there, because to import that takes AWS CDK and a
second. Its columns: `id`; `service`; `target`; `status`, which is `scheduled`, `queued`, `running`, `suspended`,
`backing-off` or `paused`; `failures`, how many attempts have failed (a pause may lose count); `since`, when it was
asked for; `stuck_since`, since when it gets no further, if nothing but the repair of something, or luck, will change
that; `failure`, what the last failed attempt said; `pinned`, the deployment that it has to finish on, if it has begun.
"""

from localcloud.environment import ROOT

HANDLER = ROOT / "packages" / "restate-lambda-cdk" / "src" / "restate_lambda_cdk" / "handler"
UNFINISHED = (HANDLER / "monitor" / "unfinished.sql").read_text()

SENT_AND_NOT_DONE = """
    SELECT split_part(entry_lite_json, '"', 8) AS id FROM sys_journal WHERE entry_type = 'Command: OneWayCall'
    AND split_part(entry_lite_json, '"', 8) NOT IN (SELECT id FROM sys_invocation_status WHERE status = 'completed')
"""
"""What was sent one way and has not been done: ask it after nothing else is unfinished.

For a moment such a message is on its way from one of Restate's partitions to another, and only the journal of its
sender knows of it. One that somebody cancels or kills while it is queued leaves no row, and is listed here for good.
"""


def unfinished(condition: str = "true", columns: str = "*") -> str:
    """The SQL that lists those for which this condition on the columns holds."""
    return f"SELECT {columns} FROM ({UNFINISHED}) WHERE {condition}"
