"""The plugin keeps to what every plugin must keep to."""

from tillhook.testing.contract import PluginContract


class TestContract(PluginContract):
    plugin = "pos"
