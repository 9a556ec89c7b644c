"""What keys and tokens look like on the server: plain ASCII without braces, whatever they were made of."""

from __future__ import annotations

import hashlib
from urllib.parse import quote, unquote

#: Of an encoded part longer than this, in characters, only a beginning is kept, beside its digest. Keys are
#: sent with every request; most names are far shorter.
LONGEST = 128
_BEGINNING = 64

# Lone surrogates, which JSON lets through, have no encoding otherwise.
_ERRORS = "surrogatepass"


def key(namespace: str, name: str) -> str:
    """Return the key of a provider: one for each namespace and name, and no two the same.

    It is one hash tag, so all that is ever kept for a provider stands in one slot of a cluster.
    """
    return f"{{{_part(namespace)}:{_part(name)}}}"


def encoded(text: str) -> str:
    """Return the text in letters, digits, `%`, `.`, `_`, `~` and `-`."""
    return quote(text, safe="", errors=_ERRORS)


def decoded(text: str) -> str:
    """Return what `encoded()` was given."""
    return unquote(text, errors=_ERRORS)


def _part(text: str) -> str:
    part = encoded(text)
    if len(part) <= LONGEST:
        return part
    # No short part has a # in it.
    return f"{part[:_BEGINNING]}#{hashlib.sha256(part.encode()).hexdigest()}"
