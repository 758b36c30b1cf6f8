"""The settings of a process, read once from ``TILLHOOK_…`` variables and checked at start.

Each one is declared once, as a field of :class:`Settings`; ``docs/settings.md`` is written from here. What
a person changes while the server runs is no such setting but a row, see ``tillhook.reference``.
"""

import ipaddress
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from tillhook.errors import StartupError, nearest

PREFIX = "TILLHOOK_"
#: Read by ``bin/`` and by the tests, not here.
_FOREIGN = ("TILLHOOK_VENV", "TILLHOOK_TEST_")
_ORIGIN = re.compile(r"https?://([^/@?#*\s]+@)?([^/:@?#*\[\]\s]+|\[[0-9a-f:.]+\])(:[0-9]+)?", re.I)
_USUAL_PORTS = {"http": ":80", "https": ":443"}
_LOG_LEVELS = ("debug", "info", "warning", "error")


def _whole(minimum: int, maximum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or not minimum <= int(text) <= maximum:
            raise ValueError(f"a whole number from {minimum} to {maximum} is needed")
        return int(text)

    return parse


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("0 or 1 is needed")
    return text == "1"


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.replace(",", " ").split()))


def _networks(text: str) -> tuple[str, ...]:
    names = _names(text)
    for name in names:
        ipaddress.ip_network(name)
    return names


def _origins(text: str) -> tuple[str, ...]:
    names = _names(text)
    for name in names:
        if name == "*":
            raise ValueError("* would let any page call the API from its visitors' browsers; name the origins")
        if not _ORIGIN.fullmatch(name):
            raise ValueError(f"{name} is no origin, such as https://shop.example: scheme, host, and a port if need be")
        if name != name.lower() or "@" in name or name.endswith(_USUAL_PORTS[name.partition(":")[0].lower()]):
            raise ValueError(f"{name}: browsers send an origin in small letters, without a user or the usual port")
    return names


def _log_level(text: str) -> str:
    if text not in _LOG_LEVELS:
        raise ValueError(f"one of {', '.join(_LOG_LEVELS)} is needed")
    return text


def _secret(text: str) -> str:
    if len(text.encode()) < 32:
        raise ValueError("at least 32 bytes are needed")
    return text


def _setting(
    default: Any,
    doc: str,
    *,
    parse: Callable[[str], Any] = str,
    secret: bool = False,
    shown: str | None = None,
) -> Any:
    """Declare one variable; ``secret`` gives it a ``_FILE`` variant, ``shown`` is the default in the docs."""
    return field(default=default, metadata={"doc": doc, "parse": parse, "secret": secret, "shown": shown})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the environment says; ``port`` is ``TILLHOOK_PORT``, and so on."""

    data_dir: Path = _setting(  # noqa: RUF009 - immutable
        Path("var"), "Folder of the SQLite database, images and the generated secret.", parse=Path
    )
    database_url: str = _setting(
        "",
        "Database: `sqlite:///path` or `postgresql://user:password@host/name`, as libpq takes it: several hosts, a"
        " socket's folder and parameters too, see [PostgreSQL](postgresql.md).",
        secret=True,
        shown="`sqlite:///var/tillhook.db`, in the data folder",
    )
    secret: str = _setting(
        "",
        "Key that signs tokens and cursors, at least 32 bytes. All processes of one installation share it.",
        parse=_secret,
        secret=True,
        shown="generated once, kept in the data folder as `secret`",
    )
    host: str = _setting("127.0.0.1", "Address to listen on. Demo mode listens on the loopback only.")
    port: int = _setting(8000, "Port to listen on.", parse=_whole(1, 65535))
    modules: tuple[str, ...] | None = _setting(
        None,
        "Plugins to run, separated by commas: exactly these and no others; empty for none.",
        parse=_names,
        shown="as `tillhook modules list` says",
    )
    demo: bool = _setting(
        True, "1: demo users and goods on the first run of `tillhook serve`; 0: an empty system.", parse=_flag
    )
    workers: int = _setting(2, "Processes that answer requests.", parse=_whole(1, 256))
    threads: int = _setting(8, "Threads of each process, and its database connections.", parse=_whole(1, 256))
    lock_timeout_s: int = _setting(
        10,
        "Seconds to wait for who writes (SQLite) or has a row locked (PostgreSQL); then the answer is 503.",
        parse=_whole(1, 600),
    )
    statement_timeout_s: int = _setting(
        60,
        "Seconds that a statement may take on PostgreSQL; batches, jobs and checks have limits of their own.",
        parse=_whole(1, 3600),
    )
    max_body: int = _setting(
        1024 * 1024, "Largest request body in bytes, where a route sets no other.", parse=_whole(1024, 2**31)
    )
    max_upload: int = _setting(32 * 1024 * 1024, "Largest uploaded file in bytes.", parse=_whole(1024, 2**31))
    access_token_lifetime_s: int = _setting(900, "Seconds for which an access token is good.", parse=_whole(10, 86_400))
    refresh_token_lifetime_s: int = _setting(
        30 * 86_400, "Seconds for which a refresh token is good.", parse=_whole(60, 366 * 86_400)
    )
    cors_origins: tuple[str, ...] = _setting(
        (),
        "Origins whose pages may call the API from a browser, separated by commas; none when empty.",
        parse=_origins,
        shown="none",
    )
    trusted_proxies: tuple[str, ...] = _setting(
        (),
        "Addresses or networks of proxies whose `X-Forwarded-For` says who asks, separated by commas; log-ins are"
        " throttled by that address. Nobody's is believed when empty.",
        parse=_networks,
        shown="none",
    )
    metrics_token: str = _setting(
        "",
        "Bearer token for `/metrics`; without it a log-in with `platform:metrics:read` is needed.",
        parse=_secret,
        secret=True,
        shown="none",
    )
    log_level: str = _setting("info", "Least severity that is logged: debug, info, warning or error.", parse=_log_level)

    def __post_init__(self) -> None:
        if not self.database_url:
            object.__setattr__(self, "database_url", f"sqlite:///{self.data_dir / 'tillhook.db'}")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Return the settings of this process; makes the secret when there is none.

        Raises:
            StartupError: Names every variable that is unknown or wrong.
        """
        environment = os.environ if environment is None else environment
        problems = _unknown(environment)
        values: dict[str, Any] = {}
        for each in fields(cls):
            try:
                text = _text_of(each, environment)
                if text is not None:
                    values[each.name] = each.metadata["parse"](text)
            except (OSError, ValueError) as error:
                problems.append(f"{variable_of(each)}: {error}")
        if problems:
            raise StartupError("\n".join(problems))
        if "secret" not in values:
            values["secret"] = _kept_secret(values.get("data_dir", cls.data_dir))
        return cls(**values)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches ``host``."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    def described(self) -> list[tuple[str, str]]:
        """Return each variable and its value for a person, secrets hidden."""
        rows = []
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name == "database_url":
                value = without_password(value)
            elif each.metadata["secret"]:
                value = "(hidden)" if value else "(none)"
            rows.append((variable_of(each), _shown(value)))
        return rows


