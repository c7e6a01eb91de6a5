"""MiniStack with two corrections, without which a state machine does not run as on AWS.

MiniStack 1.5.33 reports every error of a Python function as `Runtime.HandlerError`, and then ends the process that
raised it. Lambda reports the name of the error's class, which is what a state machine's Retry and Catch go by, and
keeps the environment. And MiniStack sleeps 150 ms at the start of each execution, which would be all that one measures.
"""

import sys
import time
from importlib import import_module
from types import SimpleNamespace
from typing import Any, cast

from localcloud import emulator

RAISED = "__raised__"
START_DELAY = 0.15


def name_errors(runtime: Any, service: Any) -> None:
    """Let a function's worker answer with what it raised, and turn that into Lambda's report of an error."""
    raised = '{"status": "error", "error": str(e), "trace": traceback.format_exc()}'
    report = f'{{"{RAISED}": [type(e).__name__, str(e), traceback.format_exc()]}}'
    script: str = runtime._PYTHON_WORKER_SCRIPT
    if raised not in script:
        sys.exit("This MiniStack reports errors in another way than 1.5.33: see whether it still needs correcting.")
    runtime._PYTHON_WORKER_SCRIPT = script.replace(raised, f'{{"status": "ok", "result": {report}}}')
    execute = service._execute_function_warm

    def named(*arguments: Any) -> dict[str, Any]:
        result = execute(*arguments)
        body = result.get("body")
        if not isinstance(body, dict) or RAISED not in body:
            return result
        error_type, message, trace = cast("dict[str, list[str]]", body)[RAISED]
        log = f"{result.get('log', '')}\n{trace}"
        return {"body": {"errorMessage": message, "errorType": error_type}, "error": True, "log": log}

    service._execute_function_warm = named


def sleep_unless_start(seconds: float) -> None:
    time.sleep(0 if seconds == START_DELAY else seconds)


if __name__ == "__main__":
    name_errors(import_module("ministack.core.lambda_runtime"), import_module("ministack.services.lambda_svc"))
    states: Any = import_module("ministack.services.stepfunctions")
    states.time = SimpleNamespace(**{**vars(time), "sleep": sleep_unless_start})
    emulator.main()
