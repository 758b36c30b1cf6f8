"""What the tests share that cross distributions."""

import io
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Distribution:
    """One distribution of this repository.

    ``plugin`` is the name of its entry point, empty for the core and for libraries; ``requires`` what it depends on.
    """

    folder: Path
    name: str
    plugin: str = ""
    requires: frozenset[str] = frozenset()

    @property
    def is_library(self) -> bool:
        return self.folder.parent.name == "libs"

    @property
    def package(self) -> Path:
        return self.folder / self.name.replace("-", "_")


def find_distributions() -> list[Distribution]:
    """Return the core, then every library, plugin and example."""
    found = []
    for pattern in ("core", "libs/*", "plugins/*", "examples/*"):
        for file in sorted(ROOT.glob(f"{pattern}/pyproject.toml")):
            project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
            (plugin,) = project.get("entry-points", {}).get("tillhook.plugins", {}) or ("",)
            requires = frozenset(re.split(r"[^\w-]", each)[0] for each in project["dependencies"])
            found.append(Distribution(file.parent, project["name"], plugin, requires))
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes a ``distribution``, a ``library`` or a ``plugin`` once for each.

    ``installed`` is the names of the plugins that are installed beside the core: none, each alone, all.
    """
    every = find_distributions()
    if "distribution" in metafunc.fixturenames:
        metafunc.parametrize("distribution", every, ids=lambda each: each.name)
    if "library" in metafunc.fixturenames:
        metafunc.parametrize("library", [each for each in every if each.is_library], ids=lambda each: each.name)
    if "plugin" in metafunc.fixturenames:
        plugins = [each for each in every if each.plugin]
        metafunc.parametrize("plugin", plugins, ids=lambda each: each.plugin)
    if "installed" in metafunc.fixturenames:
        names = [each.plugin for each in every if each.plugin]
        sets = dict.fromkeys([(), *((name,) for name in names), tuple(names)])
        metafunc.parametrize("installed", sets, ids=lambda names: "+".join(names) or "core")


@pytest.fixture(scope="session")
def distributions() -> list[Distribution]:
    return find_distributions()


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory, distributions: list[Distribution]) -> dict[str, Path]:
    """The wheel of each distribution, by name; built from a copy, so that nothing is left in the checkout.

    Tests with it share an ``xdist_group``, so that they are built once.
    """
    folder = tmp_path_factory.mktemp("wheels")
    junk = shutil.ignore_patterns("*.egg-info", "__pycache__", "build", "dist", "tests")
    built = {}
    for each in distributions:
        source = shutil.copytree(each.folder, folder / "source" / each.name, ignore=junk)
        target = folder / each.name
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
        options = ["--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", str(target)]
        run = subprocess.run([*command, *options, str(source)], capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr
        (built[each.name],) = target.glob("*.whl")
    return built


@pytest.fixture
def add_picture(client):
    """``add_picture(product)`` uploads a picture of it and returns its key."""

    def add(product):
        file = io.BytesIO()
        Image.new("RGB", (2, 2)).save(file, "PNG")
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="x.png"\r\n\r\n'
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        body = head + file.getvalue() + b"\r\n--x--\r\n"
        return client.request("POST", f"/api/products/{product.id}/images", body=body, headers=headers).json["id"]

    return add
