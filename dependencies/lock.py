"""`make lock`: the requirements files, compiled by uv from pyproject.toml. `make update`: the newest versions first.

Both do all their work in a scratch directory and move it into place at the end, so one that fails changes nothing. An
update stays within the major versions: a new one is a decision, and Dependabot proposes it. Every file has the hashes
of all wheels, for any machine, and the name of no index.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dependencies import sources
from dependencies.missing import PIN, local_packages, normal
from dependencies.output import accept_any_encoding

ROOT = Path(__file__).resolve().parent.parent
COMPILED = {  # what each file is compiled from, and what stands at its top
    "requirements.txt": (["pyproject.toml"], "What `cdk synth` and `cdk deploy` take."),
    "requirements-dev.txt": (
        ["pyproject.toml", "--group=dev"],
        "All but the benchmark's: the CDK app, what runs in Lambda, the local cloud, the tests.",
    ),
    "requirements-bench.txt": (["--group=bench"], "What `make bench` and `make test-all` take besides."),
    "lambdas/requirements.txt": (["--group=lambda"], "What runs in Lambda."),
}
NPM = ("package.json", "package-lock.json")
FILES = ("pyproject.toml", *COMPILED, *NPM)
OLDEST_PYTHON = "3.11"  # what is pinned has to install there too
MACHINES = ("x86_64-manylinux_2_28", "aarch64-manylinux_2_28", "x86_64-apple-darwin", "aarch64-apple-darwin")
LAMBDA_PYTHONS = ("3.12", "3.13", "3.14")
NAMED = re.compile(r'"([A-Za-z0-9][A-Za-z0-9._-]*)(\[[^]]*\])?==([^\s;"]+)"')

Pins = dict[str, str]
"""Names, normalized, and their exact versions."""


class LockError(Exception):
    """The pins could not be worked out. The message says why; no file was changed."""


def lock(root: Path = ROOT, *, update: bool = False) -> list[str]:
    """Compile the files under `root`; with `update`, from newer versions. Returns what changed, one line each.

    Raises LockError.
    """
    before = pinned(root)
    (root / ".local").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root / ".local") as directory:
        scratch = Path(directory)
        for name in (*FILES, ".npmrc", *(f"{local}/pyproject.toml" for local in local_packages(root))):
            (scratch / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, scratch / name)
        _lock_python(scratch, update)
        _lock_npm(scratch, update)
        after = pinned(scratch)
        changed = [name for name in FILES if (scratch / name).read_bytes() != (root / name).read_bytes()]
        interruption = signal.signal(signal.SIGINT, signal.SIG_IGN)
        for name in changed:
            (scratch / name).replace(root / name)
        signal.signal(signal.SIGINT, interruption)
    return [*changes(before, after), *(f"written: {name}" for name in changed)]


def pinned(root: Path) -> Pins:
    """All that the files under `root` pin, direct or not; npm's packages as `npm:<name>`."""
    found: Pins = {}
    for name in COMPILED:
        found |= {normal(pin[1]): pin[2] for pin in PIN.finditer((root / name).read_text(encoding="utf-8"))}
    packages = json.loads((root / "package-lock.json").read_text(encoding="utf-8"))["packages"]
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


def newer(pyproject: str) -> str:
    """What to ask uv for instead of what is named: at least that version, which keeps uv from falling back to an old
    release of one package to please another, and less than the next major one."""
    return NAMED.sub(lambda pin: f'"{pin[1]}{pin[2] or ""}>={pin[3]},<{_next_major(pin[3])}"', pyproject)


def _next_major(version: str) -> int:
    return int(re.split(r"[.!]", version)[0]) + 1


