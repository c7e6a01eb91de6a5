"""`make update`: the newest versions within the major versions that are pinned, in every file that pins something.

A new major version is a decision: Dependabot proposes those. All is worked out in a scratch directory and moved into
place at the end, so an update that fails changes nothing. pip and npm do the work, with the indexes that they are
configured for. What Lambda runs is pinned with the hashes of the wheels for its runtimes and for people's machines.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path

from holiday_stack import bundling

ROOT = Path(__file__).resolve().parent
TOOLS = ("requirements.txt", "requirements-dev.txt", "requirements-bench.txt")
LAMBDAS = ("lambdas/requirements.txt", "comparison/step_functions/lambdas/requirements.txt")
NPM = ("package.json", "package-lock.json")
FILES = (*TOOLS, *LAMBDAS, "constraints.txt", *NPM)
OLDEST_PYTHON = "3.11"  # what is pinned has to install there too
MACHINES = (
    *(("manylinux_2_28_x86_64", "manylinux_2_17_x86_64"), ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64")),
    *(("macosx_14_0_x86_64",), ("macosx_14_0_arm64",)),
)
PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(\[[^]]*\])?==([^\s;]+)", re.MULTILINE)

Pins = dict[str, str]
"""Names, normalized, and their exact versions."""


class UpdateError(Exception):
    """The pins could not be updated. The message says why; no file was changed."""


def update(root: Path = ROOT) -> list[str]:
    """Update the files under `root`. Returns what changed, one line each. Raises UpdateError."""
    before = pinned(root)
    (root / ".local").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root / ".local") as directory:
        scratch = Path(directory)
        for name in (*FILES, ".npmrc"):
            (scratch / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, scratch / name)
        _update_python(scratch)
        _update_npm(scratch)
        after = pinned(scratch)
        changed = [name for name in FILES if (scratch / name).read_bytes() != (root / name).read_bytes()]
        for name in changed:
            (scratch / name).replace(root / name)
    return [*changes(before, after), *(f"written: {name}" for name in changed)]


def pinned(root: Path) -> Pins:
    """All that the files under `root` pin, direct or not; npm's packages as `npm:<name>`."""
    found: Pins = {}
    for name in (*TOOLS, *LAMBDAS, "constraints.txt"):
        found |= {_normal(pin[1]): pin[3] for pin in PIN.finditer((root / name).read_text())}
    packages = json.loads((root / "package-lock.json").read_text())["packages"]
    found |= {
        f"npm:{path.rpartition('node_modules/')[2]}": about["version"] for path, about in packages.items() if path
    }
    return found


def changes(before: Pins, after: Pins) -> list[str]:
    """`name old → new` for each pin that differs."""
    names = sorted({*before, *after})
    return [
        f"{name} {before.get(name, '(none)')} → {after.get(name, '(none)')}"
        for name in names
        if before.get(name) != after.get(name)
    ]


def newer(pins: str) -> list[str]:
    """What to ask pip for instead of what a file pins: at least that version, which keeps pip from falling back to an
    old release of one package to please another, and less than the next major one."""
    return [f"{pin[1]}{pin[2] or ''}>={pin[3]},<{int(re.split(r'[.!]', pin[3])[0]) + 1}" for pin in PIN.finditer(pins)]


def _update_python(root: Path) -> None:
    print("Resolving the Python packages", flush=True)
    wanted = [want for name in (*TOOLS, *LAMBDAS) for want in newer((root / name).read_text())]
    resolved = {name: version for name, version, _ in _resolve(wanted, ("--python-version", OLDEST_PYTHON))}
    for name in TOOLS:
        file = root / name
        file.write_text(PIN.sub(lambda pin: f"{pin[1]}{pin[2] or ''}=={resolved[_normal(pin[1])]}", file.read_text()))
    deployed: set[str] = set()
    for name in LAMBDAS:
        print(f"Collecting the hashes for {name}", flush=True)
        file = root / name
        exact = [f"{pin[1]}=={resolved[_normal(pin[1])]}" for pin in PIN.finditer(file.read_text())]
        hashes = _hashes(exact)
        deployed |= {_normal(pin.partition("==")[0]) for pin in hashes}
        lines = [line for line in file.read_text().splitlines() if line.startswith("#")]
        lines += [" \\\n    ".join([pin, *(f"--hash=sha256:{each}" for each in hashes[pin])]) for pin in hashes]
        file.write_text("\n".join(lines) + "\n")
    rest = (f"{name}=={version}\n" for name, version in sorted(resolved.items()) if name not in deployed)
    (root / "constraints.txt").write_text("".join(rest))


def _hashes(exact: list[str]) -> dict[str, list[str]]:
    """For each pin, `name==version`, that these lead to: the hashes of its wheels for every target and machine."""
    options = {target.pip_options for target in bundling.TARGETS.values() if target.pip_options}
    for python, platforms in product((OLDEST_PYTHON, *bundling.PYTHONS), MACHINES):
        options.add(("--python-version", python, *(word for each in platforms for word in ("--platform", each))))
    hashes: dict[str, set[str]] = {}
    with ThreadPoolExecutor(4) as pool:
        for wheels in pool.map(partial(_resolve, exact), sorted(options)):
            for name, version, sha256 in wheels:
                hashes.setdefault(f"{name}=={version}", set()).add(sha256)
    return {pin: sorted(hashes[pin]) for pin in sorted(hashes)}


def _resolve(wanted: list[str], options: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """Name, version and SHA-256 of each wheel that pip would install. Nothing is installed.

    Environment markers are read by the Python that runs, and not by the one in the options: pip has no other way.
    """
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed", "--report", "-"]
    said = _run([*command, "--only-binary=:all:", "--target", ".", *options, *wanted], Path.cwd())
    return [
        (
            _normal(each["metadata"]["name"]),
            each["metadata"]["version"],
            each["download_info"]["archive_info"]["hashes"]["sha256"],
        )
        for each in json.loads(said)["install"]
    ]


def _update_npm(root: Path) -> None:
    print("Resolving the Node.js packages", flush=True)
    dependencies: Pins = json.loads((root / "package.json").read_text())["dependencies"]
    wanted = [f"{name}@^{version}" for name, version in dependencies.items()]
    _run(["npm", "install", "--package-lock-only", "--save-exact", *wanted], root)


def _run(command: list[str], cwd: Path) -> str:
    try:
        done = subprocess.run(command, cwd=cwd, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        raise UpdateError(f"There is no {command[0]} here: run this as `make update`.") from None
    if done.returncode:
        tool = "npm" if command[0] == "npm" else "pip"
        why = next((line for line in done.stderr.splitlines() if "error" in line.lower()), "it does not say why")
        raise UpdateError(f"Nothing is changed, because {tool} failed: {why.strip()}")
    return done.stdout


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    try:
        changed = update()
    except UpdateError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Stopped: nothing is changed.")
    print("\n".join(changed) or "Everything is at its newest already.")
