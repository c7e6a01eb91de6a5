"""A checkout whose packages come from a local directory, the shelf."""

import hashlib
import importlib.metadata
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

from dependencies.install import Checkout
from dependencies.missing import CPU, PLATFORM

UV = Path(sys.executable).parent / "uv"

UV_VERSION = importlib.metadata.version("uv")

SERVER = f"@restatedev/restate-server-{PLATFORM}-{CPU}"

NPM = f"""#!/bin/sh
echo "$@" >npm.arguments
env >npm.environment
mkdir -p node_modules/{SERVER}/bin node_modules/aws-cdk
echo '{{"version": "1"}}' >node_modules/aws-cdk/package.json
case "$*" in *--include=dev*)
echo '{{"version": "1"}}' >node_modules/{SERVER}/package.json
echo server >node_modules/{SERVER}/bin/restate-server ;;
esac
"""

LOCAL_PACKAGE = f"""[project]
name = "our-constructs"
version = "1"
[build-system]
requires = ["uv_build=={UV_VERSION}"]
build-backend = "uv_build"
"""


def wheel(shelf: Path, name: str, version: str, files: dict[str, str]) -> str:
    """Put a wheel with these files (by path) on the shelf. Returns the line that pins it."""
    info = f"{name}-{version}.dist-info"
    metadata = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    path = shelf / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for each, content in {**files, **metadata}.items():
            info_of_file = zipfile.ZipInfo(each)
            info_of_file.external_attr = (stat.S_IFREG | 0o755) << 16  # pip does not rewrite scripts
            archive.writestr(info_of_file, content)
        archive.writestr(f"{info}/RECORD", "".join(f"{each},,\n" for each in {**files, **metadata}))
    return f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def make_environment(path: Path, *, with_uv: bool = True) -> Path:
    """A virtual environment as uv creates it, without pip, with one package that the user installed."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", path], check=True)
    if with_uv:
        (path / "bin" / "uv").symlink_to(UV)
    theirs = site_packages(path) / "theirs-1.dist-info"
    theirs.mkdir()
    (theirs / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (theirs / "RECORD").write_text("theirs-1.dist-info/METADATA,,\ntheirs-1.dist-info/RECORD,,\n")
    return path


def given_uv(_checkout: Checkout, _scratch: Path) -> Path:
    return UV


def site_packages(venv: Path) -> Path:
    return next((venv / "lib").glob("python3.*")) / "site-packages"


def installed_in(venv: Path) -> set[str]:
    found = {path.name.partition("-")[0] for path in site_packages(venv).glob("*.dist-info")}
    return found - {"pip", "setuptools", "uv"}
