"""A cloud on this machine for any CDK app: an AWS emulator, a real Restate server, and the real `cdk deploy` into them.

It knows nothing of what is deployed. Everything here that starts a server, `make` targets and test fixtures alike,
starts it through `localcloud.cloud`.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

PYTHON = Path(__file__).resolve().parent.parent / ".venv" / "bin" / "python"

if not find_spec("ministack"):  # another app's virtual environment is active
    raise SystemExit(f"localcloud must run on {PYTHON}, which `make setup` creates, not on {sys.executable}.")
