"""`make setup`: installs the pinned packages into `.venv` and `node_modules`, and repairs what is missing or damaged.

pip installs uv, checked against its hash, and uv installs the rest. A `.venv` that make created is kept exactly as
pinned. To one that the user created, the pinned packages are added, and nothing is removed.
"""

import contextlib
import fcntl
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from dependencies import sources
from dependencies.missing import (
    PIN,
    damaged_python_packages,
    local_packages,
    missing_node_packages,
    note_sizes,
)
from dependencies.output import accept_any_encoding, say, step

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
REQUIREMENTS = {
    "": ("requirements-dev.txt",),
    "bench": ("requirements-dev.txt", "requirements-bench.txt"),
    "deploy": ("requirements.txt",),
}
# The base Python of an active virtual environment, which could be the very one that is replaced.
MAKE_ENVIRONMENT = (getattr(sys, "_base_executable", None) or sys.executable, "-m", "venv")
NPM_CI = (
    *("ci", "--no-progress", "--loglevel=error", "--include=prod", "--include=optional", "--include=peer"),
    *("--global=false", "--location=project", "--install-strategy=hoisted", "--bin-links=true", "--dry-run=false"),
    *("--package-lock=true", "--package-lock-only=false"),
)


class SetupError(Exception):
    """Set-up failed. The message says why, and what to do."""


