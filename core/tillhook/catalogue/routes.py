"""The catalogue over HTTP."""

from collections.abc import Sequence
from typing import Any

from tillhook.catalogue import answers, schemas
from tillhook.catalogue.answers import ProductOut, product_answer, product_answers
from tillhook.catalogue.approval import approve, reject, restore
from tillhook.catalogue.commands import NewProduct
from tillhook.catalogue.images import (
    add_image,
    check_image,
    find_image,
    move_image,
    order_images,
    product_images,
    remove_image,
)
from tillhook.catalogue.importing import Import, finish_import, import_products
from tillhook.catalogue.inventory import low_stock, set_product_inventory
from tillhook.catalogue.pictures import MAX_BYTES, Picture, take_picture
from tillhook.catalogue.products import create_product, remove_product, update_product
from tillhook.catalogue.variants import attach_barcode, create_variant, detach_barcode, list_barcodes, update_variant
from tillhook.errors import NotFound
from tillhook.hooks import PUBLIC
from tillhook.http import Call, Preparation, Reply, Routes, page, page_of
from tillhook.products.models import Product
from tillhook.products.search import get_product, product_query

#: Room for the form around the picture.
_FORM = 64 * 1024
_A_YEAR_S = 31_536_000
_ORDERING = {
    "name": Product.name,
    "price": Product.price,
    "created_at": Product.created_at,
    "sku": Product.sku,
    "id": Product.id,
}
_ONE = "/products/{product_id:int}"
_READ, _UPDATE = "catalogue:product:read", "catalogue:product:update"

routes = Routes()


@routes.get("/products", permission=_READ, query=schemas.ProductQuery, answer=page_of(ProductOut))
def list_products(call: Call) -> dict[str, Any]:
    """List the products that match; a category takes in those below it."""
    query = call.query
    filters = {name: query[name] for name in ("search", "category", "status", "barcode", "sku", "tracked")}
    statement = product_query(call.actor, **filters)
    products, cursor = page(call.session, statement, ordering=_ORDERING, query=query)
    return _listed(call, products, cursor)


@routes.post(
    "/products",
    permission="catalogue:product:create",
    body=schemas.ProductIn,
    answer=ProductOut,
    status=201,
    problems=(409,),
)
def post_product(call: Call) -> dict[str, Any]:
    """Create a product: published if the actor may approve products, else pending."""
    command: NewProduct = call.body
    return product_answer(call.session, create_product(call.session, command))


@routes.get(_ONE, permission=_READ, answer=ProductOut)
def read_product(call: Call, product_id: int) -> dict[str, Any]:
    """Read a product."""
    return product_answer(call.session, get_product(call.session, product_id))


@routes.put(_ONE, permission=_UPDATE, body=schemas.ProductPut, answer=ProductOut, problems=(409,))
def put_product(call: Call, product_id: int) -> dict[str, Any]:
    """Replace a product's fields; what is left out goes back to its default."""
    changes = dict(call.body)
    if "cost_price" not in changes and call.actor.can("catalogue:cost:read"):
        changes["cost_price"] = None  # who cannot see a cost does not erase it by leaving it out
    return product_answer(call.session, update_product(call.session, product_id, changes))


@routes.patch(_ONE, permission=_UPDATE, body=schemas.ProductPatch, answer=ProductOut, problems=(409,))
def patch_product(call: Call, product_id: int) -> dict[str, Any]:
    """Change some of a product's fields."""
    return product_answer(call.session, update_product(call.session, product_id, call.body))


@routes.delete(_ONE, permission="catalogue:product:archive", answer=ProductOut, also=(204,), problems=(409,))
def delete_product(call: Call, product_id: int) -> Any:
    """Archive a product with a history, delete one without (204)."""
    product = remove_product(call.session, product_id)
    return None if product is None else product_answer(call.session, product)


@routes.post(_ONE + "/approve", permission="catalogue:product:approve", answer=ProductOut, problems=(409,))
def approve_product(call: Call, product_id: int) -> dict[str, Any]:
    """Publish a pending product."""
    return product_answer(call.session, approve(call.session, product_id))


