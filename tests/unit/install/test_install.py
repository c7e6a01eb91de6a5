"""`make setup` in checkouts whose packages come from a local directory. uv and pip are real; npm is a script."""

from pathlib import Path

import pytest

from dependencies.install import Checkout
from dependencies.missing import missing_node_packages
from tests.unit.install.checkout import NPM, SERVER, UV_VERSION, installed_in, make_environment


def test_a_checkout_is_set_up_in_a_hostile_shell(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # given variables and files that would redirect packages or leave some out
    elsewhere = str(tmp_path / "elsewhere")
    for name in ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "UV_PROJECT_ENVIRONMENT", "UV_PYTHON", "UV_TARGET"):
        monkeypatch.setenv(name, elsewhere)
    for name in (
        "PIP_USER",
        "PIP_REQUIRE_VIRTUALENV",
        "UV_SYSTEM_PYTHON",
        "UV_NO_CACHE",
        "npm_config_global",
        "FORCE_COLOR",
    ):
        monkeypatch.setenv(name, "1")
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONUSERBASE", "npm_config_prefix", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, elsewhere)
    hostile = {
        "npm_config_omit": "optional",
        "NODE_ENV": "production",
        "UV_NO_BINARY": "1",
        "UV_CACHE_DIR": "/dev/null/x",
    }
    for name, value in hostile.items():
        monkeypatch.setenv(name, value)
    for tool, text in (("pip/pip.conf", "[global]\nuser = true\n"), ("uv/uv.toml", f'[pip]\ntarget = "{elsewhere}"\n')):
        (tmp_path / "home" / ".config" / tool).parent.mkdir(parents=True)
        (tmp_path / "home" / ".config" / tool).write_text(text)

    # when the checkout is set up
    Checkout(root).set_up()

    # then everything is in its place, and each step shows how long it took
    assert installed_in(root / ".venv") == {"greeting", "our_constructs"}
    assert not Path(elsewhere).exists()
    assert missing_node_packages(root) == []
    assert (root / ".venv" / "ready").exists()
    assert "--include=dev" in (root / "npm.arguments").read_text()
    told = (root / "npm.environment").read_text()
    assert not [name for name in ("NODE_ENV", "npm_config_omit", "npm_config_prefix") if name in told]
    steps = ["Creating the virtual environment", f"Installing uv {UV_VERSION}", "Installing Python packages"]
    said = capsys.readouterr().out
    assert all(f"… {step}\n✓ {step} (" in said for step in [*steps, "Installing Node.js packages"])


def test_set_up_for_deploying_installs_only_what_deploying_needs(root: Path) -> None:
    make_environment(root / ".venv")
    (root / ".venv" / "bin" / "npm").write_text(NPM)
    (root / ".venv" / "bin" / "npm").chmod(0o755)

    Checkout(root, "deploy").set_up()

    assert "greeting" not in installed_in(root / ".venv")
    assert missing_node_packages(root, for_deploying=True) == []
    assert missing_node_packages(root) == [SERVER]
    assert not (root / ".venv" / "ready").exists(), "the next `make demo` must install the rest"


def test_an_environment_that_make_did_not_create_is_completed_and_nothing_is_deleted(root: Path) -> None:
    make_environment(root / ".venv", with_uv=False)

    Checkout(root).set_up()

    assert installed_in(root / ".venv") == {"greeting", "our_constructs", "theirs"}


def test_an_environment_that_make_created_matches_the_pins_and_removals_are_reported(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # given an environment that make created, with an unpinned package
    make_environment(root / ".venv")
    (root / ".venv" / "made-by-make").write_text(str(root / ".venv"))

    # when the checkout is set up again
    Checkout(root).set_up()

    # then
    assert installed_in(root / ".venv") == {"greeting", "our_constructs"}
    assert "Removed, because no pinned package needs it: theirs==1" in capsys.readouterr().out
