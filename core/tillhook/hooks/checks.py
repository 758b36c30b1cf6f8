"""What a declaration may be called, and what makes sense in it.

A plugin's things begin with the plugin's name, and nobody else's do. The core's own names are published as they
are. Channels, payment methods and reports have the shop's words for names: they carry nobody's, and are unique.
"""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

from tillhook.errors import nearest
from tillhook.hooks.declarations import SettingDeclaration
from tillhook.hooks.manager import CORE_NAME, PluginError

#: By kind: what may stand between the plugin's name and the rest.
_SEPARATORS = {
    "permission": ":",
    "event": ":.",
    "setting": ".",
    "document_type": ".",
    "job": ".",
    "consumer": ".",
    "role": "-",
}
#: Kinds of which the plugin's name alone is a name too.
_WHOLE = {"role"}
_SETTING_TYPES = (bool, int, str, Decimal)


class Names:
    """The first words of everything declared so far, and whose each is.

    Args:
        event_words: By plugin, what its events may begin with besides its name.
        plugins: The names of those that are there.
    """

    def __init__(self, event_words: Mapping[str, Sequence[str]], plugins: Collection[str] = ()) -> None:
        self._event_words = event_words
        self._present = {*plugins, *(word for plugin in plugins for word in event_words.get(plugin, ()))}
        self._owners: dict[tuple[str, str], str] = {}

    def claim(self, kind: str, name: str, plugin: str) -> None:
        """Note a declaration.

        Raises:
            PluginError: It does not begin with a word of its plugin, or begins with a word of somebody else's.
        """
        if kind not in _SEPARATORS:
            return
        word, rest = _split(kind, name)
        if plugin != CORE_NAME:
            words = (plugin, *(self._event_words.get(plugin, ()) if kind == "event" else ()))
            if word not in words or not (rest or kind in _WHOLE):
                wanted = _beginnings(kind, words)
                raise PluginError(plugin, f"plugin {plugin}: the {kind} {name} must begin with {wanted}")
        owner = self._owners.setdefault((kind, word), plugin)
        if owner != plugin:
            raise PluginError(plugin, f"plugin {plugin}: the {kind} {name} begins with {word}, as those of {owner} do")

    def check_events_of(self, plugin: str, consumer: str, wanted: Collection[str], declared: Collection[str]) -> None:
        """Check what a consumer waits for; an event that begins with nobody's word is of a plugin that is absent.

        Raises:
            PluginError: The first word is somebody's who is there and does not declare this event, or is all there is.
        """
        present = self._present | {word for _, word in self._owners}
        for name in wanted:
            word, rest = _split("event", name)
            if name not in declared and (word in present or not rest):
                waits = f"waits for the event {name}, which nobody declares{nearest(name, declared)}"
                raise PluginError(plugin, f"plugin {plugin}: consumer {consumer} {waits}")


def check_setting(plugin: str, setting: SettingDeclaration) -> None:
    """Check that a setting can be set, and that its default could be.

    Raises:
        PluginError: Says what is wrong with it.
    """
    fault = _type_fault(setting) or _default_fault(setting)
    if fault:
        raise PluginError(plugin, f"plugin {plugin}: setting {setting.key}: {fault}")


def _split(kind: str, name: str) -> tuple[str, str]:
    """Return what stands before and after the first separator."""
    end = next((place for place, letter in enumerate(name) if letter in _SEPARATORS[kind]), len(name))
    return name[:end], name[end + 1 :]


def _beginnings(kind: str, words: Sequence[str]) -> str:
    whole = [words[0]] if kind in _WHOLE else []
    return " or ".join([*whole, *(f"{word}{separator}" for word in words for separator in _SEPARATORS[kind])])


def _type_fault(setting: SettingDeclaration) -> str:
    if setting.type not in _SETTING_TYPES:
        names = ", ".join(each.__name__ for each in _SETTING_TYPES)
        return f"nobody can set a {getattr(setting.type, '__name__', setting.type)}; its type must be one of {names}"
    for what, value in [("choice", choice) for choice in setting.choices or ()] + [("default", setting.default)]:
        # A bool is an int to isinstance, and no number to whoever sets it.
        if type(value) is not setting.type and not (what == "default" and value is None):
            return f"its {what} {value!r} is no {setting.type.__name__}"
    return ""


def _default_fault(setting: SettingDeclaration) -> str:
    default = setting.default
    if default is None:
        return ""
    if setting.choices is not None and default not in setting.choices:
        return f"its default {default!r} is none of its choices"
    if setting.check is not None:
        try:
            setting.check(default)
        except Exception as error:
            return f"its own check refuses its default {default!r}: {error}"
    return ""
