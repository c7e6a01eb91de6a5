"""`cloud.json`, the state file: what one run of a local cloud is.

The servers outlive the command that starts them, so the next command finds them here: by process id and start time,
because ids are used again.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from localcloud.environment import LocalCloudError
from localcloud.ports import Ports


@dataclass
class CloudRun:
    """One run of a local cloud.

    Attributes:
        id: What every process of this run has in its environment.
        servers: The process id and start time of each server, by name.
        bootstrapped: Whether `cdk bootstrap` has run.
    """

    id: str
    servers: dict[str, tuple[int, float]] = field(default_factory=dict[str, tuple[int, float]])
    bootstrapped: bool = False


class StateFile:
    """The state file in a cloud's directory."""

    def __init__(self, path: Path, ports: Ports) -> None:
        self._path = path
        self._ports = ports

    def read(self) -> CloudRun | None:
        """The run that the file describes, or None without a file. Raises LocalCloudError if it cannot be read."""
        try:
            return CloudRun(**json.loads(self._path.read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            raise LocalCloudError(
                f"{self._path} is damaged: stop the processes that listen on ports "
                f"{', '.join(str(port) for port in asdict(self._ports).values())}, then delete that file."
            ) from None

    def demand(self) -> CloudRun:
        """The run, or LocalCloudError if nothing runs."""
        if run := self.read():
            return run
        raise LocalCloudError("The local cloud is not running: `make up` or `python -m localcloud up` starts it.")

    def write(self, run: CloudRun) -> None:
        """Replace the file in one step."""
        whole = self._path.with_name(f"{self._path.name}.new")
        whole.write_text(json.dumps(asdict(run), indent=2))
        whole.replace(self._path)

    def update(self, **changes: Any) -> None:
        """Write the run with these changes. Raises LocalCloudError if nothing runs."""
        self.write(replace(self.demand(), **changes))