@routes.post(
    _ONE + "/reject", permission="catalogue:product:approve", body=schemas.RejectIn, answer=ProductOut, problems=(409,)
)
def reject_product(call: Call, product_id: int) -> dict[str, Any]:
    """Reject a pending product."""
    return product_answer(call.session, reject(call.session, product_id, call.body["reason"]))


@routes.post(_ONE + "/restore", permission="catalogue:product:archive", answer=ProductOut, problems=(409,))
def restore_product(call: Call, product_id: int) -> dict[str, Any]:
    """Take a product out of the archive."""
    return product_answer(call.session, restore(call.session, product_id))


@routes.get("/products/low-stock", permission=_READ, query=schemas.LowStockQuery, answer=page_of(ProductOut))
def list_low_stock(call: Call) -> dict[str, Any]:
    """List the products strictly below the threshold, over the actor's warehouses."""
    products, cursor = low_stock(call.session, call.query["threshold"], call.query)
    return _listed(call, products, cursor)


@routes.put(
    _ONE + "/inventory", permission="stock:inventory:set", body=schemas.InventoryIn, answer=ProductOut, problems=(409,)
)
def put_inventory(call: Call, product_id: int) -> dict[str, Any]:
    """Set what is on hand by an adjustment; null stops tracking."""
    product = set_product_inventory(
        call.session,
        product_id,
        call.body["inventory"],
        warehouse_id=call.body["warehouse"],
        variant_id=call.body["variant_id"],
        expected=call.body["expected"],
    )
    return product_answer(call.session, product)


@routes.post(
    _ONE + "/variants",
    permission=_UPDATE,
    body=schemas.VariantIn,
    answer=answers.VariantOut,
    status=201,
    problems=(409,),
)
def post_variant(call: Call, product_id: int) -> dict[str, Any]:
    """Add a variant to a product."""
    variant = create_variant(call.session, product_id, call.body)
    return _variant(call, product_id, variant.id)


@routes.patch(
    _ONE + "/variants/{variant_id:int}",
    permission=_UPDATE,
    body=schemas.VariantPatch,
    answer=answers.VariantOut,
    problems=(409,),
)
def patch_variant(call: Call, product_id: int, variant_id: int) -> dict[str, Any]:
    """Change some of a variant's fields."""
    update_variant(call.session, product_id, variant_id, call.body)
    return _variant(call, product_id, variant_id)


@routes.get(_ONE + "/barcodes", permission=_READ, answer=page_of(answers.BarcodeOut))
def read_barcodes(call: Call, product_id: int) -> dict[str, Any]:
    """List the barcodes of a product's variants."""
    barcodes = list_barcodes(call.session, get_product(call.session, product_id))
    return answers.BarcodeOut.page(barcodes)


@routes.post(
    _ONE + "/barcodes",
    permission=_UPDATE,
    body=schemas.BarcodeIn,
    answer=answers.BarcodeOut,
    status=201,
    problems=(409,),
)
def post_barcode(call: Call, product_id: int) -> dict[str, Any]:
    """Add a barcode to a product or one of its variants."""
    return answers.BarcodeOut.of(attach_barcode(call.session, product_id, **call.body))


@routes.delete(_ONE + "/barcodes/{barcode_id:int}", permission=_UPDATE, status=204, problems=(409,))
def delete_barcode(call: Call, product_id: int, barcode_id: int) -> None:
    """Take a barcode from a product."""
    detach_barcode(call.session, product_id, barcode_id)


def prepare_import(call: Preparation) -> Import:
    """Read, check and write the file, in parts."""
    file = call.upload("file")
    said: dict[str, Any] = {name: call.body[name] or call.query[name] for name in call.body}
    said["warehouse_id"] = said.pop("warehouse")
    return import_products(
        call.runtime,
        file.stream,
        file.filename,
        actor=call.actor,
        request_id=call.request_id,
        replay=call.replay,
        **said,
    )


