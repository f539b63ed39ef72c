import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from callbot.config import Environment, LogLevel, load, names
from callbot.errors import ConfigurationError

TOKEN = "9f8e7d6c5b4a39281706f5e4d3c2b1a0"
EXAMPLE = Path(__file__).parent.parent / ".env.example"


@pytest.fixture(autouse=True)
def _no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in names():
        monkeypatch.delenv(name, raising=False)


def env(tmp_path: Path, *lines: str) -> Path:
    file = tmp_path / ".env"
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def test_with_nothing_set_it_works_offline(tmp_path: Path) -> None:
    settings = load(tmp_path / "no such file")
    assert settings.public_url is None
    assert settings.database_url == "sqlite+aiosqlite:///calls/callbot.db"
    assert settings.recordings == Path("calls/recordings")
    assert settings.cache == Path("calls/cache")
    assert settings.spool == Path("calls/spool.jsonl")
    assert list(settings.secrets()) == []


def test_the_environment_wins_over_the_file_and_an_argument_over_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = env(tmp_path, "PORT=1111", "HOST=file.example.com")
    monkeypatch.setenv("PORT", "2222")
    assert load(file).port == 2222
    assert load(file).host == "file.example.com"
    assert load(file, port=3333).port == 3333


def test_a_setting_left_empty_is_not_set(tmp_path: Path) -> None:
    assert load(env(tmp_path, "TWILIO_AUTH_TOKEN=", "PUBLIC_URL=")).twilio_auth_token is None


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load(None).port = 1


def test_the_data_folder_moves_the_database_with_it() -> None:
    assert load(None, data=Path("/srv/data")).database_url == "sqlite+aiosqlite:////srv/data/callbot.db"


def test_hosting_platforms_say_how_many_workers_and_our_own_setting_wins(tmp_path: Path) -> None:
    assert load(None).workers == 1
    assert load(env(tmp_path, "WEB_CONCURRENCY=3")).workers == 3
    assert load(env(tmp_path, "WEB_CONCURRENCY=3", "CALLBOT_WORKERS=2")).workers == 2


def test_secrets_do_not_show_when_settings_are_printed() -> None:
    settings = load(None, public_url="https://bot.example.com", twilio_auth_token=TOKEN)
    assert TOKEN not in repr(settings)
    assert list(settings.secrets()) == [TOKEN]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["PUBLIC_URL=https://a.example.com"], "PUBLIC_URL is set, but TWILIO_AUTH_TOKEN is not. Set both"),
        ([f"TWILIO_AUTH_TOKEN={TOKEN}"], "TWILIO_AUTH_TOKEN is set, but PUBLIC_URL is not"),
        (["TWILIO_SIGNING_KEY_ID=k1"], "TWILIO_SIGNING_KEY_ID is set, but TWILIO_SIGNING_KEY is not"),
        (["TWILIO_SIGNING_KEY=k1"], "TWILIO_SIGNING_KEY is set, but TWILIO_SIGNING_KEY_ID is not"),
        (
            ["TWILIO_ACCOUNT_SID=AC" + "0" * 32],
            "TWILIO_ACCOUNT_SID is set, but TWILIO_AUTH_TOKEN",
        ),
    ],
)
def test_half_a_group_refuses_to_start_and_names_the_other_half(
    tmp_path: Path, lines: list[str], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(says)):
        load(env(tmp_path, *lines))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("PORT=eight", "PORT=eight cannot be used"),
        ("PORT=70000", "For example PORT=8000"),
        ("CALLBOT_WORKERS=0", "For example CALLBOT_WORKERS=2"),
        ("CALLBOT_WORKERS=two", "CALLBOT_WORKERS=two cannot be used"),
        ("WEB_CONCURRENCY=0", "WEB_CONCURRENCY=0 cannot be used"),
        ("CALLBOT_MAX_CALLS=0", "For example CALLBOT_MAX_CALLS=100"),
        ("CALLBOT_MAX_CALL_SECONDS=1", "greater than or equal to 10"),
        ("CALLBOT_RECORD=perhaps", "CALLBOT_RECORD=perhaps cannot be used"),
        ("CALLBOT_ENV=staging", "'development' or 'production'"),
        ("LOG_LEVEL=LOUD", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("LOG_FORMAT=xml", "'console' or 'json'"),
        ("TWILIO_ACCOUNT_SID=SK12", "AC and 32 hexadecimal digits"),
        ("CALLBOT_COMPANY=/no/such/folder", "is not a folder"),
        ("CALLBOT_WHISPER=/no/such/folder", "is not a folder. Write the path of a Whisper model"),
        ("PUBLIC_URL=bot.example.com", "is not a web address"),
        ("PUBLIC_URL=ftp://bot.example.com", "is not a web address"),
        ("PUBLIC_URL=https://", "is not a web address"),
        ("PUBLIC_URL=https://bot.example.com:port", "is not a URL"),
        ("PUBLIC_URL=https://bot.example.com/twilio", "has more than scheme, host and port"),
        ("PUBLIC_URL=https://bot.example.com?a=1", "has more than scheme, host and port"),
        ("PUBLIC_URL=https://me@bot.example.com", "has more than scheme, host and port"),
        ("PUBLIC_URL=https://bot .example.com", "characters that no host name has"),
        ("DATABASE_URL=what", "is not a database's URL"),
        ("DATABASE_URL=mysql://u:hunter2@h/d", "we do not speak to (mysql)"),
        ("DATABASE_URL=sqlite://", "needs a file"),
    ],
)
def test_a_wrong_value_is_refused_with_what_to_write(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(env(tmp_path, line))
    assert says in str(refused.value)
    assert line.partition("=")[0] in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(env(tmp_path, "PORT=x", "LOG_FORMAT=xml"))
    assert len(str(refused.value).splitlines()) == 2


@pytest.mark.parametrize("in_file", [True, False])
def test_a_misspelt_setting_is_refused_and_the_right_one_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_file: bool
) -> None:
    file = env(tmp_path, "CALLBOT_RECROD=false" if in_file else "")
    if not in_file:
        monkeypatch.setenv("CALLBOT_RECROD", "false")
    with pytest.raises(ConfigurationError, match=r"CALLBOT_RECROD .*Did you mean CALLBOT_RECORD\?"):
        load(file)


