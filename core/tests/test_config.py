"""Settings from the environment."""

import stat
from pathlib import Path

import pytest

from tillhook.config import Settings
from tillhook.errors import StartupError


def read(tmp_path, **variables):
    return Settings.from_environment({"TILLHOOK_DATA_DIR": str(tmp_path), **variables})


def test_the_defaults_need_nothing(tmp_path):
    settings = read(tmp_path)
    assert settings.database_url == f"sqlite:///{tmp_path}/tillhook.db"
    assert (settings.host, settings.port, settings.workers, settings.threads) == ("127.0.0.1", 8000, 2, 8)
    assert settings.modules is None
    assert settings.demo


def test_the_variables_are_read(tmp_path):
    settings = read(
        tmp_path, TILLHOOK_PORT="9", TILLHOOK_MODULES="pos, web", TILLHOOK_DEMO="0", TILLHOOK_SECRET="s" * 32
    )
    assert (settings.port, settings.modules, settings.demo, settings.secret) == (
        9,
        ("pos", "web"),
        False,
        "s" * 32,
    )


def test_no_modules_is_not_the_same_as_any(tmp_path):
    assert read(tmp_path, TILLHOOK_MODULES="").modules == ()


def test_an_unknown_variable_is_refused_with_the_nearest_name(tmp_path):
    with pytest.raises(StartupError, match="TILLHOOK_PROT: there is no such setting; did you mean TILLHOOK_PORT?"):
        read(tmp_path, TILLHOOK_PROT="1")


def test_the_variables_of_bin_and_of_the_tests_are_let_be(tmp_path):
    assert read(tmp_path, TILLHOOK_VENV="/venv", TILLHOOK_TEST_ANYTHING="1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TILLHOOK_PORT", "0"),
        ("TILLHOOK_PORT", "65536"),
        ("TILLHOOK_PORT", "８０"),
        ("TILLHOOK_PORT", "8e3"),
        ("TILLHOOK_DEMO", "yes"),
        ("TILLHOOK_SECRET", "short"),
        ("TILLHOOK_LOG_LEVEL", "loud"),
        ("TILLHOOK_TRUSTED_PROXIES", "proxy.example.com"),
        ("TILLHOOK_SECRET_FILE", "/nowhere/at/all"),
    ],
)
def test_a_wrong_value_is_refused_and_named(tmp_path, name, value):
    with pytest.raises(StartupError, match=name.removesuffix("_FILE")):
        read(tmp_path, **{name: value})


@pytest.mark.parametrize(
    ("origin", "reason"),
    [
        ("*", "any page"),
        ("https://x.example, *", "any page"),
        ("https://x.example/", "no origin"),
        ("https://x.example/shop", "no origin"),
        ("x.example", "no origin"),
        ("//x.example", "no origin"),
        ("null", "no origin"),
        ("ftp://x.example", "no origin"),
        ("https://", "no origin"),
        ("https://*.x.example", "no origin"),
        ("https://x.example:0x50", "no origin"),
        ("https://x.example:", "no origin"),
        ("https://x.example:443", "usual port"),
        ("http://x.example:80", "usual port"),
        ("https://X.example", "small letters"),
        ("https://me@x.example", "without a user"),
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(tmp_path, origin, reason):
    with pytest.raises(StartupError, match=f"TILLHOOK_CORS_ORIGINS: .*{reason}"):
        read(tmp_path, TILLHOOK_CORS_ORIGINS=origin)


def test_origins_are_scheme_host_and_port(tmp_path):
    origins = ("https://x.example", "http://localhost:5173", "http://[::1]:8080", "https://x.example:8443")
    assert read(tmp_path, TILLHOOK_CORS_ORIGINS=", ".join(origins)).cors_origins == origins


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:geheim@h/shop", "postgresql://u:***@h/shop"),
        ("postgresql://u:ge:heim@h1:5432,h2:5433/shop?a=b", "postgresql://u:***@h1:5432,h2:5433/shop?a=b"),
        ("postgresql://u:geh@im@/shop?host=/run", "postgresql://u:***@/shop?host=/run"),
        (
            "postgresql://h/shop?user=u&password=geheim&sslpassword=auch",
            "postgresql://h/shop?user=u&password=***&sslpassword=***",
        ),
        ("postgresql://u@h/shop", "postgresql://u@h/shop"),
        ("sqlite:///var/a:b@c.db", "sqlite:///var/a:b@c.db"),
    ],
)
def test_a_database_is_shown_without_its_password(tmp_path, url, shown):
    described = dict(read(tmp_path, TILLHOOK_DATABASE_URL=url).described())
    assert described["TILLHOOK_DATABASE_URL"] == shown


def test_every_problem_is_said_at_once(tmp_path):
    with pytest.raises(StartupError, match="(?s)TILLHOOK_X.*TILLHOOK_PORT.*TILLHOOK_WORKERS"):
        read(tmp_path, TILLHOOK_X="", TILLHOOK_PORT="a", TILLHOOK_WORKERS="b")


def test_a_secret_may_come_from_a_file(tmp_path):
    file = tmp_path / "file"
    file.write_text("s" * 40 + "\n")
    assert read(tmp_path, TILLHOOK_SECRET_FILE=str(file)).secret == "s" * 40
    with pytest.raises(StartupError, match="keep one of them"):
        read(tmp_path, TILLHOOK_SECRET_FILE=str(file), TILLHOOK_SECRET="s" * 40)


def test_the_secret_is_made_once_and_is_nobody_elses(tmp_path):
    first = read(tmp_path).secret
    assert len(first) >= 32
    assert read(tmp_path).secret == first
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_what_is_shown_hides_secrets(tmp_path):
    settings = read(tmp_path, TILLHOOK_DATABASE_URL="postgresql://me:hunter2@host/db", TILLHOOK_METRICS_TOKEN="t" * 32)
    shown = dict(settings.described())
    assert shown["TILLHOOK_DATABASE_URL"] == "postgresql://me:***@host/db"
    assert shown["TILLHOOK_SECRET"] == shown["TILLHOOK_METRICS_TOKEN"] == "(hidden)"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
    ],
)
def test_only_the_loopback_is_the_loopback(host, loopback):
    assert Settings(data_dir=Path("x"), host=host).is_loopback is loopback
