"""MiniStack with two corrections, without which a state machine cannot run as on AWS.

MiniStack 1.5.33 reports every error of a Python function as `Runtime.HandlerError`, and then ends the process that
raised it. Lambda reports the name of the error's class, which is what a state machine's Retry and Catch go by, and
keeps the environment. Nothing else is changed. `--dynamodb URL` is where functions then find DynamoDB: a proxy.
"""

import argparse
import os
import sys
from importlib import import_module
from typing import Any, cast

from localcloud import emulator

MARK = "__raised__"


def name_errors(runtime: Any, service: Any) -> None:
    """Let a function's worker answer with what it raised, and turn that into Lambda's report of an error."""
    raised = '{"status": "error", "error": str(e), "trace": traceback.format_exc()}'
    report = f'{{"{MARK}": [type(e).__name__, str(e), traceback.format_exc()]}}'
    script: str = runtime._PYTHON_WORKER_SCRIPT
    if raised not in script:
        sys.exit("This MiniStack reports errors in another way than 1.5.33: see whether it still needs correcting.")
    runtime._PYTHON_WORKER_SCRIPT = script.replace(raised, f'{{"status": "ok", "result": {report}}}')
    execute = service._execute_function_warm

    def named(*arguments: Any) -> dict[str, Any]:
        result = execute(*arguments)
        body = result.get("body")
        if not isinstance(body, dict) or MARK not in body:
            return result
        error_type, message, trace = cast("dict[str, list[str]]", body)[MARK]
        log = f"{result.get('log', '')}\n{trace}"
        return {"body": {"errorMessage": message, "errorType": error_type}, "error": True, "log": log}

    service._execute_function_warm = named


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dynamodb", metavar="URL")
    dynamodb: str | None = parser.parse_args().dynamodb
    if dynamodb:
        os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = dynamodb  # functions inherit it
    sys.argv[1:] = []
    name_errors(import_module("ministack.core.lambda_runtime"), import_module("ministack.services.lambda_svc"))
    emulator.main()


if __name__ == "__main__":
    main()