def test_a_setting_of_ours_that_resembles_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="lists every setting"):
        load(env(tmp_path, "CALLBOT_QQQQQQQQQQ=1"))


def test_another_programs_settings_in_the_file_are_left_alone(tmp_path: Path) -> None:
    assert load(env(tmp_path, "SOMETHING_ELSE=1")).port == 8000


def test_a_hosting_platforms_postgres_url_is_rewritten_for_the_driver(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    settings = load(None, database_url="postgres://u:p%40ss@db.example.com:5432/calls")
    assert settings.database_url == "postgresql+asyncpg://u:p%40ss@db.example.com:5432/calls"
    assert list(settings.secrets()) == ["p@ss"]


def test_postgres_without_its_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match="pip install asyncpg"):
        load(None, database_url="postgresql://u:hunter2@db.example.com/calls")


def test_an_address_for_the_local_exchange_may_be_http_in_development() -> None:
    settings = load(None, public_url="http://127.0.0.1:8123/", twilio_auth_token="any")
    assert settings.public_url == "http://127.0.0.1:8123"


@pytest.mark.parametrize("secret", ["changeme", "your_auth_token_from_the_console", "x" * 32, "12345678" * 4])
def test_production_refuses_a_placeholder_for_a_secret(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="TWILIO_AUTH_TOKEN is a placeholder") as refused:
        load(None, env="production", public_url="https://bot.example.com", twilio_auth_token=secret)
    assert secret not in str(refused.value)


def test_production_refuses_an_address_without_tls() -> None:
    with pytest.raises(ConfigurationError, match="PUBLIC_URL is not https"):
        load(None, env="production", public_url="http://bot.example.com", twilio_auth_token=TOKEN)


def test_production_starts_with_real_secrets() -> None:
    settings = load(
        None,
        env="production",
        log_level="warning",
        public_url="https://bot.example.com:8443",
        twilio_auth_token=TOKEN,
        twilio_signing_key_id="webhooks_key",
        twilio_signing_key=TOKEN[::-1],
    )
    assert settings.env is Environment.PRODUCTION
    assert settings.log_level is LogLevel.WARNING
    assert list(settings.secrets()) == [TOKEN, TOKEN[::-1]]


def test_the_example_file_names_every_setting_and_nothing_else() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert set(re.findall(r"^#?([A-Z_]+)=", text, re.MULTILINE)) == set(names())


def test_the_example_file_explains_every_setting() -> None:
    paragraphs = EXAMPLE.read_text(encoding="utf-8").split("\n\n")
    for name in names():
        paragraph = next(p for p in paragraphs if re.search(rf"^#{name}=", p, re.MULTILINE))
        assert re.search(r"^# \w+", paragraph, re.MULTILINE), name


def test_the_example_files_defaults_are_the_real_ones(tmp_path: Path) -> None:
    ours = "PUBLIC_URL|TWILIO_ACCOUNT_SID|DATABASE_URL"
    text = re.sub(rf"^#(?!{ours})([A-Z_]+=)", r"\1", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert load(env(tmp_path, text)) == load(None)
