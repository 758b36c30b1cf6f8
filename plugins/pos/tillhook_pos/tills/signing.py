"""Signed receipt codes: a whole sale as a text that fits a QR code.

``TH1.<till>.<version>.<signature and content>`` is signed by a till, or by the server as till 0; where a sale cannot be
held whole, ``TH1R.<sale number>.<signature>`` names it. Both are of QR's alphanumeric mode and need no escaping in a
URL. ADR 0012 says why; ``docs/receipt-codes.md`` is for those who write a device.
"""

import base64
import binascii
import hmac
import json
import re
import zlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from tillhook.config import Settings
from tillhook.errors import DomainError, ValidationFailed
from tillhook.http import parse_json
from tillhook.runtime import runtime_of
from tillhook_pos.models import Till
from tillhook_pos.tills.contents import Content, pack, unpack

#: Characters that are read at most.
MAX_CODE = 2000
#: Characters of what the server prints itself: with more a QR code is too fine for a till's printer.
MAX_PRINTED = 1200
#: A content of a thousand lines stays far below; what inflates to more is a bomb.
_MAX_CONTENT = 64 * 1024
_SIGNATURE = 16
_SERVER = 0
_NUMBER = "(0|[1-9][0-9]{0,17})"
_CODE = re.compile(rf"(TH1\.{_NUMBER}\.{_NUMBER}\.)([A-Z2-7]+)", re.ASCII)
_REFERENCE = re.compile(r"(TH1R\.([0-9A-Za-z_/-]{1,60})\.)([A-Z2-7]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class SignedReceipt:
    """A code that was read, its signature good.

    Args:
        till: Whose device signed it; ``None`` for the server.
        version: Of the till's secret.
    """

    content: Content
    till: Till | None
    version: int

    @property
    def is_retired(self) -> bool:
        """Whether the secret is out of use: whoever has the lost device could have signed this."""
        return self.till is not None and (not self.till.is_active or self.version < self.till.code_version)


def looks_signed(text: str) -> bool:
    """Say whether the text means to be a code or a reference, and not a sale's number."""
    return text.startswith(("TH1.", "TH1R."))


def till_secret(settings: Settings, name: str, version: int) -> bytes:
    """Return the 32 bytes by which a till's device signs; the server signs by those of the empty name."""
    # A key of its own: nothing else that the installation's secret signs can pass for a receipt.
    root = hmac.digest(settings.secret.encode(), b"tillhook receipt code", "sha256")
    return hmac.digest(root, f"{version}:{name}".encode(), "sha256")


def sign(content: Content, secret: bytes, till_id: int, version: int) -> str:
    """Return the code of a sale."""
    text = json.dumps(pack(content), ensure_ascii=False, separators=(",", ":"), default=str)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(text.encode()) + packer.flush()
    head = f"TH1.{till_id}.{version}."
    return head + _base32(_signature(secret, head, packed) + packed)


def sign_by_server(session: Session, content: Content) -> str:
    """Return the code of a sale that the server itself vouches for."""
    return sign(content, _server_secret(session), _SERVER, 1)


def sign_reference(session: Session, sale_number: str) -> str:
    """Return the signed name of a sale, for receipts that cannot hold it."""
    head = f"TH1R.{sale_number}."
    return head + _base32(_signature(_server_secret(session), head, b""))


def read(session: Session, text: str, field: str = "code") -> SignedReceipt:
    """Return what a code holds, its signature checked before anything of it is unpacked.

    Args:
        field: Where the code is in the request.

    Raises:
        ValidationFailed: 422 ``pos-bad-receipt-code`` for what is none, ``pos-receipt-signature`` for one that nobody
            here signed.
    """
    match = _CODE.fullmatch(text) if len(text) <= MAX_CODE else None
    if match is None:
        raise _bad(field, "Not a receipt's code.")
    raw = _bytes(match[4], field)
    till_id, version = int(match[2]), int(match[3])
    till = session.get(Till, till_id) if till_id != _SERVER else None
    newest = till.code_version if till else 1
    if (till is None and till_id != _SERVER) or not 1 <= version <= newest:
        raise _unsigned(field)
    secret = till_secret(runtime_of(session).settings, till.name if till else "", version)
    packed = raw[_SIGNATURE:]
    if not hmac.compare_digest(raw[:_SIGNATURE], _signature(secret, match[1], packed)):
        raise _unsigned(field)
    try:
        content = unpack(_inflated(packed), till.name if till else None)
    except ValueError as error:
        raise _bad(field, f"Signed, but not as it should be: {error}.") from error
    return SignedReceipt(content, till, version)


def read_reference(session: Session, text: str, field: str = "code") -> str:
    """Return the number of the sale that a reference names.

    Raises:
        ValidationFailed: 422 ``pos-bad-receipt-code``, ``pos-receipt-signature``.
    """
    match = _REFERENCE.fullmatch(text) if len(text) <= MAX_CODE else None
    if match is None:
        raise _bad(field, "Not a receipt's code.")
    if not hmac.compare_digest(_bytes(match[3], field), _signature(_server_secret(session), match[1], b"")):
        raise _unsigned(field)
    return match[2]


def _signature(secret: bytes, head: str, packed: bytes) -> bytes:
    return hmac.digest(secret, head.encode() + packed, "sha256")[:_SIGNATURE]


def _server_secret(session: Session) -> bytes:
    return till_secret(runtime_of(session).settings, "", 1)


def _inflated(packed: bytes) -> Any:
    """Return the value of deflated JSON.

    Raises:
        ValueError: It is none, or more than a receipt can hold.
    """
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        text = unpacker.decompress(packed, _MAX_CONTENT)
    except zlib.error:
        raise ValueError("it does not inflate") from None
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError("it is too much, or not one whole")
    try:
        return parse_json(text)
    except DomainError as error:
        raise ValueError(error.detail) from error


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=")


def _bytes(text: str, field: str) -> bytes:
    try:
        raw = base64.b32decode(text + "=" * (-len(text) % 8))
    except binascii.Error:
        raise _bad(field, "Not a receipt's code.") from None
    # The last character has bits to spare: of the texts that mean the same bytes only one is the code.
    if _base32(raw) != text:
        raise _bad(field, "Not a receipt's code.")
    return raw


def _bad(field: str, message: str) -> ValidationFailed:
    return ValidationFailed.at(field, message, code="pos-bad-receipt-code")


def _unsigned(field: str) -> ValidationFailed:
    message = "Nobody here signed this, or it has been changed since."
    return ValidationFailed.at(field, message, code="pos-receipt-signature")
