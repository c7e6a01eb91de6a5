"""A hostile environment: a profile, files, endpoints, container credentials and proxies that all point to one server.

That server must never be called: no local command may use what the caller's environment names.
"""

import socketserver
import threading
from pathlib import Path


class HostileEnvironment:
    """A server that records what it receives and closes the connection."""

    def __init__(self) -> None:
        self.hits: list[bytes] = []
        hits = self.hits

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                hits.append(self.request.recv(200))

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def hostile_variables(hostile_environment: HostileEnvironment, folder: Path) -> dict[str, str]:
    """The environment variables of a hostile shell. The files that they name are created in `folder`."""
    aws = folder / ".aws"
    aws.mkdir()
    files = {
        "config": f"[profile production]\nregion = eu-west-1\nendpoint_url = {hostile_environment.url}\n",
        "credentials": "[production]\naws_access_key_id = AKIAREAL\naws_secret_access_key = real\n",
    }
    for name, text in files.items():
        (aws / name).write_text(text)
        (folder / name).write_text(text)
    return {
        "HOME": str(folder),
        "AWS_PROFILE": "production",
        "AWS_CONFIG_FILE": str(folder / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
        "AWS_ACCESS_KEY_ID": "AKIAREAL",
        "AWS_SECRET_ACCESS_KEY": "real",
        "AWS_SESSION_TOKEN": "real",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": hostile_environment.url,
        **{
            f"AWS_ENDPOINT_URL_{name}": hostile_environment.url
            for name in ("S3", "STS", "CLOUDFORMATION", "DYNAMODB", "SSM")
        },
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{hostile_environment.url}/credentials",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": hostile_environment.url,
        **dict.fromkeys(
            ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"), hostile_environment.url
        ),
        "NO_PROXY": "",
        "no_proxy": "",
    }
