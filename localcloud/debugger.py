"""The port at which a debugger attaches to a process that restarts whenever its code changes.

debugpy listens beside the process, on another port after each start. This port stays, and passes on to the process that
runs now: at a restart the debugger is asked to attach again, and waits until it can. It also lets in debuggers only.
Whoever speaks to debugpy can run code as you, and debugpy would read a web page's request too.
"""

import json
import socket
import socketserver
import threading
import time
from contextlib import suppress
from typing import Any, Self

from localcloud.ports import HOST

FIRST_WORDS = b"Content-Length:"  # of the debug adapter protocol; those of HTTP are a method


class DebuggerPort(socketserver.ThreadingTCPServer):
    """Listens on `port` of the loopback interface. Raises OSError if it is taken."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int) -> None:
        super().__init__((HOST, port), socketserver.BaseRequestHandler)
        self.port = port
        self._process_port = 0
        self._is_open = True
        self._debuggers: set[socket.socket] = set()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_open = False
        self.shutdown()
        self.server_close()
        self.detach()

    def for_process(self) -> list[str]:
        """The arguments to insert between `python` and `-m <module>` in the command that starts the process.

        From here on, whoever attaches waits for that one.
        """
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self._process_port = probe.getsockname()[1]
        # Python has none of its own modules compiled in: debugpy would warn about them.
        listen = ["-m", "debugpy", "--configure-subProcess", "false", "--listen", f"{HOST}:{self._process_port}"]
        return ["-X", "frozen_modules=off", *listen]

    def detach(self) -> None:
        """Close the debuggers' connections, so that a process stopped at a breakpoint continues and can end."""
        _close(*self._debuggers)

    def finish_request(self, request: Any, client_address: object) -> None:  # noqa: ARG002
        """Forward data, in one thread per connection, until either end closes it."""
        debugger: socket.socket = request
        self._debuggers.add(debugger)
        try:
            words = debugger.recv(len(FIRST_WORDS), socket.MSG_WAITALL)
            process = self._connect() if words == FIRST_WORDS else None
            if process:
                with process:
                    process.sendall(words)
                    threading.Thread(target=self._answer, args=(process, debugger), daemon=True).start()
                    _copy(debugger, process)
        except OSError:
            pass  # the process or the debugger has ended
        finally:
            self._debuggers.discard(debugger)

    def _connect(self) -> socket.socket | None:
        while self._is_open:
            with suppress(OSError):
                return socket.create_connection((HOST, self._process_port))
            time.sleep(0.05)
        return None

    def _answer(self, process: socket.socket, debugger: socket.socket) -> None:
        """Pass on what the process says. When it ends because another one is started, ask the debugger to attach again,
        which debugpy does only where the editor listens."""
        (_, port), stream = process.getpeername(), process.makefile("rb")
        with suppress(OSError, ValueError), stream:
            while header := stream.readline():
                stream.readline()
                content = stream.read(int(header.removeprefix(FIRST_WORDS)))
                if b'"terminated"' in content and port != self._process_port:
                    message = json.loads(content)
                    if message.get("event") == "terminated":
                        content = json.dumps(message | {"body": {"restart": True}}).encode()
                debugger.sendall(b"%s %d\r\n\r\n%s" % (FIRST_WORDS, len(content), content))
        _close(process, debugger)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    _close(source, sink)


def _close(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
