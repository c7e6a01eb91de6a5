"""Lambda packages without Docker: the sources of a function beside the libraries that it requires.

A package is named by a hash of what goes into it, so it is built once, and the same sources make the same package on
every machine. What uv writes of this machine (scripts, RECORD) stays out; of `dist-info` stay the licences, and the
METADATA by which vulnerability scanners such as Amazon Inspector recognise libraries.
"""

import hashlib
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from holiday_stack.libraries import (
    HOST,
    LAMBDA,
    LAMBDAS,
    LOCAL,
    TARGETS,
    BundlingError,
    Target,
    digest,
    fetch,
    used,
)

__all__ = ["HOST", "LAMBDA", "LAMBDAS", "LOCAL", "TARGETS", "BundlingError", "Target", "package"]

PACKAGES_KEPT = 4
NOT_DEPLOYED = "local.py"  # `make serve` and nothing else runs it


def package(folder: str, target: Target | None = None, *, lambdas: Path = LAMBDAS, local: Path = LOCAL) -> Path:
    """The directory to deploy: the sources in `lambdas/<folder>` and, with a target, the libraries they require.

    Raises BundlingError if the libraries are not there yet and cannot be fetched, or hold code for something else.
    """
    files = sorted(path for path in (lambdas / folder).rglob("*.py") if path.name != NOT_DEPLOYED)
    content = {path.relative_to(lambdas): path for path in files}
    if target:
        content |= used(fetch(target, lambdas, local))
    hashed = hashlib.sha256(Path(__file__).read_bytes())  # another way to build makes another package
    hashed.update(digest(content).encode())
    packages = local / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    built = packages / f"{folder}-{hashed.hexdigest()[:16]}"
    if not built.exists():
        with tempfile.TemporaryDirectory(dir=packages) as scratch:
            _build(Path(scratch) / folder, content)
            _move_into_place(Path(scratch) / folder, built)
        _forget_old(packages, folder)
    if target:
        _check_native_modules(built, target)
    return built


def _build(directory: Path, content: Mapping[Path, Path]) -> None:
    directory.mkdir()
    for name, source in content.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, directory / name)
    for path in [directory, *directory.rglob("*")]:
        path.chmod(0o755 if path.is_dir() or path.suffix == ".so" else 0o644)  # Lambda's user must be able to read it


def _check_native_modules(built: Path, target: Target) -> None:
    """What the CPU and the interpreter would refuse at the first invocation is refused here. Raises BundlingError."""
    for module in sorted(built.rglob("*.so")) if target.abi else ():
        with module.open("rb") as file:
            header = file.read(20)
        tag = re.search(r"\.(cpython-.+)\.so$", module.name)
        if header[:4] != b"\x7fELF" or int.from_bytes(header[18:20], "little") != target.elf_machine:
            wrong = f"is not machine code for {target.abi.split('-')[2]}"
        elif tag and tag[1] != target.abi:
            wrong = f"is for {tag[1]}, not {target.abi}"
        else:
            continue
        raise BundlingError(
            f"{module.relative_to(built)} {wrong}, so {target.name} could not load it: delete .local/libraries "
            "and .local/packages, and run this again."
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
