"""Runs the CDK CLI as a local command. Its output goes to a file, and its end is always awaited.

It runs in a process group of its own, so that Ctrl-C ends it with all that is below it: the CDK app, jsii, pip.
"""

import subprocess
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from localcloud.environment import ROOT, LocalCloudError
from localcloud.processes import end_group, uninterrupted

Note = Callable[[str], None]
Step = Callable[[str], AbstractContextManager[Note]]


def quietly(_: str) -> AbstractContextManager[Note]:
    """A step that shows nothing, for tests."""
    return nullcontext(lambda _: None)


def cdk(arguments: Iterable[str], environment: Mapping[str, str], log: Path, note: Note, folder: Path = ROOT) -> None:
    """Run `cdk` with these arguments in the folder, and pass its latest line to `note` while it runs.

    Raises LocalCloudError with the end of what it said, and the log's path, when it fails.
    """
    command = ["cdk", "--no-color", "--no-notices", "--no-version-reporting", *arguments]
    with log.open("a") as output:
        begin = output.tell()
        output.write(f"$ {' '.join(command)}\n")
        output.flush()
        process: subprocess.Popen[bytes] | None = None
        try:
            with uninterrupted():
                process = subprocess.Popen(
                    command,
                    cwd=folder,
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            while process.poll() is None:
                note(latest(log))
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.2)
            failed = process.returncode != 0
        finally:
            if process:
                end_group(process)
    if failed:
        said = log.read_bytes()[begin:].decode(errors="replace")
        raise LocalCloudError(f"cdk {command[4]} failed; its whole output is in {log}\n\n{why(said)}")


def latest(log: Path) -> str:
    """What cdk is doing: the last line of its log; of an event, only the status and the resource."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 2000))
        lines = [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    last = lines[-1].strip() if lines else ""
    if last.startswith("$ "):
        return "synthesizing" if " deploy " in last else ""
    return " ".join(part.strip() for part in last.split("|")[-3::2]) if last.count("|") > 3 else last


def why(said: str) -> str:
    """The part of cdk's output that explains the failure: its summary if there is one, otherwise its last lines."""
    lines = [line.rstrip() for line in said.splitlines() if line.strip()]
    summary = next((index for index in reversed(range(len(lines))) if "❌" in lines[index]), None)
    if summary is None:
        return "\n".join(lines[-12:])
    asides = ("Source Location:", "(no user code", "CloudTrail delivery", "Logs: https://")  # of AWS itself
    return "\n".join(line for line in lines[summary:][:20] if not line.strip().startswith(asides))
