"""The counter's settings."""

from tillhook.hooks import SettingDeclaration

SETTINGS: tuple[SettingDeclaration, ...] = ()