class Checkout:
    """The set-up of one checkout.

    Args:
        root: The checkout.
        part: "" for everything except the benchmark's packages, "bench" to include these, or "deploy" for only what
            `cdk deploy` needs.
    """

    def __init__(self, root: Path, part: str = "") -> None:
        self.root = root
        self.venv = root / ".venv"
        self.python = self.venv / "bin" / "python"
        self.made_by_make = self.venv / "made-by-make"  # contains its path: a virtual environment cannot be moved
        self.log = root / ".local" / "setup.log"
        self.for_deploying = part == "deploy"
        self.was_ready = False
        with_bench = part == "bench" or ((self.venv / "bench").exists() and not self.for_deploying)
        self.requirements = [root / name for name in REQUIREMENTS["bench" if with_bench else part]]
        self.environment = sources.environment(cache=root / ".local" / "cache")
        tools = (self.venv / "bin", root / "node_modules" / ".bin")
        self.environment["PATH"] = ":".join([*map(str, tools), self.environment.get("PATH", "/usr/bin:/bin")])

    def set_up(self) -> None:
        """Install what is missing.

        Raises:
            SetupError: It failed, or another set-up is running here.
        """
        self.log.parent.mkdir(exist_ok=True)
        with self._alone():
            self.log.write_bytes(b"")
            is_ours = self._virtual_environment()
            self.was_ready = (self.venv / "ready").exists()
            (self.venv / "ready").unlink(missing_ok=True)
            with tempfile.TemporaryDirectory(dir=self.log.parent) as scratch:
                self._install_python_packages(self._uv(Path(scratch)), is_ours)
            self._install_node_packages()
            if not self.for_deploying:
                (self.venv / "ready").touch()

    def _virtual_environment(self) -> bool:
        """Ensure that there is a usable virtual environment; returns whether make created it."""
        marked = self.made_by_make.is_file() and not self.venv.is_symlink()
        if self.venv.exists() or self.venv.is_symlink():
            why = self._unfit()
            if marked and self.made_by_make.read_text(encoding="utf-8") != str(self.venv):
                why = "it was created elsewhere, and moved or copied here"
            if not why:
                return marked
            if not marked:
                raise SetupError(
                    f".venv was not created by make, and {why}: move it away or delete it, then run this again."
                )
            shutil.rmtree(self.venv)
        with step("Creating the virtual environment"):
            self.venv.mkdir()
            self.made_by_make.write_text(str(self.venv), encoding="utf-8")
            self._run("virtual environment", [*MAKE_ENVIRONMENT, str(self.venv)])
        return True

    def _unfit(self) -> str | None:
        """Why `.venv` cannot be used, or None."""
        question = "import sys; print(*sys.version_info[:2], sys.prefix != sys.base_prefix)"
        try:
            answer = subprocess.run([self.python, "-c", question], check=True, capture_output=True, text=True).stdout
            *version, is_virtual = answer.split()
        except (OSError, subprocess.CalledProcessError, ValueError):
            return "its Python does not run"
        if is_virtual != "True":
            return "it is not a virtual environment"
        if (found := tuple(map(int, version))) < OLDEST:
            return f"its Python is {found[0]}.{found[1]}, older than {OLDEST[0]}.{OLDEST[1]}"
        return None

    def _uv(self, scratch: Path) -> Path:
        """The pinned uv: the one in `.venv`, else installed by pip, from `scratch` if `.venv` has no pip."""
        block = re.search(r"^uv==(?:.*\\\n)*.*\n", (self.root / "requirements.txt").read_text("utf-8"), re.MULTILINE)
        assert block, "requirements.txt pins no uv"
        pinned, uv = PIN.findall(block[0])[0][1], self.venv / "bin" / "uv"
        with contextlib.suppress(OSError):
            said = subprocess.run([uv, "--version"], check=False, capture_output=True, text=True).stdout
            if said.split()[1:2] == [pinned]:
                return uv
        with step(f"Installing uv {pinned}"):
            python = self.python
            if subprocess.run([python, "-m", "pip", "--version"], check=False, capture_output=True).returncode:
                python, uv = scratch / "venv" / "bin" / "python", scratch / "venv" / "bin" / "uv"
                self._run("virtual environment", [*MAKE_ENVIRONMENT, str(scratch / "venv")])
            (scratch / "uv.txt").write_text(block[0], encoding="utf-8")
            pip = [str(python), "-m", "pip", "install", "--quiet", "--force-reinstall"]
            only = ["--no-deps", "--require-hashes", "--only-binary=:all:", "-r", str(scratch / "uv.txt")]
            self._run("package uv", [*pip, *only])
        return uv

    def _install_python_packages(self, uv: Path, is_ours: bool) -> None:
        where = [str(self.python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
        site_packages = Path(self._run("Python packages", where).strip())
        damaged = damaged_python_packages(site_packages, self.requirements)
        if damaged:
            say(f"Reinstalling packages with missing files: {', '.join(damaged)}")
        sync = is_ours and not self.for_deploying
        files = [str(file) for file in self.requirements]
        what = ["sync", *files] if sync else ["install", *(word for file in files for word in ("-r", file))]
        command = [str(uv), "pip", *what, "--require-hashes", "--python", str(self.python)]
        command += [word for name in damaged for word in ("--reinstall-package", name)]
        with step("Installing Python packages"):
            said = self._run("Python packages", [*command, *sources.uv_options(self.environment)])
        added = re.findall(r"^ \+ (\S+)", said, re.MULTILINE)
        if added and self.was_ready and not damaged:
            say(f"Missing, or at another version: {', '.join(added)}")
        local = {Path(package).name: self.root / package for package in local_packages(self.root)}
        removed = [
            each for each in re.findall(r"^ - (\S+)", said, re.MULTILINE) if each.partition("==")[0] not in local
        ]
        gone = [each for each in removed if f" + {each.partition('==')[0]}==" not in said]
        if gone:
            say(f"Removed, because no pinned package needs it: {', '.join(gone)}")
        for folder in local.values():  # which cannot have hashes, so they are installed separately
            command = [str(uv), "pip", "install", "--quiet", "--offline", "--no-deps", "--python", str(self.python)]
            self._run("Python packages", [*command, "--editable", str(folder)])
        if damaged := damaged_python_packages(site_packages, self.requirements):
            raise SetupError(
                f"These Python packages still have missing files: {', '.join(damaged)}. The log is {self.log}"
            )

    def _install_node_packages(self) -> None:
        node_modules = self.root / "node_modules"
        missing = missing_node_packages(self.root, for_deploying=self.for_deploying)
        if not missing:
            return
        if node_modules.is_symlink():
            raise SetupError(
                f"node_modules is a link to {node_modules.resolve()}, which lacks {', '.join(missing)}: "
                "run `make setup` there, or delete the link."
            )
        if node_modules.exists():
            say(f"Missing, or not as pinned: {', '.join(missing)}")
        with step("Installing Node.js packages"):
            npm = [str(self.venv / "bin" / "npm"), *NPM_CI, f"--prefix={self.root}"]
            self._run("Node.js packages", [*npm, "--omit=dev" if self.for_deploying else "--include=dev"])
            note_sizes(node_modules)
        if missing := missing_node_packages(self.root, for_deploying=self.for_deploying):
            raise SetupError(f"npm left these out: {', '.join(missing)}. Its log is {self.log}")

    @contextmanager
    def _alone(self) -> Generator[None]:
        with (self.log.parent / "setup.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SetupError("Another set-up is running here: run this again when it has finished.") from None
            yield

    def _run(self, what: str, command: list[str]) -> str:
        with self.log.open("ab") as log:
            log.write(f"$ {' '.join(command)}\n".encode())
            done = subprocess.run(
                command, cwd=self.root, env=self.environment, check=False, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            log.write(done.stdout)
        said = done.stdout.decode(errors="replace")
        if done.returncode:
            last = "\n".join(said.splitlines()[-8:])
            raise SetupError(f"{last}\nThe {what} could not be installed. The log is {self.log}")
        return said


def main(part: str = "") -> int:
    accept_any_encoding()
    begin = time.monotonic()
    try:
        Checkout(ROOT, part).set_up()
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted: the next run continues from here.", file=sys.stderr)
        return 130
    say(f"Set up in {time.monotonic() - begin:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
