"""Ratchets: no hook without its documentation, no page that differs from the code."""

import inspect
import re
from pathlib import Path

import pytest

from tillhook.config import settings_page
from tillhook.hooks import specs
from tillhook.hooks.docs import FAMILIES, family_of, hooks_of, hooks_page
from tillhook.server.building import SPECS

HOOKS = [hook for module in SPECS for hook in hooks_of(module)]
DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("spec", HOOKS, ids=lambda spec: spec.__name__)
def test_every_hook_says_what_when_and_since(spec):
    text = inspect.getdoc(spec) or ""
    summary = text.partition("\n")[0]
    assert summary.endswith(".")
    assert "\nCalled: " in text
    assert "\nSince: " in text


@pytest.mark.parametrize("spec", HOOKS, ids=lambda spec: spec.__name__)
def test_every_hook_belongs_to_a_family(spec):
    family = family_of(spec.__name__)
    assert bool(spec.tillhook_spec["firstresult"]) == (family == "resolve_<thing>")


def test_a_hook_of_no_family_is_refused():
    with pytest.raises(ValueError, match="sell_things is of no family: register_<things>, "):
        family_of("sell_things")


def test_page_specification_and_guide_name_the_same_families():
    page, guide = (DOCS / "hooks.md").read_text(), (DOCS / "writing-a-plugin.md").read_text()
    introduction = " ".join((specs.__doc__ or "").split())
    assert re.findall(r"^## \w+: `(.*)`$", page, re.M) == list(FAMILIES)
    assert re.findall(r"^\| `(.*?)` \|", guide, re.M) == list(FAMILIES)
    assert {family_of(spec.__name__) for spec in HOOKS} == set(FAMILIES)
    for family in FAMILIES:
        assert f"``{family}``" in introduction
    assert "five families" in guide and "Five families." in introduction


def test_the_page_of_hooks_is_up_to_date():
    assert (DOCS / "hooks.md").read_text() == hooks_page(SPECS), "run: bin/tillhook docs hooks > docs/hooks.md"


def test_the_page_of_settings_is_up_to_date():
    assert (DOCS / "settings.md").read_text() == settings_page(), "run: bin/tillhook docs settings > docs/settings.md"
