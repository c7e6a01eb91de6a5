"""Messages that must not be lost: one that this version cannot read waits until a version that can read it is live."""

from typing import Any, Generic, TypeVar

import msgspec
from restate.serde import Serde

M = TypeVar("M")


class UnreadableMessageError(Exception):
    """A message from another version of the code that this one cannot read. Not terminal: Restate retries."""


class Unreadable:
    """Replaces a message that could not be read: reading any attribute raises UnreadableMessageError."""

    def __init__(self, why: str) -> None:
        self._why = why

    def __getattr__(self, name: str) -> Any:
        raise UnreadableMessageError(f"waiting for a version that can read this message: {self._why}")


class RetainedSerde(Serde[Any], Generic[M]):
    """Reads messages of `kind` that must not be lost.

    The SDK fails an invocation for good if its input cannot be decoded. So this never raises: an unreadable message
    becomes an `Unreadable`, the handler fails on its first use, and Restate retries until a version can read it.
    """

    def __init__(self, kind: type[M]) -> None:
        self._kind = kind

    def deserialize(self, buf: bytes) -> M | Unreadable:
        try:
            return self.read(buf)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return Unreadable(str(error))

    def serialize(self, obj: M | None) -> bytes:
        return msgspec.json.encode(obj)

    def read(self, buf: bytes) -> M:
        return msgspec.json.decode(buf, type=self._kind)
