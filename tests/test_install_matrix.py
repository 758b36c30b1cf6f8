"""Any set of plugins installs, migrates and boots; switching one off keeps what it did."""

import itertools
import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import falcon.testing
import pytest

from tillhook.config import Settings
from tillhook.modules import disable, enable, load_plugins
from tillhook.server.app import create_app
from tillhook.server.building import build_runtime
from tillhook.server.install import install
from tillhook.testing import Client, Tokens

#: What a start does not enable by itself.
OPT_IN = {"telesales"}
# Run in an installation of its own: migrate, boot, and print the paths of the API.
BOOT = """
import json, sys, falcon.testing
from tillhook.config import Settings
from tillhook.server.app import create_app
from tillhook.server.install import install

runtime = install(Settings.from_environment())
answer = falcon.testing.TestClient(create_app(runtime)).simulate_get("/api/openapi.json")
assert answer.status_code == 200, answer.text
print(json.dumps({
    "plugins": [plugin.name for plugin in runtime.plugins],
    "paths": sorted(answer.json["paths"]),
    "from": sys.modules["tillhook"].__file__,
}))
"""


@pytest.fixture(scope="session")
def others(tmp_path_factory):
    """A folder of everything that is installed here and is none of ours."""
    folder = tmp_path_factory.mktemp("others")
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for path in Path(place).iterdir():
            if "tillhook" not in path.name and path.suffix != ".pth":
                (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture(scope="session")
def sites(wheels, tmp_path_factory):
    """A folder for each distribution, in which its wheel is unpacked, so that Python compiles it once."""
    folder = tmp_path_factory.mktemp("sites")
    for name, path in wheels.items():
        with zipfile.ZipFile(path) as wheel:
            wheel.extractall(folder / name)
    return folder


@pytest.fixture
def run_installed(sites, others, distributions, tmp_path):
    """Run Python where the core, the named plugins and what they need are installed from their wheels."""

    def run(names, url, *arguments):
        chosen = [each for each in distributions if each.plugin in names]
        needed = {"tillhook"}.union(*(each.requires for each in chosen))
        path = [str(sites / each.name) for each in distributions if each in chosen or each.name in needed]
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TILLHOOK_")},
            "PYTHONPATH": os.pathsep.join([*path, str(others)]),
            "TILLHOOK_DATABASE_URL": url,
            "TILLHOOK_DATA_DIR": str(tmp_path / "data"),
        }
        # -S leaves out this environment's own packages, among them the editable checkout.
        command = [sys.executable, "-S", *arguments]
        result = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    return run


# What differs by engine are the revisions, which go through every subset on both below.
@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.xdist_group("wheels")
def test_what_is_installed_migrates_and_boots(databases, engine_name, run_installed, sites, installed):
    with databases.empty(engine_name) as url:
        for name in OPT_IN.intersection(installed):
            run_installed(installed, url, "-m", "tillhook", "migrate")
            run_installed(installed, url, "-m", "tillhook", "modules", "enable", name)
        found = json.loads(run_installed(installed, url, "-c", BOOT).splitlines()[-1])  # after the log
        listed = run_installed(installed, url, "-m", "tillhook", "modules", "list")
        run_installed(installed, url, "-m", "tillhook", "db", "check")
    assert found["plugins"] == sorted(installed)
    assert found["from"].startswith(str(sites / "tillhook"))
    assert "/api/sales" in found["paths"]
    assert [line.split()[0] for line in listed.splitlines()[1:]] == sorted(installed)


def boot(settings):
    """Migrate and start in this process; return the names of the plugins and the paths of the API."""
    runtime = install(settings)
    try:
        answer = falcon.testing.TestClient(create_app(runtime)).simulate_get("/api/openapi.json")
        assert answer.status_code == 200, answer.text
        return [plugin.name for plugin in runtime.plugins], set(answer.json["paths"])
    finally:
        runtime.dispose()


@pytest.fixture
def subsets(distributions):
    """Every set of plugins, the empty one first."""
    names = [each.plugin for each in distributions if each.plugin]
    return [subset for size in range(len(names) + 1) for subset in itertools.combinations(names, size)]


@pytest.mark.slow
def test_the_variable_chooses_any_subset(databases, engine_name, tmp_path, subsets):
    if engine_name == "postgresql":
        subsets = [subsets[0], subsets[-1]]  # what differs between engines is not which plugins there are
    core = None
    for names in subsets:
        with databases.empty(engine_name) as url:
            settings = Settings(data_dir=tmp_path, database_url=url, secret="s" * 32, modules=names)
            plugins, paths = boot(settings)
            assert plugins == sorted(names)
            core = core or paths
            assert paths >= core
            assert boot(settings) == (plugins, paths)


@pytest.mark.slow
def test_one_database_goes_through_every_subset(databases, engine_name, tmp_path, subsets):
    with databases.empty(engine_name) as url:
        for names in [*subsets, *reversed(subsets)]:
            settings = Settings(data_dir=tmp_path, database_url=url, secret="s" * 32, modules=names)
            assert boot(settings)[0] == sorted(names)


def test_disabling_keeps_what_a_plugin_did(databases, engine_name, tmp_path):
    with databases.copy(engine_name, ("pos",)) as url:
        settings = Settings(data_dir=tmp_path, database_url=url, secret="s" * 32)

        def start():
            runtime = build_runtime(settings)
            return runtime, Client(create_app(runtime), Tokens(runtime))

        def switch(change):
            runtime, _ = start()
            with runtime.unit_of_work() as session:
                change(session)
            runtime.dispose()

        runtime, client = start()
        warehouse = client.get("/api/warehouses").json["items"][0]["id"]
        tea = {"name": "Tea", "sku": "TEA", "price": "2", "barcodes": ["4006381333931"]}
        product = client.post("/api/products", tea)
        lines = [{"product_id": product.json["id"], "quantity": 5}]
        assert client.post("/api/inventory/receipts", {"warehouse": warehouse, "lines": lines}).status_code == 201
        sold = client.post("/api/pos/sell/4006381333931", {"warehouse": warehouse})
        assert sold.status_code == 201, sold.text
        runtime.dispose()

        switch(lambda session: disable(session, "pos"))
        runtime, client = start()
        assert client.get("/api/pos/scan/4006381333931").status_code == 404
        assert client.get(f"/api/sales/{sold.json['id']}").json["sale_number"] == sold.json["sale_number"]
        again = {"channel": "pos", "warehouse": warehouse, "payment_method": "cash", "items": lines}
        refused = client.post("/api/sales", again)
        assert (refused.status_code, refused.json["code"]) == (422, "unknown-channel")
        runtime.dispose()

        (plugin,), _ = load_plugins(["pos"])
        switch(lambda session: enable(session, plugin))
        runtime, client = start()
        assert client.get(f"/api/pos/scan/4006381333931?warehouse={warehouse}").json["stock"] == "4"
        assert client.get(f"/api/sales/{sold.json['id']}").json == sold.json
        runtime.dispose()
