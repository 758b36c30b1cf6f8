"""Helpers of the tests of the catalogue."""

from collections.abc import Callable
from typing import Any

import pytest

from tillhook.testing.client import Client

BOUNDARY = "a-boundary-that-no-file-holds"


@pytest.fixture
def upload(client: Client) -> Callable[..., Any]:
    """``upload(path, content, **fields)`` posts a form with a file and text fields."""

    def upload(
        path: str, content: bytes, filename: str = "file", as_: Any = "admin", headers: Any = None, **fields: str
    ) -> Any:
        parts = [
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        ]
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
        parts.append(head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n")
        body = b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
        sent = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", **(headers or {})}
        return client.request("POST", path, body=body, headers=sent, as_=as_)

    return upload
