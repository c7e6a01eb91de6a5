"""The admin API of the local cloud's Restate, or of another whose URL and API key a person types.

The key is read from the terminal, sent only to that URL, and never in an argument, environment variable or message.
"""

import sys
from dataclasses import dataclass, field
from getpass import getpass
from typing import Any
from urllib.parse import urlsplit

import httpx

from localcloud.environment import LocalCloudError

LOOPBACK = ("127.0.0.1", "localhost", "::1")

Row = dict[str, Any]


@dataclass(frozen=True)
class Restate:
    """The admin API at `url`. Failures are LocalCloudErrors, whose one sentence never contains the key."""

    url: str
    key: str | None = field(default=None, repr=False)

    def query(self, sql: str) -> list[Row]:
        """Ask the introspection tables."""
        answer = self._request("POST", "/query", {"query": sql})
        try:
            return answer.raise_for_status().json()["rows"]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            raise self._unexpected(answer) from None

    def cancel(self, invocation_id: str) -> None:
        """Cancel an invocation. It may have ended meanwhile."""
        answer = self._request("PATCH", f"/invocations/{invocation_id}/cancel")
        if answer.is_error and answer.status_code not in (404, 409):
            raise self._unexpected(answer)

    def _request(self, method: str, path: str, body: object = None) -> httpx.Response:
        is_local = refuse_unsafe(self.url, self.key)
        headers = {"accept": "application/json"} | ({"authorization": f"Bearer {self.key}"} if self.key else {})
        url = f"{self.url.rstrip('/')}{path}"
        try:
            answer = httpx.request(method, url, json=body, headers=headers, timeout=60, trust_env=not is_local)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:  # UnicodeError: no such host name
            raise LocalCloudError(f"{self.url} cannot be reached ({type(error).__name__}): is the URL right?") from None
        except (ImportError, OSError, ValueError) as error:
            raise LocalCloudError(
                f"{self.url} cannot be reached, because a variable for a proxy or for certificates, such as ALL_PROXY "
                f"or SSL_CERT_FILE, has a value that cannot be used here: {error}"
            ) from None
        if answer.status_code in (401, 403):
            what = "rejected the API key" if self.key else "requires an API key"
            raise LocalCloudError(f"{self.url} {what} ({answer.status_code}): use one with the role Admin.")
        return answer

    def _unexpected(self, answer: httpx.Response) -> LocalCloudError:
        status = answer.status_code
        return LocalCloudError(f"{self.url} answered {status}: is it Restate's admin API, usually on port 9070?")


def refuse_unsafe(url: str, key: str | None) -> bool:
    """Check the URL and the key.

    Returns:
        Whether the URL is this machine's.

    Raises:
        LocalCloudError: the URL or the key is invalid, or the key would be sent over plain HTTP.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError
    except ValueError:
        raise LocalCloudError(f"{url!r} must be a URL such as https://restate.example.com:9070.") from None
    if "@" in parts.netloc:
        raise LocalCloudError(
            "The URL must not contain a user name or a password: leave them out. The key is asked for next."
        )
    is_local = parts.hostname in LOOPBACK
    if key and parts.scheme == "http" and not is_local:
        raise LocalCloudError(f"{url} is plain HTTP, over which a key can be read: use an https URL.")
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise LocalCloudError("The key contains spaces or characters that no key has: paste it again.")
    return is_local


def typed() -> Restate:
    """Ask for a URL and an API key.

    Raises:
        LocalCloudError: the input is not a terminal.
    """
    if not sys.stdin.isatty():
        raise LocalCloudError("--elsewhere reads a URL and an API key from a terminal, and the input is not one.")
    url = input("Admin API, such as https://….env.eu.restate.cloud:9070: ").strip()
    return Restate(url, getpass("API key, not shown (Enter: none): ").strip() or None)
