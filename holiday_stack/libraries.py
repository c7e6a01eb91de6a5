"""The libraries of Lambda packages: for the target's Python and CPU, not for those of the machine that installs them.

uv installs what `lambdas/requirements.txt` pins, checked by its hashes, into `.local/libraries`: once, with `python -m
holiday_stack.libraries lambda` (or `host`) or at the first synth. After that, synth needs neither uv nor a network.
boto3 is not among them: it comes with the Lambda runtime.
"""

import hashlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from dependencies import sources
from dependencies.output import accept_any_encoding

ROOT = Path(__file__).resolve().parent.parent
LAMBDAS = ROOT / "lambdas"
LOCAL = ROOT / ".local"
# The Lambda runtimes to choose from, and the default. Older ones run on Amazon Linux 2, whose glibc 2.26 cannot load
# restate-sdk's wheels for ARM: they are manylinux_2_28.
PYTHONS = ("3.12", "3.13", "3.14")
PYTHON = "3.13"
MACHINES = {"arm64": ("aarch64", 183), "x86_64": ("x86_64", 62)}  # Lambda's name: Linux's, and an ELF header's number


class BundlingError(Exception):
    """The libraries could not be installed, or are the wrong ones. The message says what to do."""


@dataclass(frozen=True)
class Target:
    """Where a package will run.

    Args:
        name: What commands call it, such as `lambda-3.13`.
        uv_options: The options that make uv choose wheels for it.
        abi: As in the file names of extension modules, `cpython-313-aarch64-linux-gnu`. Default: not checked.
        elf_machine: The CPU's number in an ELF header. Default: not checked.
    """

    name: str
    uv_options: tuple[str, ...]
    abi: str = ""
    elf_machine: int = 0


def _lambda(python: str, architecture: str) -> Target:
    """Amazon Linux 2023 has glibc 2.34, so manylinux_2_28 wheels load there."""
    linux, elf_machine = MACHINES[architecture]
    return Target(
        f"lambda-{python}" if architecture == "arm64" else f"lambda-{python}-{architecture}",
        (f"--python-version={python}", f"--python-platform={linux}-manylinux_2_28"),
        f"cpython-{python.replace('.', '')}-{linux}-linux-gnu",
        elf_machine,
    )


LAMBDA = _lambda(PYTHON, "arm64")
# An emulator runs functions on this machine's Python and CPU, whatever runtime they name. uv detects both.
HOST = Target("host", ())
EACH_LAMBDA = [_lambda(python, architecture) for architecture in MACHINES for python in PYTHONS]
TARGETS = {"lambda": LAMBDA, "host": HOST, **{target.name: target for target in EACH_LAMBDA}}


def fetch(target: Target, lambdas: Path = LAMBDAS, local: Path = LOCAL) -> Path:
    """Install the target's libraries with uv, unless they are there as the requirements pin them.

    Returns:
        The directory with the libraries, in `local`.

    Raises:
        BundlingError: The command uv is missing or failed, or a library has an unexpected hash.
    """
    requirements = lambdas / "requirements.txt"
    wanted = stamp_of(target, lambdas)
    libraries = local / "libraries" / target.name
    installed = libraries / "installed"
    if _read(libraries / "stamp") == f"{wanted}{digest(used(installed))}\n":
        return installed
    libraries.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=libraries.parent) as scratch:
        fetched = Path(scratch) / target.name
        _install(target, requirements, fetched / "installed")
        (fetched / "stamp").write_text(f"{wanted}{digest(used(fetched / 'installed'))}\n", encoding="utf-8")
        shutil.rmtree(libraries, ignore_errors=True)
        fetched.rename(libraries)
    return installed


def stamp_of(target: Target, lambdas: Path) -> str:
    """What the libraries depend on: the requirements, and uv's options or this machine. A change reinstalls them."""
    machine = f"{sys.implementation.cache_tag} {sys.platform} {platform.machine()}"
    requirements = (lambdas / "requirements.txt").read_text(encoding="utf-8")
    return f"{requirements}# for {' '.join(target.uv_options) or machine}\n"


def _install(target: Target, requirements: Path, directory: Path) -> None:
    environment = sources.environment()
    uv = [str(Path(sys.executable).parent / "uv"), "pip", "install", "--quiet", *sources.uv_options(environment)]
    only = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--link-mode=copy"]
    where = ["--python", sys.executable, "--target", str(directory), *target.uv_options]
    directory.mkdir(parents=True)
    for network in (["--offline"], []):  # uv's cache needs no network
        try:
            done = subprocess.run(
                [*uv, *only, *where, *network, "--requirements", str(requirements)],
                check=False,
                capture_output=True,
                env=environment,
            )
        except FileNotFoundError:
            raise BundlingError(f"uv not found beside {sys.executable}: run `make setup`.") from None
        if done.returncode == 0:
            return
    said = done.stderr.decode(errors="replace")  # pyright: ignore[reportPossiblyUnbound]
    if altered := re.search(r"Hash mismatch for `(.*?)`", said):
        raise BundlingError(
            f"{altered[1]} for {target.name} has none of the hashes in {_shown(requirements)}, so it is "
            "not used: find out who changed it, or that file."
        )
    if "`--require-hashes` mode" in said:
        raise BundlingError(f"{_shown(requirements)} names something without its version and hash: run `make lock`.")
    why = (said.strip().splitlines() or ["uv printed nothing"])[0].strip()
    again = f"python -m holiday_stack.libraries {target.name}"
    raise BundlingError(f"Cannot fetch the libraries for {target.name}: {why} Try `{again}` with a network.")


def digest(content: Mapping[Path, Path]) -> str:
    """A hash of these files: of their names in the package and their content."""
    hashed = hashlib.sha256()
    for name, path in sorted((name.as_posix(), path) for name, path in content.items()):
        data = path.read_bytes()
        hashed.update(f"{name}\0{len(data)}\0".encode() + data)
    return hashed.hexdigest()


def used(installed: Path) -> dict[Path, Path]:
    """The installed files that go into a package, by their path in it."""
    files = {path.relative_to(installed): path for path in installed.rglob("*") if path.is_file()}
    return {name: path for name, path in files.items() if _isused(name)}


def _isused(name: PurePath) -> bool:
    """Whether an installed file goes into a package. Type stubs, tests, bytecode, installers' records, uv's `.lock` and
    the scripts in `bin`, which are for this machine's interpreter, do not."""
    top, folders = name.parts[0], name.parts[:-1]
    if top.endswith(".dist-info"):
        return name.name == "METADATA" or "licen" in str(name).lower() or name.name.startswith("NOTICE")
    unused = name.suffix in (".pyi", ".pyc") or name.name == "py.typed" or "tests" in folders
    return not unused and top not in ("bin", ".lock")


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _shown(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def main(names: list[str]) -> int:
    accept_any_encoding()
    try:
        for name in names:
            fetch(TARGETS[name])
    except KeyError as unknown:
        print(f"{unknown.args[0]} is not a target: must be one of {', '.join(TARGETS)}", file=sys.stderr)
        return 1
    except BundlingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
