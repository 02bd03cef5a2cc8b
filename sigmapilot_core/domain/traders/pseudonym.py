"""A stable name for a trader in what auditors read: the same address gives the same name everywhere and always.

It keeps addresses out of texts and tables; it is no secret, because addresses are public and can be tried.
"""

from __future__ import annotations

import base64
import hashlib


def pseudonym(address: str) -> str:
    """`K7QZ-2FXA`: forty bits of a SHA-256 of the lower-case address, in letters and digits."""
    digest = hashlib.sha256(f"sigmapilot voter:{address.lower()}".encode()).digest()
    text = base64.b32encode(digest[:5]).decode()
    return f"{text[:4]}-{text[4:]}"
