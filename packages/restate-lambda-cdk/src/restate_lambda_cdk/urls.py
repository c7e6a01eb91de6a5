"""Checks of URLs at synth. Tokens have no value yet: the registration function checks those."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from aws_cdk import Token


def refuse_others(name: str, url: str) -> None:
    """Raise ValueError unless it is the http(s) URL of a server; a missing context value, for one, is None."""
    if Token.is_unresolved(url):
        return
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        extra = parts.username or parts.password or parts.query or parts.fragment
    except ValueError:
        is_url, extra = False, None
    if not is_url or extra or not re.fullmatch("[!-~]+", url):
        raise ValueError(f"{name} {url!r} is not a URL such as https://restate.example.com:9070.")


def is_plain_http(url: str) -> bool:
    """Whether what is sent there can be read on a network."""
    if Token.is_unresolved(url):
        return False
    parts = urlsplit(url)
    return parts.scheme == "http" and not _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def on_port_8080(url: str) -> str | None:
    """The same host's ingress, unless the URL is a token."""
    if Token.is_unresolved(url):
        return None
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.removesuffix(f':{parts.port}')}:8080"
