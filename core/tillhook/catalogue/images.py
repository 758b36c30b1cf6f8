"""The pictures of products, in their order. Their files are :mod:`tillhook.catalogue.pictures`."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.access import audit
from tillhook.catalogue.answers import ImageOut
from tillhook.catalogue.pictures import Picture, path_of
from tillhook.catalogue.products import editable
from tillhook.catalogue.rules import why_not_editable
from tillhook.errors import Conflict, NotFound, ValidationFailed
from tillhook.products.models import Product, ProductImage
from tillhook.products.search import get_product, visible_to
from tillhook.runtime import actor_of, runtime_of

MAX_PER_PRODUCT = 50


def check_image(session: Session, product_id: int) -> None:
    """Refuse a picture that could not be added, before it is decoded; raises as :func:`add_image`."""
    product = get_product(session, product_id)
    refusal = why_not_editable(actor_of(session), product)
    if refusal is not None:
        raise refusal


def add_image(session: Session, product_id: int, picture: Picture, position: int | None = None) -> ProductImage:
    """Put a picture, whose file is written, among the product's pictures; one that is there already stays as it is.

    Args:
        position: From 1; at the end when left out. The pictures from there on move one further.

    Raises:
        NotFound, PermissionDenied: As for changing the product.
        Conflict: 409 ``too-many-images``.
    """
    product = editable(session, product_id)
    images = list_images(session, product)
    known = next((image for image in images if image.sha256 == picture.sha256), None)
    if known is not None:
        return known
    if len(images) >= MAX_PER_PRODUCT:
        raise Conflict(f"A product has at most {MAX_PER_PRODUCT} pictures.", code="too-many-images")
    place = len(images) + 1 if position is None else min(position, len(images) + 1)
    for image in images[place - 1 :]:
        image.position += 1
    image = ProductImage(
        product_id=product.id,
        position=place,
        sha256=picture.sha256,
        content_type=picture.content_type,
        size=picture.size,
        width=picture.width,
        height=picture.height,
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
    """Take a picture from a product. Its file stays: others may show it, and a job collects what nobody shows.

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
