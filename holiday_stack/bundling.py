"""Lambda packages without Docker: wheels for the target's Python and CPU, never for the machine that happens to build.

A wheel is a zip file, so unpacking one takes neither pip nor a network: `python -m holiday_stack.bundling lambda` (or
`host`) fetches the wheels once, and from then on synth works offline. A package is named by a hash of what goes into
it, so it is built once, and the same sources make the same package on every machine. The wheels' `dist-info` stays in:
it holds the licences, and vulnerability scanners such as Amazon Inspector recognise libraries by it.
"""

import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAMBDAS = ROOT / "lambdas"
LOCAL = ROOT / ".local"
PACKAGES_KEPT = 4


class BundlingError(Exception):
    """The wheels could not be fetched. The message says what to do."""


@dataclass(frozen=True)
class Target:
    """Where a package will run: a name, and the options that make pip choose wheels for it."""

    name: str
    pip_options: tuple[str, ...]


# What RestateService deploys to. Amazon Linux 2023 has glibc 2.34, so manylinux_2_28 wheels load there.
LAMBDA = Target(
    "lambda",
    (
        *("--implementation", "cp", "--python-version", "3.13", "--abi", "cp313", "--abi", "abi3", "--abi", "none"),
        *("--platform", "manylinux_2_28_aarch64"),
        *("--platform", "manylinux_2_17_aarch64"),
        *("--platform", "manylinux2014_aarch64"),
    ),
)
# An emulator on a laptop runs functions on the laptop's own Python and CPU, whatever runtime they name. pip knows both.
HOST = Target("host", ())
TARGETS = {target.name: target for target in (LAMBDA, HOST)}


def package(folder: str, target: Target | None = None, *, lambdas: Path = LAMBDAS, local: Path = LOCAL) -> Path:
    """The directory to deploy: the sources in `lambdas/<folder>` and, with a target, the wheels of the requirements.

    Raises BundlingError if the wheels are not there yet and cannot be fetched.
    """
    wheels = sorted(fetch_wheels(target, lambdas, local).glob("*.whl")) if target else []
    sources = {path.relative_to(lambdas): path for path in sorted((lambdas / folder).rglob("*.py"))}
    digest = hashlib.sha256()
    for name, path in [*sources.items(), *((wheel.name, wheel) for wheel in wheels)]:
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    packages = local / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    built = packages / f"{folder}-{digest.hexdigest()[:16]}"
    if not built.exists():
        with tempfile.TemporaryDirectory(dir=packages) as scratch:
            _build(Path(scratch) / folder, sources, wheels)
            _move_into_place(Path(scratch) / folder, built)
        _forget_old(packages, folder)
    return built


def fetch_wheels(target: Target, lambdas: Path = LAMBDAS, local: Path = LOCAL) -> Path:
    """The directory with the target's wheels, fetched with pip unless they are there for these requirements."""
    requirements = lambdas / "requirements.txt"
    wanted = stamp_of(target, lambdas)
    wheels = local / "wheels" / target.name
    stamp = wheels / "requirements.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return wheels
    wheels.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=wheels.parent) as scratch:
        fetched = Path(scratch) / "wheels"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", *target.pip_options]
        pip = subprocess.run(
            [*command, "--requirement", str(requirements), "--dest", str(fetched)],
            check=False,
            capture_output=True,
            text=True,
        )
        if pip.returncode:
            why = (pip.stderr.strip().splitlines() or ["pip said nothing"])[-1]
            again = f"python -m holiday_stack.bundling {target.name}"
            raise BundlingError(f"Cannot fetch the wheels for {target.name}: {why} Try `{again}` with a network.")
        (fetched / "requirements.txt").write_text(wanted)
        shutil.rmtree(wheels, ignore_errors=True)
        fetched.rename(wheels)
    return wheels


def stamp_of(target: Target, lambdas: Path) -> str:
    """What the wheels depend on, and are fetched anew for: the requirements, and the options or this machine."""
    machine = f"{sys.implementation.cache_tag} {sys.platform} {platform.machine()}"
    requirements = (lambdas / "requirements.txt").read_text()
    return f"{requirements}# for {' '.join(target.pip_options) or machine}\n"


def _build(directory: Path, sources: dict[Path, Path], wheels: list[Path]) -> None:
    directory.mkdir()
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(directory)
    for name, source in sources.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, directory / name)
    for path in [directory, *directory.rglob("*")]:
        path.chmod(0o755 if path.is_dir() or path.suffix == ".so" else 0o644)  # Lambda's user must be able to read it


def _move_into_place(finished: Path, built: Path) -> None:
    try:
        finished.rename(built)
    except OSError:
        if not built.exists():  # else another synth was faster, with the same content
            raise


def _forget_old(packages: Path, folder: str) -> None:
    newest_last = sorted(packages.glob(f"{folder}-*"), key=lambda package: package.stat().st_mtime)
    for old in newest_last[:-PACKAGES_KEPT]:
        shutil.rmtree(old, ignore_errors=True)


if __name__ == "__main__":
    try:
        for name in sys.argv[1:]:
            fetch_wheels(TARGETS[name])
    except KeyError as unknown:
        sys.exit(f"{unknown.args[0]} is not a target: choose of {', '.join(TARGETS)}")
    except BundlingError as error:
        sys.exit(str(error))