@routes.post(
    "/products/import",
    permission="catalogue:product:import",
    body=schemas.ImportForm,
    query=schemas.ImportForm,
    answer=answers.ImportOut,
    upload=True,
    prepare=prepare_import,
    lazy=True,  # a dry run writes nothing, and so waits for no writer
    problems=(409, 503, 507),
)
def post_import(call: Call) -> dict[str, Any]:
    """Import products and stock from CSV or XLSX, all rows or none; one file at a time."""
    return answers.ImportOut.of(finish_import(call.session, call.prepared))


def prepare_image(call: Preparation, product_id: int) -> Picture:
    """Decode the picture and write its file."""
    with call.runtime.unit_of_work(call.actor, write=False) as session:
        check_image(session, product_id)
    return take_picture(call.runtime.settings.data_dir, call.upload("file").stream)


@routes.post(
    _ONE + "/images",
    permission=_UPDATE,
    body=schemas.ImageForm,
    answer=answers.ImageOut,
    upload=True,
    prepare=prepare_image,
    status=201,
    max_body=MAX_BYTES + _FORM,
    problems=(409, 503, 507),
)
def post_image(call: Call, product_id: int) -> dict[str, Any]:
    """Upload a picture of a product: JPEG, PNG or WebP, of 16 megapixels at most."""
    return answers.ImageOut.of(add_image(call.session, product_id, call.prepared, call.body["position"]))


@routes.get(_ONE + "/images", permission=_READ, answer=page_of(answers.ImageOut))
def read_images(call: Call, product_id: int) -> dict[str, Any]:
    """List a product's pictures in their order."""
    return answers.ImageOut.page(product_images(call.session, product_id))


@routes.put(
    _ONE + "/images/order",
    permission=_UPDATE,
    body=schemas.ImageOrderIn,
    answer=page_of(answers.ImageOut),
    problems=(409,),
)
def put_image_order(call: Call, product_id: int) -> dict[str, Any]:
    """Put a product's pictures in this order; the first is the main one."""
    return answers.ImageOut.page(order_images(call.session, product_id, call.body["ids"]))


@routes.patch(
    _ONE + "/images/{image_id:int}",
    permission=_UPDATE,
    body=schemas.ImagePatch,
    answer=answers.ImageOut,
    problems=(409,),
)
def patch_image(call: Call, product_id: int, image_id: int) -> dict[str, Any]:
    """Put one picture at another position; the others keep their order."""
    return answers.ImageOut.of(move_image(call.session, product_id, image_id, call.body["position"]))


@routes.delete(_ONE + "/images/{image_id:int}", permission=_UPDATE, status=204, problems=(409,))
def delete_image(call: Call, product_id: int, image_id: int) -> None:
    """Take a picture from a product."""
    remove_image(call.session, product_id, image_id)


@routes.get("/images/{sha256}", permission=PUBLIC, content_types=("image/*",), also=(304,))
def read_image(call: Call, sha256: str) -> Reply:
    """Answer a picture's file; that of a published product to anybody."""
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise NotFound("There is no such picture.")
    path, content_type, is_public = find_image(call.session, sha256)
    headers = {
        "ETag": f'"{sha256}"',
        "Cache-Control": f"{'public' if is_public else 'private'}, max-age={_A_YEAR_S}, immutable",
        "X-Content-Type-Options": "nosniff",
    }
    if f'"{sha256}"' in (call.request.get_header("If-None-Match") or ""):
        return Reply(status=304, headers=headers)
    return Reply(headers=headers, data=path.read_bytes(), content_type=content_type)


def _listed(call: Call, products: Sequence[Product], cursor: str | None) -> dict[str, Any]:
    return {"items": product_answers(call.session, products), "next_cursor": cursor}


def _variant(call: Call, product_id: int, variant_id: int) -> dict[str, Any]:
    answer = product_answer(call.session, get_product(call.session, product_id))
    variant = next(variant for variant in answer["variants"] if variant["id"] == variant_id)
    return {**variant, "product_status": answer["status"]}
