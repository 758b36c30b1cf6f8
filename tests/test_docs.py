"""The pages in docs/ and the READMEs: their snippets are files that are tested, and their links lead somewhere."""

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "writing-a-plugin.md"
_FENCE = re.compile(r"^```(\w*) ?([^\n]*)\n(.*?)^```$", re.M | re.S)
_IMPORT = re.compile(r"^\s*from (tillhook(?:\.\w+)*) import (?:\(([^)]*)\)|([^\n#]*))", re.M)
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Snippet:
    """A fenced block; ``info`` is what follows the language, such as ``file=README.md``."""

    page: Path
    info: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}: {self.info} {self.text[:20]!r}"


def pages() -> list[Path]:
    places = ("*.md", "core/*.md", "libs/*/*.md", "plugins/*/*.md", "examples/*/*.md", "docs/**/*.md")
    return sorted(page for place in places for page in ROOT.glob(place))


def snippets() -> Iterator[Snippet]:
    for page in pages():
        for _, info, text in _FENCE.findall(page.read_text(encoding="utf-8")):
            yield Snippet(page, info, text)


@pytest.mark.parametrize("snippet", [each for each in snippets() if each.info.startswith("file=")], ids=str)
def test_a_snippet_is_in_the_file_that_it_names(snippet):
    file = ROOT / snippet.info.removeprefix("file=")
    assert snippet.text in file.read_text(encoding="utf-8"), f"{snippet.page}: not in {file}"


def test_the_guide_shows_the_whole_example():
    shown = "".join(each.text for each in snippets() if each.page == GUIDE)
    source = (ROOT / "examples/telesales/tillhook_telesales/hooks.py").read_text(encoding="utf-8")
    lines = source.splitlines()[1:]  # the docstring
    assert [line for line in lines if line and line not in shown] == []


def imported() -> Iterator[tuple[str, str, str]]:
    """Yield where, module and name of each import from the core in the pages' snippets and the examples' files."""
    sources = [(str(each), each.text) for each in snippets()]
    sources += [(str(path), path.read_text(encoding="utf-8")) for path in sorted(ROOT.glob("examples/**/*.py"))]
    for where, source in sources:
        for module, several, one in _IMPORT.findall(source):
            for name in (several or one).split(","):
                if name.strip():
                    yield where, module, name.split(" as ")[0].strip()


def test_what_pages_and_examples_import_is_public():
    found = set(imported())
    assert {"hookimpl", "Channel", "post_sale", "PluginContract"} <= {name for _, _, name in found}
    assert [each for each in found if each[2] not in getattr(importlib.import_module(each[1]), "__all__", ())] == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    broken = []
    for target in _LINK.findall(text):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            broken.append(target)
    assert broken == []


def _anchors(file: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_page_can_be_reached():
    linked = {(page.parent / target.partition("#")[0]).resolve() for page in pages() for target in _links(page)}
    assert [str(page) for page in ROOT.glob("docs/**/*.md") if page.resolve() not in linked] == []


def _links(page: Path) -> list[str]:
    return [target for target in _LINK.findall(page.read_text(encoding="utf-8")) if "://" not in target]


def test_the_guides_tables_and_revision(databases, engine_name, tmp_path):
    """Follow the page: write its files over a copy of the example, and run its commands."""
    shutil.copytree(ROOT / "examples/telesales/tillhook_telesales", tmp_path / "tillhook_telesales")
    parts = {each.info: each.text for each in snippets() if each.page == GUIDE and each.info.startswith("scratch=")}
    commands = parts.pop("scratch=commands")
    for info, text in parts.items():
        (tmp_path / info.removeprefix("scratch=")).write_text(text, encoding="utf-8")
    with databases.empty(engine_name) as url:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TILLHOOK_")},
            "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)]),
            "TILLHOOK_DATABASE_URL": url,
            "TILLHOOK_DATA_DIR": str(tmp_path / "data"),
            "TILLHOOK_MODULES": "telesales",
        }
        tillhook = f'tillhook() {{ {shlex.quote(sys.executable)} -m tillhook "$@"; }}'
        run = subprocess.run(
            ["sh", "-ec", f"{tillhook}\n{commands}"], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
    assert run.returncode == 0, run.stdout + run.stderr
    (revision,) = (tmp_path / "tillhook_telesales/migrations").glob("0001_*.py")
    assert "telesales_callback" in revision.read_text(encoding="utf-8")
    assert re.search(r"^telesales +0001 +0001$", run.stdout, re.M), run.stdout
    assert "The tables are as the code wants them." in run.stdout
