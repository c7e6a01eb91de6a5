"""The environment of pip, uv and npm: the caller decides where packages come from, never where they are installed.

Each of the three reads dozens of variables and files. Indexes, proxies and certificates are kept, and pip's
configuration is passed on to uv, which does not read pip.conf. Everything else is dropped: PIP_TARGET,
NODE_ENV=production, UV_PROJECT_ENVIRONMENT and the like would install packages elsewhere, or omit some.
"""

import configparser
import os
import re
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

CACHE = Path(__file__).resolve().parent.parent / ".local" / "cache"
"""Used instead of a cache that is not writable."""

DROPPED = re.compile(
    r"(PIP|UV|NPM)_.*|NODE_ENV|PYTHON.*|VIRTUAL_ENV|CONDA_(PREFIX|DEFAULT_ENV)|(CLI)?(FORCE_)?COLOR(_FORCE)?",
    re.IGNORECASE,
)
KEPT_OF_UV = re.compile(
    r"UV_(INDEX(_.+)?|DEFAULT_INDEX|EXTRA_INDEX_URL|FIND_LINKS|KEYRING_PROVIDER|CREDENTIALS_DIR|INSECURE_HOST"
    r"|NATIVE_TLS|SYSTEM_CERTS|OFFLINE|CACHE_DIR|(HTTP|CONCURRENT)_.+)"
)
KEPT_OF_NPM = re.compile(
    r"npm_config_((.+:)?registry|.*//.+|_auth.*|(https?.)?proxy|no.?proxy|ca|cafile|cert|key|strict.ssl|cache"
    r"|(user|global)config|(prefer.)?offline|fetch.+|maxsockets)",
    re.IGNORECASE,
)
KEPT_OF_PIP = (
    *("index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "proxy", "cert", "client-cert"),
    *("keyring-provider", "timeout", "retries"),
)
OF_THE_SYSTEM = {
    "pip": [Path("/etc/pip.conf"), Path("/Library/Application Support/pip/pip.conf")],
    "uv": [Path("/etc/uv/uv.toml")],
}
UV_TOML = {  # keys of uv.toml, and the equivalent variables
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_EXTRA_INDEX_URL",
    "find-links": "UV_FIND_LINKS",
    "index-strategy": "UV_INDEX_STRATEGY",
    "keyring-provider": "UV_KEYRING_PROVIDER",
    "allow-insecure-host": "UV_INSECURE_HOST",
    "native-tls": "UV_NATIVE_TLS",
    "system-certs": "UV_SYSTEM_CERTS",
    "offline": "UV_OFFLINE",
}


def environment(caller: Mapping[str, str] = os.environ, cache: Path = CACHE) -> dict[str, str]:
    """The variables for pip, uv and npm, derived from the caller's. `cache` replaces caches that are not writable."""
    kept = {name: value for name, value in caller.items() if _is_kept(name)}
    pip = pip_settings(caller)
    for name, value in [*_from_uv_toml(caller).items(), *_from_pip(pip, caller).items()]:
        kept.setdefault(name, value)
    kept |= {f"PIP_{name.replace('-', '_').upper()}": value for name, value in pip.items()}
    kept |= {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    kept |= {"NO_COLOR": "1", "UV_NO_CONFIG": "1", "UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never"}
    home = Path(caller["HOME"]) if caller.get("HOME") else None
    for name, default in (("UV_CACHE_DIR", _user_cache(caller, home)), ("npm_config_cache", home and home / ".npm")):
        set_name = next((each for each in kept if each.lower() == name.lower()), name)
        wanted = Path(kept[set_name]) if kept.get(set_name) else default
        if not (wanted and _can_write(wanted)):
            kept[set_name] = str(cache / name.partition("_")[0].lower())
    return kept


def uv_options(environment: Mapping[str, str]) -> list[str]:
    """What has no uv variable: pip's `no-index`, with which all packages come from `find-links`."""
    return ["--no-index"] if environment.get("PIP_NO_INDEX", "").lower() in ("1", "true", "yes", "on", "y", "t") else []


def pip_settings(caller: Mapping[str, str]) -> dict[str, str]:
    """pip's settings of where packages come from, read from its files and variables: `{"index-url": …}`."""
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, "variables": {}}
    for path in _pip_files(caller):
        parser = configparser.RawConfigParser()
        with suppress(configparser.Error, UnicodeDecodeError, OSError):  # pip itself reports what is wrong there
            parser.read(path, encoding="utf-8")
            for section in found.keys() & set(parser.sections()):
                found[section] |= {_pip_name(name): value for name, value in parser.items(section)}
    variables = ((name, value) for name, value in caller.items() if name.startswith("PIP_"))
    found["variables"] = {_pip_name(name.removeprefix("PIP_")): value for name, value in variables}
    said = [*found["global"].items(), *found["install"].items(), *found["variables"].items()]
    merged = {name: " ".join(value.split()) for name, value in said if value and value.strip()}
    return {name: merged[name] for name in KEPT_OF_PIP if name in merged}


def _is_kept(name: str) -> bool:
    return not DROPPED.fullmatch(name) or bool(KEPT_OF_UV.fullmatch(name) or KEPT_OF_NPM.fullmatch(name))


def _pip_name(name: str) -> str:
    name = name.lower().replace("_", "-").removeprefix("--")
    return "timeout" if name == "default-timeout" else name


def _pip_files(caller: Mapping[str, str]) -> Iterator[Path]:
    """pip's configuration files, highest precedence last."""
    own = caller.get("PIP_CONFIG_FILE")
    if own == os.devnull:
        return
    for folder in caller.get("XDG_CONFIG_DIRS", "/etc/xdg").split(os.pathsep):
        yield Path(folder) / "pip" / "pip.conf"
    yield from OF_THE_SYSTEM["pip"]
    if home := caller.get("HOME"):
        yield Path(home) / ".pip" / "pip.conf"
        yield Path(caller.get("XDG_CONFIG_HOME") or Path(home) / ".config") / "pip" / "pip.conf"
        yield Path(home) / "Library" / "Application Support" / "pip" / "pip.conf"
    if own:
        yield Path(own)


def _from_pip(pip: Mapping[str, str], caller: Mapping[str, str]) -> dict[str, str]:
    """pip's settings as uv's variables."""
    said: dict[str, str | None] = {
        "UV_DEFAULT_INDEX": None if caller.get("UV_INDEX_URL") else pip.get("index-url"),
        "UV_EXTRA_INDEX_URL": None if caller.get("UV_INDEX") else pip.get("extra-index-url"),
        # As pip does: the best version from any index. The hashes already decide what is accepted.
        "UV_INDEX_STRATEGY": "unsafe-best-match" if pip.get("extra-index-url") else None,
        "UV_FIND_LINKS": pip.get("find-links", "").replace(" ", ","),
        "UV_INSECURE_HOST": pip.get("trusted-host"),
        "UV_KEYRING_PROVIDER": {"import": "subprocess", "subprocess": "subprocess"}.get(
            pip.get("keyring-provider", "")
        ),
        "UV_HTTP_TIMEOUT": pip.get("timeout"),
        "UV_HTTP_RETRIES": pip.get("retries"),
        "ALL_PROXY": pip.get("proxy"),
        "SSL_CERT_FILE": pip.get("cert") or caller.get("REQUESTS_CA_BUNDLE") or caller.get("CURL_CA_BUNDLE"),
        "SSL_CLIENT_CERT": pip.get("client-cert"),
    }
    return {name: value for name, value in said.items() if value}


def _from_uv_toml(caller: Mapping[str, str]) -> dict[str, str]:
    """What uv's own files say about where packages come from; the rest could say where to install them."""
    files = [Path(folder) / "uv" / "uv.toml" for folder in caller.get("XDG_CONFIG_DIRS", "/etc/xdg").split(os.pathsep)]
    files += OF_THE_SYSTEM["uv"]
    if user := caller.get("XDG_CONFIG_HOME") or (caller.get("HOME") and f"{caller['HOME']}/.config"):
        files += [Path(user) / "uv" / "uv.toml"]
    if own := caller.get("UV_CONFIG_FILE"):
        files = [Path(own)]
    settings: dict[str, Any] = {}
    for file in files:
        with suppress(OSError, ValueError):
            read = tomllib.loads(file.read_text(encoding="utf-8"))
            settings |= read.get("pip", {}) | {name: value for name, value in read.items() if name != "pip"}
    said: dict[str, str] = {}
    for key, variable in UV_TOML.items():
        if key in settings:
            value = cast("list[Any]", settings[key] if isinstance(settings[key], list) else [settings[key]])
            words = (str(word).lower() if isinstance(word, bool) else str(word) for word in value)
            said[variable] = ("," if key == "find-links" else " ").join(words)
    indexes: list[dict[str, Any]] = settings.get("index", [])
    for index in indexes:
        if index.get("default"):
            said["UV_DEFAULT_INDEX"] = index["url"]
        else:
            named = f"{index['name']}={index['url']}" if "name" in index else index["url"]
            said["UV_INDEX"] = " ".join(filter(None, [said.get("UV_INDEX"), named]))
    return said


def _user_cache(caller: Mapping[str, str], home: Path | None) -> Path | None:
    cache = caller.get("XDG_CACHE_HOME")
    return Path(cache) / "uv" if cache else home and home / ".cache" / "uv"


def _can_write(folder: Path) -> bool:
    """Tried out, because permissions do not show that a file system is full or read-only."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    return False
