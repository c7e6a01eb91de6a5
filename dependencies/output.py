"""How the commands of this checkout print: each line at once, and without encoding errors on any terminal."""

import io
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager


def accept_any_encoding() -> None:
    """Print `?` for characters that the terminal's encoding lacks, such as Latin-1 or ASCII, instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


@contextmanager
def step(title: str) -> Generator[None]:
    """Print a line before the block, and one after it with the time it took."""
    begin = time.monotonic()
    say(f"… {title}")
    yield
    say(f"✓ {title} ({time.monotonic() - begin:.1f} s)")


def say(line: str) -> None:
    print(line, flush=True)
