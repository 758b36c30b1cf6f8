"""Ratchets: no hook without its documentation, no page that differs from the code."""

import inspect
from pathlib import Path

import pytest

from tillhook.config import settings_page
from tillhook.hooks.docs import hooks_of, hooks_page
from tillhook.server.building import SPECS

HOOKS = [hook for module in SPECS for hook in hooks_of(module)]
DOCS = Path(__file__).parents[3] / "docs"
FAMILIES = ("register_", "validate_", "resolve_")


@pytest.mark.parametrize("spec", HOOKS, ids=lambda spec: spec.__name__)
def test_every_hook_says_what_when_and_since(spec):
    text = inspect.getdoc(spec) or ""
    summary = text.partition("\n")[0]
    assert summary.endswith(".")
    assert "\nCalled: " in text
    assert "\nSince: " in text


@pytest.mark.parametrize("spec", HOOKS, ids=lambda spec: spec.__name__)
def test_every_hook_belongs_to_a_family(spec):
    name = spec.__name__
    assert name.startswith(FAMILIES) or name.rpartition("_")[2].endswith(("ed", "writing"))
    assert bool(spec.tillhook_spec["firstresult"]) == name.startswith("resolve_")


def test_the_page_of_hooks_is_up_to_date():
    assert (DOCS / "hooks.md").read_text() == hooks_page(SPECS), "run: bin/tillhook docs hooks > docs/hooks.md"


def test_the_page_of_settings_is_up_to_date():
    assert (DOCS / "settings.md").read_text() == settings_page(), "run: bin/tillhook docs settings > docs/settings.md"
