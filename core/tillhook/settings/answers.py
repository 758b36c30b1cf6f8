"""What the settings' routes answer with."""

from tillhook.http import Answer, out
from tillhook.reference.values import to_json

_TYPES = {bool: "boolean", int: "integer", str: "text"}


class SettingOut(Answer):
    """One setting; a decimal is sent as a string."""

    key = out.Text()
    title = out.Text()
    type = out.Text(lambda declared: _TYPES.get(declared.type, "decimal"), choices=(*_TYPES.values(), "decimal"))
    value = out.Json(allow_none=True)
    default = out.Json(lambda declared: to_json(declared.default), allow_none=True)
    choices = out.Many(
        out.Json(),
        lambda declared: None if declared.choices is None else map(to_json, declared.choices),
        allow_none=True,
    )


class SettingsOut(Answer):
    """Every setting, by key."""

    items = out.Many(SettingOut)
