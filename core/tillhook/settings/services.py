"""Reading and changing the settings."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from tillhook.access import audit
from tillhook.errors import ValidationFailed
from tillhook.hooks import SettingDeclaration
from tillhook.reference import bump_epoch
from tillhook.reference.models import Setting
from tillhook.reference.values import checked, from_json, to_json
from tillhook.runtime import assume_settings, runtime_of
from tillhook.settings.answers import SettingOut


def list_settings(session: Session) -> list[dict[str, Any]]:
    """Return every declared setting with its present value, by key."""
    stored = {setting.key: setting.value for setting in session.scalars(select(Setting))}
    return [_described(declaration, stored) for _, declaration in sorted(_declarations(session).items())]


def update_settings(session: Session, changes: Mapping[str, Any]) -> None:
    """Change the named settings; ``None`` takes one back to its default.

    Raises:
        ValidationFailed: Names every key that is unknown or whose value will not do; then nothing changes.
    """
    declarations = _declarations(session)
    values, errors = {}, []
    for key, value in sorted(changes.items()):
        try:
            if key not in declarations:
                raise ValueError("There is no such setting.")
            values[key] = None if value is None else to_json(checked(declarations[key], value))
        except ValueError as error:
            errors.append({"field": key, "message": str(error)})
    if errors:
        raise ValidationFailed("The settings were not changed.", errors=errors)
    before = {
        row.key: row.value for row in session.execute(select(Setting.key, Setting.value).where(Setting.key.in_(values)))
    }
    for key, value in values.items():
        _store(session, key, value, is_new=key not in before)
    session.flush()
    _audit(session, before, values)
    bump_epoch(session)
    present = {
        key: declarations[key].default if value is None else from_json(declarations[key], value)
        for key, value in values.items()
    }
    assume_settings(session, present)
    runtime_of(session).hooks.hook.settings_changed(session=session, keys=frozenset(values))


def _store(session: Session, key: str, value: Any, *, is_new: bool) -> None:
    if value is None:
        session.execute(delete(Setting).where(Setting.key == key))
    elif is_new:
        session.add(Setting(key=key, value=value))
    else:
        session.get_one(Setting, key).value = value


def _audit(session: Session, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    for key, value in after.items():
        audit(session, "update", "setting", key, before={"value": before.get(key)}, after={"value": value})


def _declarations(session: Session) -> dict[str, SettingDeclaration]:
    return runtime_of(session).registry.settings


def _described(declaration: SettingDeclaration, stored: Mapping[str, Any]) -> dict[str, Any]:
    present = stored.get(declaration.key, to_json(declaration.default))
    return SettingOut.of(declaration, value=to_json(from_json(declaration, present)))
