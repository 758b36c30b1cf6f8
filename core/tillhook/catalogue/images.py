"""Pictures of products: checked by decoding them, kept by their content's hash below the data folder.

What is stored is our own encoding of the first frame: no metadata (a photo says where it was taken), nothing
behind the picture's end, nothing that is not a picture. The same picture is the same file.
"""

import hashlib
import io
import os
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

from PIL import Image, ImageOps, UnidentifiedImageError
from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.access import audit
from tillhook.catalogue.answers import ImageOut
from tillhook.catalogue.products import editable
from tillhook.errors import Conflict, NotFound, ValidationFailed
from tillhook.products.models import Product, ProductImage
from tillhook.products.search import get_product, visible_to
from tillhook.runtime import actor_of, runtime_of

MAX_BYTES = 10 * 1024 * 1024
#: A hundred bytes of PNG may unpack to gigabytes; this is asked before anything is unpacked.
MAX_PIXELS = 40_000_000
MAX_PER_PRODUCT = 50
_FORMATS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 90, "optimize": True},
    "PNG": {"optimize": True},
    "WEBP": {"quality": 90, "method": 4},
}


def add_image(session: Session, product_id: int, stream: IO[bytes], position: int | None = None) -> ProductImage:
    """Store a picture and put it among the product's pictures.

    Args:
        position: From 1; at the end when left out. The pictures from there on move one further.

    Raises:
        NotFound, PermissionDenied: As for changing the product.
        ValidationFailed: 422 naming ``file``: too large, or no JPEG, PNG or WebP.
        Conflict: 409 ``too-many-images``.
    """
    product = editable(session, product_id)
    images = list_images(session, product)
    if len(images) >= MAX_PER_PRODUCT:
        raise Conflict(f"A product has at most {MAX_PER_PRODUCT} pictures.", code="too-many-images")
    content, content_type, (width, height) = reencode(stream)
    digest = hashlib.sha256(content).hexdigest()
    known = next((image for image in images if image.sha256 == digest), None)
    if known is not None:
        return known
    store(path_of(runtime_of(session).settings.data_dir, digest), content)
    place = len(images) + 1 if position is None else min(position, len(images) + 1)
    for image in images[place - 1 :]:
        image.position += 1
    image = ProductImage(
        product_id=product.id,
        position=place,
        sha256=digest,
        content_type=content_type,
        size=len(content),
        width=width,
        height=height,
    )
    session.add(image)
    session.flush()
    audit(session, "create", "product_image", image.id, after={"product_id": product.id, **ImageOut.of(image)})
    return image


def list_images(session: Session, product: Product) -> list[ProductImage]:
    """Return the product's pictures in their order."""
    query = select(ProductImage).where(ProductImage.product_id == product.id)
    return list(session.scalars(query.order_by(ProductImage.position, ProductImage.id)))


def order_images(session: Session, product_id: int, ids: Sequence[int]) -> list[ProductImage]:
    """Put the product's pictures in this order; the first is the main one.

    Raises:
        NotFound, PermissionDenied: As for changing the product.
        ValidationFailed: 422 ``not-all-images`` naming ``ids``: not each of its pictures exactly once.
    """
    product = editable(session, product_id)
    images = list_images(session, product)
    known = {image.id: image for image in images}
    if sorted(ids) != sorted(known):
        message = f"Name each picture of the product exactly once: {', '.join(map(str, known)) or 'it has none'}."
        raise ValidationFailed.at("ids", message, code="not-all-images")
    return _reorder(session, product, images, [known[key] for key in ids])


def move_image(session: Session, product_id: int, image_id: int, position: int) -> ProductImage:
    """Put one picture at a position from 1; the others keep their order, and beyond the last is the last.

    Raises:
        NotFound, PermissionDenied: As for changing the product; also no such picture of it.
    """
    product = editable(session, product_id)
    images = list_images(session, product)
    image = _find(images, image_id)
    others = [each for each in images if each is not image]
    _reorder(session, product, images, [*others[: position - 1], image, *others[position - 1 :]])
    return image


