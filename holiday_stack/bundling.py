"""Lambda packages without Docker: a function's sources together with the libraries that it requires.

A package is named by a hash of its content, so it is built once, and the same sources make the same package on every
machine. Files that depend on this machine (scripts, RECORD) are left out. Of `dist-info`, the licences stay, and the
METADATA by which vulnerability scanners such as Amazon Inspector recognize libraries.
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
NOT_DEPLOYED = "local.py"  # only `make serve` runs it


def package(folder: str, target: Target | None = None, *, lambdas: Path = LAMBDAS, local: Path = LOCAL) -> Path:
    """Build the directory to deploy, unless it exists.

    Args:
        folder: Whose sources in `lambdas/<folder>` go into it.
        target: Where the libraries that go into it will run. Default: no libraries.
        lambdas: Where the folder and requirements.txt are.
        local: Where libraries and packages are cached.

    Returns:
        The directory, in `local`.

    Raises:
        BundlingError: The libraries cannot be fetched, or are for another Python or CPU.
    """
    files = sorted(path for path in (lambdas / folder).rglob("*.py") if path.name != NOT_DEPLOYED)
    content = {path.relative_to(lambdas): path for path in files}
    if target:
        content |= used(fetch(target, lambdas, local))
    hashed = hashlib.sha256(Path(__file__).read_bytes())  # another way to build gives another package
    hashed.update(digest(content).encode())
    packages = local / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    built = packages / f"{folder}-{hashed.hexdigest()[:16]}"
    if not built.exists():
        with tempfile.TemporaryDirectory(dir=packages) as scratch:
            _build(Path(scratch) / folder, content)
            _move_into_place(Path(scratch) / folder, built)
        _delete_old(packages, folder)
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
    """Raise BundlingError for modules that the CPU or the interpreter could not load at the first invocation."""
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
        if not built.exists():  # otherwise another synth built the same content first
            raise


def _delete_old(packages: Path, folder: str) -> None:
    newest_last = sorted(packages.glob(f"{folder}-*"), key=lambda package: package.stat().st_mtime)
    for old in newest_last[:-PACKAGES_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
