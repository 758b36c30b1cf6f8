"""Vouchers keep to what every plugin keeps to."""

from tillhook.testing import PluginContract


class TestContract(PluginContract):
    plugin = "vouchers"