def remove_image(session: Session, product_id: int, image_id: int) -> None:
    """Take a picture from a product. Its file stays: a rollback must find it, and others may show it.

    Raises:
        NotFound, PermissionDenied: As for changing the product; also no such picture of it.
    """
    product = editable(session, product_id)
    images = list_images(session, product)
    image = _find(images, image_id)
    audit(session, "delete", "product_image", image.id, before={"product_id": product.id, **ImageOut.of(image)})
    session.delete(image)
    for later in images[images.index(image) + 1 :]:
        later.position -= 1
    session.flush()


def _find(images: Iterable[ProductImage], image_id: int) -> ProductImage:
    image = next((each for each in images if each.id == image_id), None)
    if image is None:
        raise NotFound(f"This product has no picture {image_id}.")
    return image


def _reorder(
    session: Session, product: Product, before: list[ProductImage], after: list[ProductImage]
) -> list[ProductImage]:
    for position, image in enumerate(after, start=1):
        image.position = position
    session.flush()
    old, new = ([image.id for image in images] for images in (before, after))
    if old != new:
        audit(session, "update", "product", product.id, {"images": old}, {"images": new})
    return after


def find_image(session: Session, sha256: str) -> tuple[Path, str, bool]:
    """Return the file of a picture, its content type, and whether it is of a published product.

    Raises:
        NotFound: 404: no such picture, or none that the actor may see.
    """
    query = select(ProductImage.content_type).join(Product).where(ProductImage.sha256 == sha256).limit(1)
    content_type, is_public = session.scalar(query.where(Product.status == "published")), True
    actor = actor_of(session)
    if content_type is None and actor.can("catalogue:product:read"):
        content_type, is_public = session.scalar(query.where(visible_to(actor))), False
    path = path_of(runtime_of(session).settings.data_dir, sha256)
    if content_type is None or not path.is_file():
        raise NotFound("There is no such picture.")
    return path, content_type, is_public


def product_images(session: Session, product_id: int) -> list[ProductImage]:
    """Return the pictures of a product that the actor may see; 404 otherwise."""
    return list_images(session, get_product(session, product_id))


def reencode(stream: IO[bytes]) -> tuple[bytes, str, tuple[int, int]]:
    """Return our encoding of the picture, its content type, and its width and height in pixels.

    Raises:
        ValidationFailed: 422 naming ``file``.
    """
    raw = stream.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ValidationFailed.at("file", f"Larger than {MAX_BYTES // 1024 // 1024} MiB.", code="image-too-large")
    try:
        with Image.open(io.BytesIO(raw), formats=list(_FORMATS)) as image:
            kind = image.format or ""
            if image.width * image.height > MAX_PIXELS:
                raise ValidationFailed.at("file", f"More than {MAX_PIXELS:,} pixels.", code="image-too-large")
            image.load()
            upright = ImageOps.exif_transpose(image)
            return _encoded(upright, kind), _FORMATS[kind], upright.size
    except UnidentifiedImageError as error:
        raise ValidationFailed.at("file", "Not a JPEG, PNG or WebP picture.", code="not-an-image") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValidationFailed.at("file", f"More than {MAX_PIXELS:,} pixels.", code="image-too-large") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ValidationFailed.at("file", "The picture is damaged.", code="not-an-image") from error


def path_of(data_dir: Path, sha256: str) -> Path:
    """Return where a picture is kept; two levels of folders keep each one small."""
    return data_dir / "images" / sha256[:2] / sha256[2:4] / sha256


def store(path: Path, content: bytes) -> None:
    """Write the file at once or not at all; one that is there already has the same content."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with aside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _encoded(image: Image.Image, kind: str) -> bytes:
    plain = image
    if kind == "JPEG" and image.mode not in ("L", "RGB"):
        plain = image.convert("RGB")  # CMYK of a print shop: browsers show it wrongly
    elif kind != "JPEG" and image.mode not in ("L", "LA", "P", "RGB", "RGBA"):
        plain = image.convert("RGBA")
    target = io.BytesIO()
    plain.info = {name: value for name, value in plain.info.items() if name == "transparency"}
    plain.save(target, kind, **_OPTIONS[kind])
    return target.getvalue()
