"""`python -m tests.parallel <marker> <folders>`: runs tests/deploy, tests/faults and the rest in three processes.

The folders in tests/deploy, whose tests are all slow, count as the rest, so that the three end at about the same time.
They spend most of their time waiting. The output of the last one is shown as it comes, that of the others at their end.
Ctrl-C and SIGTERM are passed on to these three only, and each stops what it has started. The processes below them,
such as CDK's Node.js, would print tracebacks.
"""

import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
APART = {"tests/deploy": ("--ignore-glob=tests/deploy/*/*",), "tests/faults": ()}
REST = ("--ignore-glob=tests/deploy/test_*.py", "--ignore=tests/faults")
# Not `-m pytest`, which prints a traceback if it is interrupted during its imports.
PYTEST = """
import sys
try:
    import pytest
    sys.exit(pytest.main())
except KeyboardInterrupt:
    sys.exit(2)
"""


def main(marker: str, folders: list[str]) -> int:
    running: list[subprocess.Popen[bytes]] = []
    interruptions: list[int] = []

    def start(*arguments: str, output: IO[bytes] | None = None) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", PYTEST, "-m", marker, *arguments]
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, start_new_session=True)
        running.append(process)
        if interruptions:
            process.send_signal(signal.SIGINT)
        return process

    def interrupt(signum: int, _: object) -> None:  # pytest cleans up only after SIGINT, and only the first
        if not interruptions:
            print("\nInterrupted: the tests are stopping what they started.", flush=True)
            for process in running:
                process.send_signal(signal.SIGINT)
        interruptions.append(signum)

    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, interrupt)
    with ExitStack() as files:
        apart = {folder: files.enter_context(tempfile.TemporaryFile()) for folder in APART}
        processes = [
            start("-o", f"cache_dir=.local/cache_of_{folder.replace('/', '_')}", *APART[folder], folder, output=said)
            for folder, said in apart.items()
        ]
        codes = [start(*REST, *folders).wait()]
        for process, (folder, said) in zip(processes, apart.items(), strict=True):
            print(
                f"\nAt the same time, {folder}{'' if process.poll() is not None else ', which is still running'}:",
                flush=True,
            )
            codes.append(process.wait())
            said.seek(0)
            sys.stdout.buffer.write(said.read())
            sys.stdout.flush()
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
