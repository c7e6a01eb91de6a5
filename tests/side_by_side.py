"""`python -m tests.side_by_side <marker> <folders>`: tests/faults in one process, these in another, at the same time.

Both wait more than they work. What the first one says is shown at its end, and what the second one says as it comes.
Ctrl-C, like a termination, is passed on to the two alone, each of which stops what it has started: what is below them,
the CDK's Node.js above all, would answer it with tracebacks.
"""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
FAULTS = "tests/faults"
# Not `-m pytest`, which shows a traceback if it is interrupted before it has imported what it needs.
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

    def interrupt(signum: int, _: object) -> None:  # pytest cleans up after SIGINT only, and not if another one comes
        if not interruptions:
            print("\nInterrupted: the tests are stopping what they have started.", flush=True)
            for process in running:
                process.send_signal(signal.SIGINT)
        interruptions.append(signum)

    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, interrupt)
    with tempfile.TemporaryFile() as said:
        faults = start("-o", "cache_dir=.local/faults_cache", FAULTS, output=said)
        others = start(f"--ignore={FAULTS}", *folders)
        codes = [others.wait(), faults.wait()]
        said.seek(0)
        sys.stdout.buffer.write(b"\nAt the same time, tests/faults:\n" + said.read())
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
