"""An editor's debugger for `make serve DEBUG=1`. It speaks the debug adapter protocol over TCP, as VS Code does."""

import json
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from localcloud.ports import HOST


class Editor:
    """Attaches to this port and sets these breakpoints: {file: line}."""

    def __init__(self, port: int, breakpoints: Mapping[Path, int], timeout: float = 60) -> None:
        self._socket = socket.create_connection((HOST, port))
        self._sequence = 0
        self._messages: list[dict[str, Any]] = []
        self._arrival = threading.Condition()
        self._timeout = timeout
        threading.Thread(target=self._read, daemon=True).start()
        self.request("initialize", adapterID="debugpy", pathFormat="path")
        attaching = self._send("attach", justMyCode=True)
        self.event("initialized")
        for path, line in breakpoints.items():
            self.request("setBreakpoints", source={"path": str(path)}, breakpoints=[{"line": line}])
        self.request("configurationDone")
        self._response(attaching)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Detach, which resumes what is stopped."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def stopped(self) -> tuple[str, int]:
        """Wait until the process stops. Returns the file and the line."""
        thread = self.event("stopped")["threadId"]
        (frame, *_) = self.request("stackTrace", threadId=thread, levels=1)["stackFrames"]
        return Path(frame["source"]["path"]).name, frame["line"]

    def resume(self) -> None:
        self.request("continue", threadId=1)

    def request(self, command: str, **arguments: object) -> dict[str, Any]:
        """Send a request that must succeed. Returns the response's body."""
        return self._response(self._send(command, **arguments))

    def event(self, name: str) -> dict[str, Any]:
        """Wait for the next event of this name. Returns its body."""
        return self._next(lambda message: message.get("event") == name).get("body", {})

    def has_stopped(self) -> bool:
        """Whether the process has stopped again since the last call of `stopped`."""
        with self._arrival:
            return any(message.get("event") == "stopped" for message in self._messages)

    def _send(self, command: str, **arguments: object) -> int:
        self._sequence += 1
        message = {"seq": self._sequence, "type": "request", "command": command, "arguments": arguments}
        content = json.dumps(message).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(content), content))
        return self._sequence

    def _response(self, sequence: int) -> dict[str, Any]:
        response = self._next(lambda message: message.get("request_seq") == sequence)
        assert response["success"], response
        return response.get("body", {})

    def _next(self, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait for the first message of this kind and remove it from those received."""
        with self._arrival:
            assert self._arrival.wait_for(lambda: any(map(is_it, self._messages)), self._timeout), self._messages
            found = next(filter(is_it, self._messages))
            self._messages.remove(found)
            return found

    def _read(self) -> None:
        with suppress(OSError, ValueError), self._socket.makefile("rb") as stream:
            while line := stream.readline():
                length = int(line.removeprefix(b"Content-Length: "))
                stream.readline()
                message = json.loads(stream.read(length))
                with self._arrival:
                    self._messages.append(message)
                    self._arrival.notify_all()
