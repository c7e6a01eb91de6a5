"""Lambda packages without Docker: wheels for the target's Python and CPU, never for the machine that happens to build.

A wheel is a zip file, so unpacking one takes neither pip nor a network: `python -m holiday_stack.bundling lambda` (or
`host`) fetches the wheels once, and from then on synth works offline. Only wheels whose hash `requirements.txt` names
are taken. A package is named by a hash of what goes into it, so it is built once, and the same sources make the same
package on every machine. Of the wheels' `dist-info` stay the licences, and the METADATA by which vulnerability scanners
such as Amazon Inspector recognise libraries. boto3 is in no package: it is the Lambda runtime's own.
"""

import hashlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
LAMBDAS = ROOT / "lambdas"
LOCAL = ROOT / ".local"
PACKAGES_KEPT = 4
# The runtimes of Lambda that can be chosen, and the one that is taken. Older ones run on Amazon Linux 2, whose glibc
# 2.26 cannot load restate-sdk's wheels for ARM: they are manylinux_2_28.
PYTHONS = ("3.12", "3.13", "3.14")
PYTHON = "3.13"
EM_AARCH64 = 183  # in an ELF header, what CPU the machine code is for
NOT_DEPLOYED = "local.py"  # `make serve` and nothing else runs it


class BundlingError(Exception):
    """The wheels could not be fetched, or are not what they should be. The message says what to do."""


@dataclass(frozen=True)
class Target:
    """Where a package will run: a name, the options that make pip choose wheels for it, and its native modules' ABI.

    abi: as in the file names of extension modules, `cpython-313-aarch64-linux-gnu`. Default: not checked.
    """

    name: str
    pip_options: tuple[str, ...]
    abi: str = ""


def _lambda(python: str) -> Target:
    """What RestateService deploys to. Amazon Linux 2023 has glibc 2.34, so manylinux_2_28 wheels load there."""
    version = python.replace(".", "")
    return Target(
        f"lambda-{python}",
        (
            *("--implementation", "cp", "--python-version", python),
            *("--abi", f"cp{version}", "--abi", "abi3", "--abi", "none"),
            *("--platform", "manylinux_2_28_aarch64"),
            *("--platform", "manylinux_2_17_aarch64"),
            *("--platform", "manylinux2014_aarch64"),
        ),
        f"cpython-{version}-aarch64-linux-gnu",
    )


LAMBDA = _lambda(PYTHON)
# An emulator on a laptop runs functions on the laptop's own Python and CPU, whatever runtime they name. pip knows both.
HOST = Target("host", ())
TARGETS = {"lambda": LAMBDA, "host": HOST, **{target.name: target for target in map(_lambda, PYTHONS)}}


def package(folder: str, target: Target | None = None, *, lambdas: Path = LAMBDAS, local: Path = LOCAL) -> Path:
    """The directory to deploy: the sources in `lambdas/<folder>` and, with a target, the wheels of the requirements.

    Raises BundlingError if the wheels are not there yet and cannot be fetched, or hold code for something else.
    """
    wheels = sorted(fetch_wheels(target, lambdas, local).glob("*.whl")) if target else []
    files = sorted(path for path in (lambdas / folder).rglob("*.py") if path.name != NOT_DEPLOYED)
    sources = {path.relative_to(lambdas): path for path in files}
    digest = hashlib.sha256(Path(__file__).read_bytes())  # another way to build makes another package
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
    if target:
        _check_native_modules(built, target)
    return built


def fetch_wheels(target: Target, lambdas: Path = LAMBDAS, local: Path = LOCAL) -> Path:
    """The directory with the target's wheels, fetched with pip unless they are there as the requirements name them."""
    requirements = lambdas / "requirements.txt"
    wanted = stamp_of(target, lambdas)
    wheels = local / "wheels" / target.name
    stamp = wheels / "requirements.txt"
    if stamp.exists() and stamp.read_text() == wanted and _are_unchanged(wheels, wanted):
        return wheels
    wheels.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=wheels.parent) as scratch:
        fetched = Path(scratch) / "wheels"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", *target.pip_options]
        pip = subprocess.run(
            [*command, "--require-hashes", "--requirement", str(requirements), "--dest", str(fetched)],
            check=False,
            capture_output=True,
            text=True,
        )
        if "DO NOT MATCH THE HASHES" in pip.stderr:
            raise BundlingError(
                f"{_altered(pip.stderr)} for {target.name} has none of the hashes in {_shown(requirements)}, so it is "
                "not used: find out who changed it, or that file."
            )
        if "--require-hashes mode" in pip.stderr:
            raise BundlingError(
                f"{_shown(requirements)} names something without its version and hash: run `make update`."
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


def _are_unchanged(wheels: Path, requirements: str) -> bool:
    pinned = set(re.findall(r"--hash=sha256:(\w+)", requirements))
    return {hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels.glob("*.whl")} <= pinned


def _shown(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def _altered(pip_said: str) -> str:
    """`name==version` of what pip found to have another hash, without the place that it came from."""
    found = re.search(r"^\s+(\S+==\S+) from ", pip_said, re.MULTILINE)
    return found[1] if found else "A wheel"


def _build(directory: Path, sources: dict[Path, Path], wheels: list[Path]) -> None:
    directory.mkdir()
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(directory, filter(_is_used, archive.namelist()))
    for name, source in sources.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, directory / name)
    for path in [directory, *directory.rglob("*")]:
        path.chmod(0o755 if path.is_dir() or path.suffix == ".so" else 0o644)  # Lambda's user must be able to read it


def _is_used(member: str) -> bool:
    """Whether a file of a wheel goes into a package: type stubs, tests, bytecode and installers' records do not."""
    path = PurePosixPath(member)
    if path.parts[0].endswith(".dist-info"):
        return path.name == "METADATA" or "licen" in member.lower() or path.name.startswith("NOTICE")
    folders = path.parts[:-1]
    return not (path.suffix in (".pyi", ".pyc") or path.name == "py.typed" or "tests" in folders)


def _check_native_modules(built: Path, target: Target) -> None:
    """What the CPU and the interpreter would refuse at the first invocation is refused here. Raises BundlingError."""
    for module in sorted(built.rglob("*.so")) if target.abi else ():
        with module.open("rb") as file:
            header = file.read(20)
        tag = re.search(r"\.(cpython-.+)\.so$", module.name)
        if header[:4] != b"\x7fELF" or int.from_bytes(header[18:20], "little") != EM_AARCH64:
            wrong = "is not machine code for aarch64"
        elif tag and tag[1] != target.abi:
            wrong = f"is for {tag[1]}, not {target.abi}"
        else:
            continue
        raise BundlingError(
            f"{module.relative_to(built)} {wrong}, so {target.name} could not load it: delete .local/wheels and "
            ".local/packages, and run this again."
        )


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
