"""`make synth`: the template of each environment, and of a self-hosted Restate, without credentials.

With it, CI finds a wrong environments/*.toml before anything is deployed.
"""

import shutil
from pathlib import Path

from demo.cloud import APP, HolidayCloud
from holiday_stack import environments
from localcloud.deploy import Note, cdk

SELF_HOSTED = {
    "environment": environments.NONE,
    "adminUrl": "http://restate.example:9070",
    "ingressUrl": "http://restate.example:8080",
}


def synthesize(cloud: HolidayCloud, note: Note) -> dict[str, Path]:
    """Synthesize them all and return their templates. The cloud need not run."""
    directory = cloud.directory.parent / "synth"
    templates: dict[str, Path] = {}
    shapes = {f"environments/{name}": {"environment": name} for name in environments.existing()}
    for shape, settings in (shapes | {"self-hosted": SELF_HOSTED}).items():
        note(shape)
        output = directory / shape
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir(parents=True)
        context = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        arguments = ["synth", "--quiet", "--app", APP, "--output", str(output), *context]
        cdk(arguments, cloud.environment(), directory / "cdk.log", note)
        (templates[shape],) = output.glob("*.template.json")
    return templates
