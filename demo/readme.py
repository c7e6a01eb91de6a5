"""Generates parts of the README from the code: `python -m demo.readme`, or `make readme`.

They are between markers: the saga from trips.py, and what each run type leaves, from the rows of services.py.
"""

import inspect
from collections.abc import Mapping
from importlib import import_module

from demo.contract import NEVER, NOTHING
from holiday.services import RUN_TYPES, SERVICES, Service
from localcloud.environment import ROOT

README = ROOT / "README.md"
FIRST_STEPS = tuple(f"{name}.{next(iter(row.steps))}" for name, row in SERVICES.items())


def left(run_type: str, services: Mapping[str, Service] = SERVICES) -> dict[str, str]:
    """What this run type leaves of each service's booking, in the contract's words."""
    if run_type == "success":
        return dict.fromkeys(services, "confirmed")
    failed = RUN_TYPES[run_type]
    if failed not in FIRST_STEPS:
        return {name: row.compensated for name, row in services.items()}
    found = dict.fromkeys(services, NOTHING)
    for name, row in services.items():
        if failed.startswith(f"{name}."):
            found[name] = NEVER
            break
        found[name] = row.compensated
    return found


def saga() -> str:
    """The workflow, with its decorators. Imported here, because what tests expect (`left`) must not need it."""
    return f"```python\n{inspect.getsource(import_module('holiday.trips').reserve)}```\n"


def run_types() -> str:
    """A line for each run type: where it fails, and what it leaves."""
    heading = ["`run_type`", "fails at", *(row.booking for row in SERVICES.values())]
    lines = [
        [f"`{run_type}`", "the success notice" if step == "trips.notify" else f"`{step}`", *left(run_type).values()]
        for run_type, step in RUN_TYPES.items()
    ]
    cells = [heading, ["---"] * len(heading), *lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def generated() -> dict[str, str]:
    """Each block of the README by the name of its markers."""
    return {"saga": saga(), "run types": run_types()}


def marked(name: str) -> tuple[str, str]:
    return f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->\n"


def main() -> None:
    text = README.read_text()
    for name, block in generated().items():
        begin, end = marked(name)
        before, after = text.split(begin)[0], text.split(end)[1]
        text = f"{before}{begin}{block}{end}{after}"
    README.write_text(text)


if __name__ == "__main__":
    main()
