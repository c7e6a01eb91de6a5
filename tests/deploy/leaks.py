"""Finds the files, logs and templates in which a text can be read after a deployment."""

from localcloud.cloud import LocalCloud
from tests.deploy.state import stacks
from tests.driver import logged


def texts(cloud: LocalCloud) -> dict[str, str]:
    """Every log and every template, without the data of Restate and the emulator."""
    files = [path for path in cloud.directory.rglob("*") if path.is_file() and path.stat().st_size < 10_000_000]
    found = {str(path): path.read_text(errors="replace") for path in files if "data" not in path.parts}
    formation = cloud.client("cloudformation")
    for name in stacks(cloud):
        found[f"stack {name}"] = str(formation.describe_stacks(StackName=name)["Stacks"])
        found[f"events of {name}"] = str(formation.describe_stack_events(StackName=name)["StackEvents"])
    return found | {name: "\n".join(lines) for name, lines in logged(cloud).items()}


def where_it_shows(cloud: LocalCloud, key: str, and_this: str) -> list[str]:
    """Where the key can be read. `and_this` must be found somewhere, which proves that the search works."""
    found = texts(cloud)
    assert [where for where, text in found.items() if and_this in text]
    return [where for where, text in found.items() if key in text]
