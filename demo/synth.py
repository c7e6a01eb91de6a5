"""`make synth`: the templates of both shapes of the stack, as a deployment would make them, without credentials."""

from pathlib import Path

from demo.cloud import APP, STACK, HolidayCloud
from localcloud.deploy import Note, cdk

SHAPES = {  # with made-up values for what only its owner knows
    "Restate Cloud": {
        "environmentId": "env_201j7wcvzjqgwrbgt7wt4xfw6gj",
        "authTokenSecretArn": "arn:aws:secretsmanager:us-east-1:000000000000:secret:restate-api-key-AbCdEf",
        "restateRegion": "us",
    },
    "self-hosted": {"adminUrl": "http://restate.example:9070", "ingressUrl": "http://restate.example:8080"},
}


def synthesize(cloud: HolidayCloud, note: Note) -> dict[str, Path]:
    """Synthesize both shapes and return their templates. The cloud need not run: only its environment is used."""
    directory = cloud.directory.parent / "synth"
    templates: dict[str, Path] = {}
    for shape, settings in SHAPES.items():
        note(shape)
        output = directory / shape.lower().replace(" ", "-")
        output.mkdir(parents=True, exist_ok=True)
        context = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        arguments = ["synth", "--quiet", "--app", APP, "--output", str(output), *context]
        cdk(arguments, cloud.environment(), directory / "cdk.log", note)
        templates[shape] = output / f"{STACK}.template.json"
    return templates
