"""Pictures of products."""

import hashlib
import io
import zlib

import pytest
from PIL import Image


def picture(kind="PNG", size=(4, 3), colour="red", **options):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_upload_and_read(client, upload, make, kind):
    product = make.product()
    path = f"/api/products/{product.id}/images"
    made = upload(path, picture(kind) + b"<script>", filename="../../evil.html")
    assert made.status_code == 201, made.text
    image = made.json
    assert (image["content_type"], image["width"], image["height"]) == (f"image/{kind.lower()}", 4, 3)
    read = client.get(image["url"], as_=None)
    assert hashlib.sha256(read.content).hexdigest() == image["sha256"]
    assert read.headers["content-type"] == image["content_type"]
    assert "immutable" in read.headers["cache-control"]
    assert b"<script>" not in read.content
    again = client.get(image["url"], as_=None, headers={"If-None-Match": read.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert [each["id"] for each in client.get(f"/api/products/{product.id}").json["images"]] == [image["id"]]


def test_metadata_is_dropped_and_the_picture_turned_upright(client, upload, make):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A camera"
    product = make.product()
    image = upload(f"/api/products/{product.id}/images", picture("JPEG", exif=exif)).json
    assert (image["width"], image["height"]) == (3, 4)
    with Image.open(io.BytesIO(client.get(image["url"]).content)) as stored:
        assert not stored.getexif()


def test_order_and_removal(client, upload, make):
    product = make.product()
    path = f"/api/products/{product.id}/images"
    red = upload(path, picture(colour="red")).json
    blue = upload(path, picture(colour="blue")).json
    green = upload(path, picture(colour="green"), position="1").json
    assert upload(path, picture(colour="red")).json["id"] == red["id"]
    assert [each["id"] for each in client.get(path).json["items"]] == [green["id"], red["id"], blue["id"]]
    assert client.delete(f"{path}/{red['id']}").status_code == 204
    assert [each["position"] for each in client.get(path).json["items"]] == [1, 2]
    assert client.delete(f"{path}/{red['id']}").status_code == 404
    assert client.get(red["url"]).status_code == 404


class TestOrder:
    @pytest.fixture
    def path(self, make):
        return f"/api/products/{make.product().id}/images"

    @pytest.fixture
    def ids(self, upload, path):
        return [upload(path, picture(colour=colour)).json["id"] for colour in ("red", "green", "blue")]

    def order(self, client, path):
        listed = client.get(path).json["items"]
        assert [each["position"] for each in listed] == [1, 2, 3]
        product = client.get(path.removesuffix("/images")).json
        assert product["images"] == listed
        return [each["id"] for each in listed]

    def test_all_at_once(self, client, path, ids):
        red, green, blue = ids
        answer = client.put(f"{path}/order", {"ids": [blue, red, green]})
        assert [each["id"] for each in answer.json["items"]] == [blue, red, green]
        assert self.order(client, path) == [blue, red, green]

    def test_each_exactly_once(self, client, upload, make, path, ids):
        red, green, blue = ids
        other = upload(f"/api/products/{make.product().id}/images", picture()).json["id"]
        for wrong in ([], [red, green], [red, green, blue, red], [red, red, blue], [red, green, blue, other]):
            refused = client.put(f"{path}/order", {"ids": wrong})
            assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "ids")
        assert self.order(client, path) == ids

    def test_one_at_a_time(self, client, path, ids):
        red, green, blue = ids
        assert client.patch(f"{path}/{blue}", {"position": 1}).json["position"] == 1
        assert self.order(client, path) == [blue, red, green]
        assert client.patch(f"{path}/{blue}", {"position": 99}).json["position"] == 3
        assert self.order(client, path) == ids
        assert client.patch(f"{path}/{red}", {"position": 2}).status_code == 200
        assert self.order(client, path) == [green, red, blue]

    def test_wrong_input(self, client, path, ids):
        for body in ({"position": 0}, {"position": "x"}, {}, {"position": 1, "more": 1}):
            assert client.patch(f"{path}/{ids[0]}", body).status_code == 422
        assert client.patch(f"{path}/999999", {"position": 1}).status_code == 404
        assert client.patch(f"{path}/{ids[0]}", {"position": 1}, as_="cashier").status_code == 403
        assert client.put(f"{path}/order", {"ids": ids}, as_="supplier").status_code == 403


def test_pictures_of_what_is_not_published_are_for_those_who_see_it(client, upload, make):
    product = make.product(as_="supplier")
    image = upload(f"/api/products/{product.id}/images", picture(), as_="supplier").json
    for who, status in ((None, 404), ("cashier", 404), ("supplier", 200), ("admin", 200)):
        assert client.get(image["url"], as_=who).status_code == status
    assert "private" in client.get(image["url"]).headers["cache-control"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "not-an-image"),
        (b"GIF89a", "not-an-image"),
        (picture("GIF"), "not-an-image"),
        (picture()[:50], "not-an-image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not-an-image"),
    ],
)
def test_what_is_no_picture_is_refused(upload, make, content, code):
    answer = upload(f"/api/products/{make.product().id}/images", content)
    assert (answer.status_code, answer.json["code"]) == (422, code)
    assert answer.json["errors"][0]["field"] == "file"


@pytest.mark.parametrize("side", [7_000, 10_000, 60_000])
def test_a_picture_of_too_many_pixels_is_refused(upload, make, side):
    # Only the header is looked at, so nothing needs to be behind it.
    head = b"IHDR" + side.to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"
    chunks = [len(head[4:]).to_bytes(4, "big"), head, zlib.crc32(head).to_bytes(4, "big")]
    data = b"IDAT" + zlib.compress(b"")
    chunks += [len(data[4:]).to_bytes(4, "big"), data, zlib.crc32(data).to_bytes(4, "big")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
    answer = upload(f"/api/products/{make.product().id}/images", content)
    assert (answer.status_code, answer.json["code"]) == (422, "image-too-large")


def test_odd_addresses_of_pictures(client):
    for name in ("x", "0" * 64, "A" * 64, "..%2f..%2fsecret"):
        assert client.get(f"/api/images/{name}").status_code == 404
