"""Pictures of products."""

import errno
import hashlib
import io
import os
import random
import subprocess
import sys
import time
import zlib

import pytest
from PIL import Image

from tillhook.catalogue import pictures, routes
from tillhook.db import RetryTransaction
from tillhook.errors import Busy, ValidationFailed
from tillhook.testing.concurrency import many_at_once


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


@pytest.mark.parametrize("side", [4_001, 10_000, 60_000])
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


def two_lenses():
    """What a telephone with two lenses makes: a JPEG, with another one behind it."""
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(file, "MPO", save_all=True, append_images=[Image.new("RGB", (40, 30))])
    return file.getvalue()


def test_a_telephones_picture_is_a_jpeg(client, upload, make):
    image = upload(f"/api/products/{make.product().id}/images", two_lenses()).json
    assert (image["content_type"], image["width"], image["height"]) == ("image/jpeg", 40, 30)
    with Image.open(io.BytesIO(client.get(image["url"]).content)) as stored:
        assert (stored.format, stored.getpixel((0, 0))[0] > 250) == ("JPEG", True)


def chunk(kind, content):
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def seeds():
    """Pictures of each kind, and such with bombs in their chunks."""
    shade = Image.linear_gradient("L").resize((60, 40))
    plain = Image.merge("RGB", [shade, shade.transpose(0), shade.transpose(1)])
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A camera"
    frames = {"save_all": True, "append_images": [plain.transpose(0)] * 3}
    found = [two_lenses()]
    for image, kind, options in (
        (plain, "JPEG", {"exif": exif, "progressive": True}),
        (plain.convert("CMYK"), "JPEG", {}),
        (plain, "PNG", {"exif": exif, **frames}),
        (plain.convert("P"), "PNG", {"transparency": 3}),
        (Image.frombytes("I;16", (60, 40), bytes(range(160)) * 30), "PNG", {}),
        (plain, "WEBP", {"exif": exif}),
        (plain.convert("RGBA"), "WEBP", {"lossless": True, **frames}),
    ):
        file = io.BytesIO()
        image.save(file, kind, **options)
        found.append(file.getvalue())
    bomb = zlib.compress(bytes(20_000_000))
    for kind, head in ((b"zTXt", b"a\0\0"), (b"iCCP", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0")):
        found.append(found[3][:33] + chunk(kind, head + bomb) + found[3][33:])
    return found


def damaged(chance, raw):
    """Change, cut out, double or drop some of a picture's bytes, mostly at its beginning."""
    raw = bytearray(raw)
    for _ in range(chance.choice([1, 1, 2, 5, 30])):
        place = chance.randrange(min(len(raw), 200) if chance.random() < 0.6 else len(raw))
        count = chance.randrange(1, 20)
        match chance.randrange(5):
            case 0:
                raw[place] = chance.randrange(256)
            case 1:
                del raw[place + 10 :]
            case 2:
                del raw[place + 10 : place + 10 + count]
            case 3:
                raw[place:place] = chance.randbytes(count)
            case _:
                raw[place : place + 4] = chance.choice([b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff"])
    return bytes(raw)


def test_whatever_is_damaged_is_refused_and_nothing_else_happens(tmp_path):
    chance, taken = random.Random(10), 0
    originals = seeds()
    for number in range(600):
        raw = originals[number] if number < len(originals) else damaged(chance, chance.choice(originals))
        try:
            picture = pictures.take_picture(tmp_path, io.BytesIO(raw))
        except ValidationFailed as error:
            assert error.errors[0]["field"] == "file"
        else:
            taken += 1
            assert pictures.path_of(tmp_path, picture.sha256).is_file()
    assert 20 < taken < 500


#: Takes the picture in the file that is named, and prints how many MiB the process has needed besides what it is.
MEASURE = """
import resource, sys
from pathlib import Path
from PIL import Image
from tillhook.catalogue.pictures import take_picture
Image.init()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with open(sys.argv[1], "rb") as file:
    take_picture(Path(sys.argv[2]), file)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_the_largest_picture_takes_bounded_memory(tmp_path):
    # The dearest kind: its decoder and its encoder both hold several copies.
    exif = Image.Exif()
    exif[0x0112] = 6
    largest = Image.new("RGBA", (4000, 4000), (1, 2, 3, 4))
    largest.save(tmp_path / "file", "WEBP", lossless=True, method=0, quality=0, exif=exif)
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "file"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 500


def test_one_picture_at_a_time_and_who_waits_too_long_is_told(tmp_path):
    with pictures._decoding, pytest.raises(Busy) as refused:
        pictures.take_picture(tmp_path, io.BytesIO(picture()), wait_s=0.01)
    assert refused.value.extra["retry_after_s"]
    assert pictures.take_picture(tmp_path, io.BytesIO(picture())).width == 4


def test_a_full_disk_is_told_and_leaves_nothing(client, upload, make, settings, monkeypatch):
    path = f"/api/products/{make.product().id}/images"

    def full(number):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(pictures.os, "fsync", full)
        answer = upload(path, picture())
    assert (answer.status_code, answer.json["code"]) == (507, "storage-full")
    assert not [each for each in (settings.data_dir / "images").rglob("*") if each.is_file()]
    assert client.get(path).json["items"] == []
    assert upload(path, picture()).status_code == 201


def test_many_at_once_to_one_product(client, upload, make):
    product = make.product()
    path = f"/api/products/{product.id}/images"
    images = [picture(size=(600, 500 + number)) for number in range(16)]
    began = time.monotonic()
    answers = many_at_once(16, lambda number: upload(path, images[number]))
    assert [answer.status_code for answer in answers] == [201] * 16
    assert time.monotonic() - began < 10
    assert [each["position"] for each in client.get(path).json["items"]] == list(range(1, 17))


def test_who_may_not_add_it_is_told_before_it_is_decoded(upload, make):
    path = f"/api/products/{make.product().id}/images"
    assert upload("/api/products/999999/images", b"no picture").status_code == 404
    assert upload(path, b"no picture", as_="supplier").status_code == 403


def test_a_picture_is_decoded_once_whatever_the_number_of_attempts(upload, make, monkeypatch):
    decoded, added, take, add = [], [], routes.take_picture, routes.add_image

    def add_image(*arguments):
        added.append(arguments)
        if len(added) < 3:
            raise RetryTransaction
        return add(*arguments)

    monkeypatch.setattr(routes, "take_picture", lambda *arguments: decoded.append(arguments) or take(*arguments))
    monkeypatch.setattr(routes, "add_image", add_image)
    assert upload(f"/api/products/{make.product().id}/images", picture()).status_code == 201
    assert (len(decoded), len(added)) == (1, 3)


class TestFilesThatNobodyShows:
    @pytest.fixture
    def path(self, make):
        return f"/api/products/{make.product().id}/images"

    @pytest.fixture
    def run(self, runtime, worker):
        def run():
            from tillhook.server.jobs import plan_jobs, run_job

            job = runtime.registry.jobs["catalogue.pictures"]
            with runtime.unit_of_work() as session:
                plan_jobs(session, runtime.registry.jobs)
            assert run_job(runtime, job, "test", early=True)

        return run

    def file_of(self, settings, image):
        return pictures.path_of(settings.data_dir, image["sha256"])

    def age(self, file, seconds=2 * pictures.GRACE_S):
        os.utime(file, (time.time() - seconds, time.time() - seconds))

    def test_are_collected_after_a_day(self, client, upload, path, settings, run):
        shown, gone, young = (upload(path, picture(colour=colour)).json for colour in ("red", "blue", "green"))
        for image in (gone, young):
            client.delete(f"{path}/{image['id']}")
        files = [self.file_of(settings, image) for image in (shown, gone, young)]
        half = files[0].with_name(f".{files[0].name}.half")
        half.write_bytes(b"a process died while it wrote this")
        for file in (files[0], files[1], half):
            self.age(file)
        run()
        assert [file.is_file() for file in (*files, half)] == [True, False, True, False]
        assert client.get(shown["url"]).status_code == 200

    def test_stay_when_somebody_sends_them_again(self, client, upload, path, settings, run):
        image = upload(path, picture()).json
        client.delete(f"{path}/{image['id']}")
        self.age(self.file_of(settings, image))
        # Written again, and not yet committed.
        pictures.take_picture(settings.data_dir, io.BytesIO(picture()))
        run()
        assert self.file_of(settings, image).is_file()

    def test_stay_when_they_are_sent_while_the_job_decides(self, upload, path, settings, monkeypatch):
        file = self.file_of(settings, upload(path, picture()).json)
        self.age(file)
        until, rename = time.time() - pictures.GRACE_S, type(file).rename

        def sent_first(self, target):
            os.utime(self)
            return rename(self, target)

        with monkeypatch.context() as patched:
            patched.setattr(type(file), "rename", sent_first)
            assert not pictures._delete(file, until)
        assert file.is_file()
