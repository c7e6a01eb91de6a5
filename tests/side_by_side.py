"""`python -m tests.side_by_side <marker> <folders>`: tests/faults in one process, these in another, at the same time.

Both wait more than they work. What the first one says is shown at its end, and what the second one says as it comes.
Ctrl-C reaches both, and so does a termination; each stops what it has started.
"""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTEST = [sys.executable, "-m", "pytest"]
FAULTS = "tests/faults"


def main(marker: str, folders: list[str]) -> int:
    with tempfile.TemporaryFile() as said:
        faults = subprocess.Popen(
            [*PYTEST, "-m", marker, "-o", "cache_dir=.local/faults_cache", FAULTS],
            cwd=ROOT,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        others = subprocess.Popen([*PYTEST, "-m", marker, f"--ignore={FAULTS}", *folders], cwd=ROOT)

        def interrupt(*_: object) -> None:  # pytest does not clean up after a termination
            for each in (faults, others):
                each.send_signal(signal.SIGINT)

        for signum in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, interrupt)
        codes = [_end_of(others), _end_of(faults)]
        said.seek(0)
        sys.stdout.buffer.write(b"\nAt the same time, tests/faults:\n" + said.read())
    return max(codes)


def _end_of(process: "subprocess.Popen[bytes]") -> int:
    """Its exit code. An interruption is the process's own business: it was interrupted too, and is cleaning up."""
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
