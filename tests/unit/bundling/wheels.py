"""A local directory, the shelf, from which uv installs the library of a sample function."""

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

from holiday_stack.libraries import Target

NOWHERE = Target("nowhere", ("--no-index",))

EM_X86_64, EM_AARCH64 = 62, 183


def shelve(shelf: Path, lambdas: Path, files: Mapping[str, bytes | str]) -> Target:
    """Put a library on a shelf and add it to the requirements. Returns the target that installs it from there.

    files: the library's files, by path.
    """
    shelf.mkdir(exist_ok=True)
    info = "greeting-1.dist-info"
    metadata = {
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: greeting\nVersion: 1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(shelf / "greeting-1-py3-none-any.whl", "w") as wheel:
        for name, content in {**files, **metadata}.items():
            wheel.writestr(zipfile.ZipInfo(name), content)  # always with the same date
    require(lambdas, shelf)
    return Target("shelf", ("--no-index", f"--find-links={shelf}"))


def require(lambdas: Path, shelf: Path, pin: str = "greeting==1 --hash=sha256:{hash}") -> None:
    content = next(shelf.glob("*.whl")).read_bytes()
    hashes = {"hash": hashlib.sha256(content).hexdigest(), "other": hashlib.sha256(content + b"!").hexdigest()}
    (lambdas / "requirements.txt").write_text(pin.format(**hashes) + "\n")


def machine_code(machine: int) -> bytes:
    """The beginning of an ELF file: 64 bits, little-endian, a shared object for this CPU."""
    return b"\x7fELF\2\1\1" + bytes(9) + (3).to_bytes(2, "little") + machine.to_bytes(2, "little")


def contents(built: Path) -> dict[str, str]:
    return {str(path.relative_to(built)): oct(path.stat().st_mode)[-3:] for path in built.rglob("*") if path.is_file()}


def zipped_size(directory: Path) -> int:
    archive = directory.parent / "size.zip"
    try:
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
            for path in directory.rglob("*"):
                target.write(path, path.relative_to(directory))
        return archive.stat().st_size
    finally:
        archive.unlink()