def _lock_python(root: Path, update: bool) -> None:
    pyproject = root / "pyproject.toml"
    named = pyproject.read_text(encoding="utf-8")
    every = root / "every.txt"  # one resolution of everything, which each file is then a part of
    if update:
        pyproject.write_text(newer(named), encoding="utf-8")
    else:
        every.write_bytes(
            b"".join((root / name).read_bytes() for name in ("requirements-dev.txt", "requirements-bench.txt"))
        )
    print("Resolving the Python packages", flush=True)
    _compile(root, every, ["pyproject.toml", "--group=dev", "--group=bench"])
    resolved = {normal(pin[1]): pin[2] for pin in PIN.finditer(every.read_text(encoding="utf-8"))}
    exact = NAMED.sub(lambda pin: f'"{pin[1]}{pin[2] or ""}=={resolved[normal(pin[1])]}"', named)
    pyproject.write_text(exact, encoding="utf-8")
    for name, (asked, purpose) in COMPILED.items():
        (root / name).unlink()
        _compile(root, root / name, [*asked, "--generate-hashes", f"--constraints={every}"])
        header = f"# {purpose} Compiled by uv from pyproject.toml: `make lock`.\n"
        (root / name).write_text(header + (root / name).read_text(encoding="utf-8"), encoding="utf-8")
    print("Looking for each package's wheels for Linux and macOS", flush=True)
    for machine in MACHINES:
        _install(root, "requirements-dev.txt", machine, OLDEST_PYTHON, "--dry-run")
    for python in LAMBDA_PYTHONS:
        for machine in MACHINES[:2]:
            check(root, "lambdas/requirements.txt", machine, python)


def _compile(root: Path, output: Path, options: list[str]) -> None:
    command = ["uv", "pip", "compile", "--quiet", "--universal", f"--python-version={OLDEST_PYTHON}"]
    local = [f"--no-emit-package={Path(package).name}" for package in local_packages(root)]
    _run([*command, "--fork-strategy=fewest", "--no-header", f"--output-file={output}", *local, *options], root)


def check(root: Path, requirements: str, machine: str, python: str) -> None:
    """See that what a file pins can be installed for that machine and Python, by its hashes. Raises LockError."""
    with tempfile.TemporaryDirectory(dir=root) as target:
        _install(root, requirements, machine, python, f"--target={target}")


def _install(root: Path, requirements: str, machine: str, python: str, option: str) -> None:
    command = ["uv", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:", option]
    where = [f"--target={root / 'nowhere'}"] if option == "--dry-run" else []
    where += [f"--python-platform={machine}", f"--python-version={python}"]
    _run([*command, *where, f"--requirements={requirements}"], root)


def _lock_npm(root: Path, update: bool) -> None:
    print("Resolving the Node.js packages", flush=True)
    package: dict[str, Pins] = json.loads((root / "package.json").read_text(encoding="utf-8"))
    named = {**package.get("dependencies", {}), **package.get("devDependencies", {})}
    wanted = [f"{name}@^{version}" for name, version in named.items()] if update else []
    _run(["npm", "install", "--package-lock-only", "--save-exact", *wanted], root)


def _environment(caller: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Without the indexes that pip has besides: they may have some of a package's wheels only, whose hashes would then
    be the only ones in the files."""
    environment = sources.environment(caller)
    for name in ("UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_INDEX_STRATEGY"):
        if name not in caller:
            environment.pop(name, None)
    tools = Path(sys.executable).parent
    return environment | {"PATH": f"{tools}{os.pathsep}{environment.get('PATH', '')}"}


def _run(command: list[str], cwd: Path) -> str:
    try:
        done = subprocess.run(command, cwd=cwd, env=_environment(), check=False, capture_output=True)
    except FileNotFoundError:
        raise LockError(f"{command[0]} is not here: run `make setup`, then this again.") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").splitlines()
        why = next((line for line in said if "error" in line.lower()), "it does not say why")
        raise LockError(f"Nothing is changed, because {command[0]} failed: {why.strip()}")
    return done.stdout.decode(errors="replace")


def main(command: str = "lock") -> int:
    accept_any_encoding()
    try:
        changed = lock(update=command == "update")
    except LockError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted: nothing is changed.", file=sys.stderr)
        return 130
    print("\n".join(changed) or "Nothing has changed.")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
