"""Where the admin API is, once CloudFormation has put a URL in the place of a token."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from registration.admin import RefusedError


def check_url(url: str, *, has_key: bool, insecure: bool) -> None:
    """Reject a URL that synth could not check, before a key is sent there. Raises RefusedError."""
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        extra = parts.username or parts.password or parts.query or parts.fragment
    except ValueError:
        raise RefusedError(_no_url(url)) from None
    if not is_url or extra or not re.fullmatch("[!-~]+", url):
        raise RefusedError(_no_url(url))
    if has_key and parts.scheme == "http" and not insecure and not _is_loopback(parts.hostname or ""):
        raise RefusedError(f"{url} is plain HTTP, which exposes the API key: use https, or set insecure.")


def _no_url(url: str) -> str:
    # What is no URL may be a secret that was meant for something else.
    shown = url if re.fullmatch(r"[\w.:/-]{0,80}", url) else "The admin URL"
    return f"{shown or 'An empty string'} is not a URL such as https://restate.example.com:9070."


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
