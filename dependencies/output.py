"""What a command of this checkout prints: lines that appear at once, and end in no traceback on any terminal."""

import io
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager


def accept_any_encoding() -> None:
    """Print `?` for what the terminal's encoding does not have, in Latin-1 or ASCII, instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


@contextmanager
def step(title: str) -> Generator[None]:
    """A line before, and one after that says how long it took."""
    begin = time.monotonic()
    say(f"… {title}")
    yield
    say(f"✓ {title} ({time.monotonic() - begin:.1f} s)")


def say(line: str) -> None:
    print(line, flush=True)
