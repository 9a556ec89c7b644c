"""The script that carries out an operation within the server: what it is asked, and what it answers."""

from __future__ import annotations

import hashlib
import secrets
from importlib import resources
from typing import Any, Final, cast

import attrs

from fallback_exec.cooldown.operations import Claim, Operation, Record, Release, Reply, Succeed
from fallback_exec.cooldown.store import RecordUnusableError
from fallback_exec.redaction import redact
from fallback_exec.redis import keys

SOURCE: Final = resources.files("fallback_exec.redis").joinpath("cooldown.lua").read_bytes()

#: By which the server knows the script once it has run it.
DIGEST: Final = hashlib.sha1(SOURCE, usedforsecurity=False).hexdigest().encode()

_FIELDS = tuple(field.name for field in attrs.fields(Record))
_TEXTS = {"state", "token"}
_HEAD = 3  # nonce, time, whether it was applied


class OutOfStepError(Exception):
    """An answer that is not one to this request."""

    def __init__(self) -> None:
        super().__init__("the answer is one to another request")


@attrs.frozen
class Request:
    """One operation on one key, to be sent as one command.

    Attributes:
        key: The provider's key.
        operation: What to carry out.
        now: The time, in microseconds; None: that of the server.
        nonce: What the answer has to begin with; unlike that of any other request.
    """

    key: str
    operation: Operation
    now: int | None
    nonce: str = attrs.field(factory=lambda: secrets.token_hex(8))

    def command(self, *, whole: bool = False) -> tuple[str | bytes | int, ...]:
        """Return the command that names the script by its digest, or brings it whole."""
        script = ("EVAL", SOURCE) if whole else ("EVALSHA", DIGEST)
        # As bytes, so that it does not matter how the client encodes text.
        return (*script, 1, self.key.encode(), *(each.encode() for each in self._arguments()))

    def reply(self, answer: object) -> Reply:
        """Return what the script answered.

        Raises:
            RecordUnusableError: what is kept under the key is no record.
            OutOfStepError: the answer is one to another request, or none of the script's.
        """
        if not isinstance(answer, list) or len(answer) < _HEAD or _text(answer[0]) != self.nonce:
            raise OutOfStepError
        now, applied = int(answer[1]), _text(answer[2])
        if applied == "unusable":
            raise RecordUnusableError(f"what is kept under {redact(self.key)} is no record of cooldowns")
        record = _record([_text(each) for each in answer[_HEAD:]]) if len(answer) > _HEAD else None
        return Reply(record, now, applied == "1")

    def _arguments(self) -> list[str]:
        operation = self.operation
        if isinstance(operation, Claim):
            operation = attrs.evolve(
                operation, token=keys.encoded(operation.token), replaces=keys.encoded(operation.replaces)
            )
        elif isinstance(operation, Succeed | Release):
            operation = attrs.evolve(operation, token=keys.encoded(operation.token))
        values = (_argument(value) for value in attrs.astuple(operation))
        return [self.nonce, _argument(self.now), type(operation).__name__, *values]


def _argument(value: object) -> str:
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, int) else str(value)


def _text(value: object) -> object:
    """Return what the client has left undecoded as text."""
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value


def _record(values: list[object]) -> Record:
    fields: dict[str, Any] = {
        name: value if name in _TEXTS else int(cast("str", value))
        for name, value in zip(_FIELDS, values, strict=True)
    }
    fields["token"] = keys.decoded(fields["token"])
    return Record(**fields)
