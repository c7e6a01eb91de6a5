"""The environment of pip, uv and npm: callers choose where packages come from, not where they are installed."""

from pathlib import Path

import pytest

from dependencies import sources
from dependencies.sources import environment, pip_settings, uv_options


@pytest.fixture
def caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A shell without any configuration and with a writable home."""
    monkeypatch.setattr(sources, "OF_THE_SYSTEM", {"pip": [], "uv": []})
    return {"HOME": str(tmp_path), "PATH": "/usr/bin", "XDG_CONFIG_DIRS": str(tmp_path / "nothing")}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "name",
    [
        *("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON", "PIP_REQUIRE_VIRTUALENV", "PIP_CONSTRAINT"),
        *("PIP_NO_BINARY", "UV_PROJECT_ENVIRONMENT", "UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_NO_CACHE", "UV_TARGET"),
        *("UV_NO_BINARY", "UV_CONSTRAINT", "UV_EXCLUDE_NEWER", "UV_LINK_MODE", "UV_PROJECT", "UV_WORKING_DIRECTORY"),
        *("VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE"),
        *(
            "NODE_ENV",
            "FORCE_COLOR",
            "CLICOLOR_FORCE",
            "npm_config_omit",
            "NPM_CONFIG_OMIT",
            "npm_config_global",
            "npm_config_prefix",
            "npm_config_os",
        ),
        *("npm_config_local_prefix", "npm_config_production", "npm_config_dry_run", "npm_config_ignore_scripts"),
    ],
)
def test_settings_that_redirect_or_leave_out_packages_are_dropped(caller: dict[str, str], name: str) -> None:
    assert name not in environment(caller | {name: "1"})


@pytest.mark.parametrize(
    "name",
    [
        *("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_INDEX_OURS_PASSWORD", "UV_FIND_LINKS", "UV_OFFLINE"),
        *("UV_INSECURE_HOST", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS", "UV_KEYRING_PROVIDER", "UV_HTTP_TIMEOUT"),
        *("npm_config_registry", "NPM_CONFIG_REGISTRY", "npm_config_@ours:registry", "npm_config_https_proxy"),
        *("npm_config_//npm.example/:_authToken", "npm_config_cafile", "npm_config_strict_ssl", "npm_config_noproxy"),
        *("npm_config_userconfig", "HTTPS_PROXY", "no_proxy", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "NETRC"),
    ],
)
def test_settings_of_where_packages_come_from_are_kept(caller: dict[str, str], name: str) -> None:
    assert environment(caller | {name: "kept"})[name] == "kept"


def test_pip_s_configuration_is_passed_on_to_uv(caller: dict[str, str], tmp_path: Path) -> None:
    # given pip's configuration in a file, some of it for one command, and in variables, which take precedence
    write(
        tmp_path / ".config" / "pip" / "pip.conf",
        """
[global]
index-url = https://user:50%25@pip.example/simple
extra-index-url =
    https://one.example/simple
    https://two.example/simple