def variable_of(each: "Field[Any]") -> str:
    """Return the name of the variable that sets a field."""
    return PREFIX + each.name.upper()


def settings_page() -> str:
    """Return ``docs/settings.md``."""
    lines = [
        "# Settings",
        "",
        "Read from the environment when a process starts. An unknown `TILLHOOK_` variable is an error.",
        "Where it says so, `…_FILE` names a file that holds the value instead. `tillhook config check` shows",
        "what a process would use. This page is generated: `tillhook docs settings`.",
        "",
        "| variable | default | meaning |",
        "| --- | --- | --- |",
    ]
    for each in fields(Settings):
        default = each.metadata["shown"] or f"`{_shown(each.default)}`"
        doc = each.metadata["doc"] + (f" Also `{variable_of(each)}_FILE`." if each.metadata["secret"] else "")
        lines.append(f"| `{variable_of(each)}` | {default} | {doc} |")
    return "\n".join(lines) + "\n"


def _text_of(each: "Field[Any]", environment: Mapping[str, str]) -> str | None:
    name = variable_of(each)
    text, file = environment.get(name), environment.get(name + "_FILE")
    if not each.metadata["secret"] or file is None:
        return text if text or each.default is None else None  # an empty variable is an absent one
    if text is not None:
        raise ValueError(f"{name}_FILE is set too; keep one of them")
    return Path(file).read_text(encoding="utf-8").strip()


def _unknown(environment: Mapping[str, str]) -> list[str]:
    known = [variable_of(each) for each in fields(Settings)]
    known += [variable_of(each) + "_FILE" for each in fields(Settings) if each.metadata["secret"]]
    problems = []
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known and not name.startswith(_FOREIGN):
            problems.append(f"{name}: there is no such setting{nearest(name, known, cutoff=0.5)}")
    return problems


def _kept_secret(data_dir: Path) -> str:
    """Return the installation's generated secret; two processes that start together get the same one."""
    path = data_dir / "secret"
    data_dir.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        # Written aside and linked, so that nobody reads half of it and the first one wins.
        mine = data_dir / f".secret.{secrets.token_hex(8)}"
        mine.touch(0o600, exist_ok=False)
        mine.write_text(secrets.token_urlsafe(48))
        try:
            os.link(mine, path)
        except FileExistsError:
            pass
        finally:
            mine.unlink()
    try:
        return _secret(path.read_text(encoding="ascii").strip())
    except ValueError as error:
        raise StartupError(f"{path}: {error}") from error


def without_password(url: str) -> str:
    """Return a database's address with ``***`` for what is secret in it, in whichever of libpq's forms."""
    url = re.sub(r"(?<=://)([^:@/?#]*):[^/?#]*@", r"\1:***@", url, count=1)
    return re.sub(r"([?&](?:ssl)?password=)[^&]*", r"\1***", url)


def _shown(value: Any) -> str:
    if value is None or value is MISSING:
        return "(not set)"
    if isinstance(value, bool):
        return str(int(value))
    return ",".join(value) if isinstance(value, tuple) else str(value)


__all__ = ["Settings", "settings_page"]
