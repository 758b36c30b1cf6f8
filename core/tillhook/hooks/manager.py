"""The hooks of one process: which plugins are there, checked against the specifications."""

import functools
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import pluggy

from tillhook.errors import StartupError, nearest
from tillhook.hooks import specs

#: Whose declarations the core's own are.
CORE_NAME = "tillhook"


class PluginError(StartupError):
    """A plugin that cannot be used; in safe mode the server starts without it."""

    def __init__(self, plugin: str, message: str) -> None:
        super().__init__(message)
        self.plugin = plugin


class HookError(RuntimeError):
    """A plugin answered a hook with something that makes no sense: a fault of the plugin, not of who asked."""


class HookManager:
    """Hooks and who implements them. Built once, never changed, shared by all threads.

    Args:
        areas: The core's own hook modules, in the order in which they run.
        plugins: Pairs of a plugin's name and its hook module (or any object with hook methods).

    Raises:
        PluginError: An implementation that matches no hook, takes an unknown argument, or wraps the others.
    """

    def __init__(self, areas: Sequence[Any], plugins: Sequence[tuple[str, Any]]) -> None:
        self._manager = pluggy.PluginManager("tillhook")
        self._manager.add_hookspecs(specs)
        self.hook = self._manager.hook
        self._owners: dict[int, str] = {id(module): CORE_NAME for module in areas}
        self._owners |= {id(module): name for name, module in plugins}
        self.plugin_names = tuple(sorted(name for name, _ in plugins))
        in_order = [*areas, *(module for _, module in sorted(plugins, key=lambda pair: pair[0]))]
        # pluggy calls the last registered first.
        for module in reversed(in_order):
            self._register(module)
        self._add_further_specs()
        self._refuse_unknown_hooks()
        self._name_the_failing(in_order)
        self._implemented = {
            name: bool(caller.get_hookimpls()) for name, caller in vars(self.hook).items() if caller.has_spec()
        }

    def implemented(self, name: str) -> bool:
        """Say whether anybody implements the hook; asking costs a dictionary look-up."""
        return self._implemented[name]

    def collect(self, name: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        """Call the hook of a ``register_…`` family; yield each declaration with its plugin's name."""
        for implementation in reversed(getattr(self.hook, name).get_hookimpls()):
            plugin = self._owners[id(implementation.plugin)]
            try:
                for declaration in implementation.function(*(arguments[key] for key in implementation.argnames)):
                    yield plugin, declaration
            except Exception as error:
                # A declaration that refuses its arguments says why in plain words.
                said = str(error) if isinstance(error, ValueError) else repr(error)
                raise PluginError(plugin, f"plugin {plugin}: {name} failed: {said}") from error

    def resolve(self, name: str, /, check: Callable[[Any], None] | None = None, **arguments: Any) -> Any:
        """Call the hook of the ``resolve_…`` family; return the first answer that is not ``None``, else ``None``.

        Args:
            check: Raises ``ValueError`` for an answer that makes no sense.

        Raises:
            HookError: Names the plugin and hook of such an answer.
        """
        for implementation in reversed(getattr(self.hook, name).get_hookimpls()):
            answer = implementation.function(*(arguments[key] for key in implementation.argnames))
            if answer is None:
                continue
            try:
                if check is not None:
                    check(answer)
            except (ValueError, TypeError, ArithmeticError) as error:
                # Of the latter two it is the check itself that stumbles, over what cannot be compared or counted.
                plugin = self._owners[id(implementation.plugin)]
                raise HookError(f"plugin {plugin}: {name} answered {answer!r}: {error}") from error
            return answer
        return None

    def answers(self, name: str, /, **arguments: Any) -> Iterator[tuple[str, Any]]:
        """Call the hook of the ``…_writing`` family; yield each answer but ``None`` with its plugin's name."""
        for implementation in reversed(getattr(self.hook, name).get_hookimpls()):
            answer = implementation.function(*(arguments[key] for key in implementation.argnames))
            if answer is not None:
                yield self._owners[id(implementation.plugin)], answer

    def optional_without_spec(self) -> list[tuple[str, str]]:
        """Return plugin and hook of each optional implementation that nobody will call."""
        return [
            (self._owners[id(implementation.plugin)], name)
            for name, caller in vars(self.hook).items()
            if not caller.has_spec()
            for implementation in caller.get_hookimpls()
        ]

    def _register(self, module: Any) -> None:
        try:
            self._manager.register(module)
        except pluggy.PluginValidationError as error:
            raise self._refusal(module, error) from error

    def _add_further_specs(self) -> None:
        # The implementations' arguments are checked as the specifications come in.
        for plugin, module in list(self.collect("register_hookspecs")):
            if plugin != CORE_NAME:
                self._refuse_foreign_specs(plugin, module)
            try:
                self._manager.add_hookspecs(module)
            except pluggy.PluginValidationError as error:
                raise self._refusal(error.plugin, error) from error
            except ValueError as error:
                raise PluginError(plugin, f"plugin {plugin}: {error}") from error

    def _refuse_foreign_specs(self, plugin: str, module: ModuleType) -> None:
        for name, function in vars(module).items():
            if hasattr(function, "tillhook_spec") and not name.startswith(f"{plugin}_"):
                raise PluginError(plugin, f"plugin {plugin}: its hook {name} must be named {plugin}_…")

    def _refuse_unknown_hooks(self) -> None:
        known = [name for name, caller in vars(self.hook).items() if caller.has_spec()]
        for name, caller in vars(self.hook).items():
            for implementation in [] if caller.has_spec() else caller.get_hookimpls():
                if not implementation.optionalhook:
                    plugin = self._owners[id(implementation.plugin)]
                    raise PluginError(plugin, f"plugin {plugin}: there is no hook {name}{nearest(name, known)}")

    def _refusal(self, module: Any, error: Exception) -> PluginError:
        plugin = self._owners[id(module)]
        return PluginError(plugin, f"plugin {plugin}: {str(error).strip()}")

    def _name_the_failing(self, modules: Sequence[Any]) -> None:
        for module in modules:
            plugin = self._owners[id(module)]
            for caller in self._manager.get_hookcallers(module) or ():
                for implementation in caller.get_hookimpls():
                    if implementation.wrapper or implementation.hookwrapper:
                        raise PluginError(plugin, f"plugin {plugin}: {caller.name} must not wrap the others'")
                    if implementation.plugin is module:
                        # Declared final; there is no other way to wrap one implementation.
                        noting = _noting(implementation.function, plugin, caller.name)
                        implementation.function = noting  # type: ignore[misc]


def _noting(function: Callable[..., Any], plugin: str, hook: str) -> Callable[..., Any]:
    """Return ``function``, whose exceptions then say in which plugin and hook they were raised."""
    note = f"in hook {hook} of plugin {plugin}"

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Exception as error:
            error.add_note(note)
            raise

    return call
