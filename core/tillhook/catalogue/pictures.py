"""Pictures as files: checked by decoding them, kept by their content's hash below the data folder.

What is stored is our own encoding of the first frame: no metadata (a photo says where it was taken), nothing
behind the picture's end, nothing that is not a picture. The same picture is the same file.

A file is written before the transaction that refers to it, so one that was rolled back leaves a file behind, as does a
picture that is removed. A job collects what nobody refers to and nobody has written for a day.
"""

import hashlib
import io
import os
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from PIL import Image, ImageOps, UnidentifiedImageError
from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.db import among
from tillhook.disk import sync
from tillhook.errors import Busy, DomainError, ValidationFailed, storing
from tillhook.products.models import ProductImage
from tillhook.runtime import runtime_of

MAX_BYTES = 10 * 1024 * 1024
#: Looked at before anything is unpacked: a hundred bytes of PNG may unpack to gigabytes. A picture of so many takes
#: some 450 MiB while it is decoded and encoded.
MAX_PIXELS = 16_000_000
#: How long a file is kept that nobody refers to, because somebody may be about to.
GRACE_S = 24 * 3600
_FORMATS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 90, "optimize": True},
    "PNG": {},
    "WEBP": {"quality": 90, "method": 2},
}
_WAIT_S = 20.0
#: One decode at a time in each process.
_decoding = threading.Lock()


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture whose file is written."""

    sha256: str
    content_type: str
    size: int
    width: int
    height: int


def take_picture(data_dir: Path, stream: IO[bytes], wait_s: float = _WAIT_S) -> Picture:
    """Decode a picture and write its file; to be called outside of any transaction.

    Args:
        wait_s: How long to wait while this process decodes others.

    Raises:
        ValidationFailed: 422 naming ``file``: too large, damaged, or no JPEG, PNG or WebP.
        Busy: 503: others were decoded all the time.
        StorageFull: 507.
    """
    raw = stream.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ValidationFailed.at("file", f"Larger than {MAX_BYTES // 1024 // 1024} MiB.", code="image-too-large")
    if not _decoding.acquire(timeout=wait_s):
        raise Busy("Too many pictures at a time; try again.", code="too-many-pictures", retry_after_s=5)
    try:
        content, content_type, (width, height) = _reencode(raw)
    finally:
        _decoding.release()
    digest = hashlib.sha256(content).hexdigest()
    with storing():
        _store(path_of(data_dir, digest), content)
    return Picture(digest, content_type, len(content), width, height)


def path_of(data_dir: Path, sha256: str) -> Path:
    """Return where a picture is kept; two levels of folders keep each one small."""
    return data_dir / "images" / sha256[:2] / sha256[2:4] / sha256


def collect_pictures(session: Session) -> int:
    """Delete the files that no product refers to and nobody has written for a day; return how many."""
    folder = runtime_of(session).settings.data_dir / "images"
    until = time.time() - GRACE_S
    return sum(_collect(session, each, until) for each in sorted(folder.glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]")))


def _collect(session: Session, folder: Path, until: float) -> int:
    old = {path.name: path for path in _files(folder) if _written(path) < until}
    if not old:
        return 0
    names = [name for name in old if not name.startswith(".")]
    known = set(session.scalars(select(ProductImage.sha256).where(among(ProductImage.sha256, names))))
    return sum(_delete(path, until) for name, path in old.items() if name not in known)


def _files(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as found:
        yield from (folder / each.name for each in found if each.is_file(follow_symlinks=False))


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another machine's worker was faster
        return float("inf")


def _delete(path: Path, until: float) -> bool:
    """Delete a file unless somebody writes it again at this moment: it is put aside first, and looked at once more."""
    aside = _beside(path)
    try:
        path.rename(aside)
    except FileNotFoundError:
        return False
    if aside.stat().st_mtime >= until:
        aside.rename(path)
        return False
    aside.unlink()
    return True


def _reencode(raw: bytes) -> tuple[bytes, str, tuple[int, int]]:
    """Return our encoding of the picture, its content type, and its width and height in pixels."""
    try:
        image, kind = _decoded(raw)
        return _encoded(image, kind), _FORMATS[kind], image.size
    except DomainError:
        raise
    except UnidentifiedImageError as error:
        raise ValidationFailed.at("file", "Not a JPEG, PNG or WebP picture.", code="not-an-image") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels() from error
    except Exception as error:  # Pillow lets any error through that a damaged picture causes
        raise ValidationFailed.at("file", "The picture is damaged.", code="not-an-image") from error


def _decoded(raw: bytes) -> tuple[Image.Image, str]:
    """Return the upright first frame, alone: what decoded it holds several times its memory."""
    with Image.open(io.BytesIO(raw), formats=list(_FORMATS)) as image:
        if image.width * image.height > MAX_PIXELS:
            raise _too_many_pixels()
        # What the lenses of a telephone see: the first of its pictures is the JPEG that it looks like.
        kind = "JPEG" if image.format == "MPO" else image.format or ""
        return ImageOps.exif_transpose(image), kind


def _too_many_pixels() -> ValidationFailed:
    return ValidationFailed.at("file", f"More than {MAX_PIXELS:,} pixels.", code="image-too-large")


def _encoded(image: Image.Image, kind: str) -> bytes:
    plain = image
    if kind == "JPEG" and image.mode not in ("L", "RGB"):
        plain = image.convert("RGB")  # CMYK of a print shop: browsers show it wrongly
    elif kind != "JPEG" and image.mode == "I;16":
        plain = image.convert("L")
    elif kind != "JPEG" and image.mode not in ("L", "LA", "P", "RGB", "RGBA"):
        plain = image.convert("RGBA")
    target = io.BytesIO()
    plain.info = {name: value for name, value in plain.info.items() if name == "transparency"}
    plain.save(target, kind, **_OPTIONS[kind])
    return target.getvalue()


def _store(path: Path, content: bytes) -> None:
    """Write the file at once or not at all; one that is there already has the same content, and is young again."""
    try:
        os.utime(path)
        return
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    aside = _beside(path)
    try:
        with aside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    # Else the database may know, after the power failed, of a file whose name is lost.
    for folder in path.parents[:3]:
        sync(folder)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name[:64]}.{secrets.token_hex(8)}")
