"""`make lock`: compiles the requirements files from pyproject.toml. `make update`: moves to newer versions first.

Both work in a scratch directory and replace the files at the end, so a failure changes nothing. An update stays within
the major versions: moving to a new one is a decision, which Dependabot proposes. Every file has the hashes of all
wheels, for every machine, and names no index.
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
COMPILED = {  # what each file is compiled from, and its first line
    "requirements.txt": (["pyproject.toml"], "What `cdk synth` and `cdk deploy` need."),
    "requirements-dev.txt": (
        ["pyproject.toml", "--group=dev"],
        "All but the benchmark's: the CDK app, what runs in Lambda, the local cloud, the tests.",
    ),
    "requirements-bench.txt": (["--group=bench"], "What `make bench` and `make test-all` also need."),
    "lambdas/requirements.txt": (["--group=lambda"], "What runs in Lambda."),
}
NPM = ("package.json", "package-lock.json")
FILES = ("pyproject.toml", *COMPILED, *NPM)
OLDEST_PYTHON = "3.11"  # the pinned versions must install there too
MACHINES = ("x86_64-manylinux_2_28", "aarch64-manylinux_2_28", "x86_64-apple-darwin", "aarch64-apple-darwin")
LAMBDA_PYTHONS = ("3.12", "3.13", "3.14")
NAMED = re.compile(r'"([A-Za-z0-9][A-Za-z0-9._-]*)(\[[^]]*\])?==([^\s;"]+)"')

Pins = dict[str, str]
"""Normalized names and their exact versions."""


class LockError(Exception):
    """Resolving the versions failed. The message says why; no file was changed."""


def lock(root: Path = ROOT, *, update: bool = False) -> list[str]:
    """Compile the requirements files.

    Args:
        root: The checkout.
        update: Move to newer versions first.

    Returns:
        What changed, one line each.

    Raises:
        LockError: uv or npm failed; no file was changed.
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
    """Everything that the files under `root` pin, direct or transitive; npm packages as `npm:<name>`."""
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
    """pyproject.toml with each exact version replaced by a range, from that version up to the next major one.

    The lower bound keeps uv from choosing an old release of one package to satisfy another.
    """
    return NAMED.sub(lambda pin: f'"{pin[1]}{pin[2] or ""}>={pin[3]},<{_next_major(pin[3])}"', pyproject)


def _next_major(version: str) -> int:
    return int(re.split(r"[.!]", version)[0]) + 1


def _lock_python(root: Path, update: bool) -> None:
    pyproject = root / "pyproject.toml"
    named = pyproject.read_text(encoding="utf-8")
    every = root / "every.txt"  # one resolution of everything; each file is a part of it
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
    print("Checking that each package has wheels for Linux and macOS", flush=True)
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
    """Check that a file's packages install, by their hashes, on that machine and Python. Raises LockError."""
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
    """Without pip's extra indexes, which may have only some of a package's wheels: the files would lack the hashes of
    the others."""
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
        raise LockError(f"{command[0]} not found: run `make setup`, then this again.") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").splitlines()
        why = next((line for line in said if "error" in line.lower()), "no error message")
        raise LockError(f"{command[0]} failed, so nothing was changed: {why.strip()}")
    return done.stdout.decode(errors="replace")


def main(command: str = "lock") -> int:
    accept_any_encoding()
    try:
        changed = lock(update=command == "update")
    except LockError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted: nothing was changed.", file=sys.stderr)
        return 130
    print("\n".join(changed) or "Nothing changed.")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