find-links = /shelf /other
trusted_host = pip.example
user = true
target = /elsewhere
[install]
proxy = http://proxy.example:3128
[download]
cert = /not/for/install.pem
""",
    )
    found = environment(caller | {"PIP_CERT": "/ours.pem", "PIP_DEFAULT_TIMEOUT": "60", "PIP_INDEX_URL": ""})

    # then uv gets the same in its own variables, and pip gets nothing else
    assert {name: value for name, value in found.items() if name.startswith("UV_") and "CACHE" not in name} == {
        "UV_DEFAULT_INDEX": "https://user:50%25@pip.example/simple",
        "UV_EXTRA_INDEX_URL": "https://one.example/simple https://two.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/shelf,/other",
        "UV_INSECURE_HOST": "pip.example",
        "UV_HTTP_TIMEOUT": "60",
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }
    assert (found["ALL_PROXY"], found["SSL_CERT_FILE"]) == ("http://proxy.example:3128", "/ours.pem")
    assert {name for name in found if name.startswith("PIP_")} == {
        *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_TRUSTED_HOST", "PIP_PROXY", "PIP_CERT"),
        *("PIP_TIMEOUT", "PIP_CONFIG_FILE", "PIP_DISABLE_PIP_VERSION_CHECK", "PIP_NO_INPUT"),
    }
    assert found["PIP_CONFIG_FILE"] == "/dev/null"


def test_the_file_that_takes_precedence_is_read_last(caller: dict[str, str], tmp_path: Path) -> None:
    for place, index in ((tmp_path / "xdg" / "pip" / "pip.conf", "all"), (tmp_path / ".pip" / "pip.conf", "mine")):
        write(place, f"[global]\nindex-url = https://{index}.example\n")
    named = write(tmp_path / "named.conf", "[global]\nindex-url = https://named.example\n")
    caller |= {"XDG_CONFIG_DIRS": str(tmp_path / "xdg")}

    assert pip_settings(caller)["index-url"] == "https://mine.example"
    assert pip_settings(caller | {"PIP_CONFIG_FILE": str(named)})["index-url"] == "https://named.example"
    assert pip_settings(caller | {"PIP_CONFIG_FILE": "/dev/null"}) == {}


def test_a_broken_pip_conf_causes_no_traceback(caller: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / ".pip").mkdir()
    (tmp_path / ".pip" / "pip.conf").write_bytes(b"index-url = \xff no section\n")

    assert pip_settings(caller) == {}


def test_uv_s_own_settings_take_precedence_over_pip_s(caller: dict[str, str]) -> None:
    found = environment(
        caller | {"UV_INDEX_URL": "https://uv.example", "PIP_INDEX_URL": "https://pip.example", "PIP_CERT": "/pip.pem"}
    )

    assert found["UV_INDEX_URL"] == "https://uv.example"
    assert "UV_DEFAULT_INDEX" not in found
    assert environment(caller | {"SSL_CERT_FILE": "/uv.pem", "PIP_CERT": "/pip.pem"})["SSL_CERT_FILE"] == "/uv.pem"


def test_only_the_indexes_of_uv_s_configuration_are_used(caller: dict[str, str], tmp_path: Path) -> None:
    write(
        tmp_path / ".config" / "uv" / "uv.toml",
        """
system-certs = true
allow-insecure-host = ["one.example", "two.example"]
no-cache = true
[[index]]
name = "ours"
url = "https://ours.example/simple"
[[index]]
url = "https://default.example/simple"
default = true
[pip]
target = "/elsewhere"
find-links = ["/shelf", "/other"]
""",
    )
    found = environment(caller)

    assert {name: value for name, value in found.items() if name.startswith("UV_") and "CACHE" not in name} == {
        "UV_INDEX": "ours=https://ours.example/simple",
        "UV_DEFAULT_INDEX": "https://default.example/simple",
        "UV_INSECURE_HOST": "one.example two.example",
        "UV_SYSTEM_CERTS": "true",
        "UV_FIND_LINKS": "/shelf,/other",
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }


@pytest.mark.parametrize(("said", "options"), [("1", ["--no-index"]), ("true", ["--no-index"]), ("0", []), (None, [])])
def test_no_index_is_passed_on_to_uv(caller: dict[str, str], said: str | None, options: list[str]) -> None:
    assert uv_options(environment(caller | ({"PIP_NO_INDEX": said} if said else {}))) == options


@pytest.mark.parametrize(
    "variables",
    [
        {"HOME": "/dev/null/home"},
        {"HOME": ""},
        {"XDG_CACHE_HOME": "/dev/null/cache", "NPM_CONFIG_CACHE": "/dev/null/npm"},
        {"UV_CACHE_DIR": "/dev/null/uv", "npm_config_cache": "/dev/null/npm"},
    ],
)
def test_a_read_only_cache_is_replaced(caller: dict[str, str], tmp_path: Path, variables: dict[str, str]) -> None:
    found = environment(caller | variables, tmp_path / "ours")

    caches = {value for name, value in found.items() if name.lower() in ("uv_cache_dir", "npm_config_cache")}
    assert caches == {str(tmp_path / "ours" / "uv"), str(tmp_path / "ours" / "npm")}


def test_the_caller_s_cache_is_used_if_it_is_writable(caller: dict[str, str], tmp_path: Path) -> None:
    found = environment(caller | {"UV_CACHE_DIR": str(tmp_path / "mine")}, tmp_path / "ours")

    assert found["UV_CACHE_DIR"] == str(tmp_path / "mine")
    assert "npm_config_cache" not in found
