"""The settings file and the environment: what is refused says where, which key, which value, what would be right."""

from collections.abc import Callable
from pathlib import Path

import pytest

from predictq.errors import SettingsError
from predictq.settings import Settings, load_settings

WHOLE = """
broker = "sqlite:///queue.db"
[gateway]
port = 8701
[endpoints.tumours]
partitions = 2
[deployments.linear]
endpoint = "tumours"
model = "models/linear.joblib"
[deployments.forest]
endpoint = "tumours"
model = "models/forest.joblib"
role = "canary"
of = "linear"
share = 0.1
"""

SCHEDULED = """
[endpoints.tumours]
[schedules.nightly]
endpoint = "tumours"
source = "file://in/rows.csv"
cron = "30 2 * * *"
timezone = "Europe/Berlin"
"""

Load = Callable[[str], Settings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def from_text(text: str) -> Settings:
        file = tmp_path / "predictq.toml"
        file.write_text(text)
        return load_settings(file)

    return from_text


def test_a_whole_file_is_read_and_paths_start_at_its_folder(load: Load, tmp_path: Path) -> None:
    settings = load(WHOLE)

    assert settings.gateway.port == 8701
    assert settings.endpoints["tumours"].partitions == 2
    assert settings.deployments["forest"].share == 0.1
    assert settings.broker_url() == f"sqlite:///{tmp_path}/queue.db"
    assert settings.path("models/linear.joblib") == tmp_path / "models/linear.joblib"


def test_the_environment_stands_above_the_file(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREDICTQ_GATEWAY__PORT", "9000")
    monkeypatch.setenv("PREDICTQ_BROKER", "memory://")
    monkeypatch.setenv("PREDICTQ_DEPLOYMENTS__LINEAR__VERSION", "2026-11-01")

    settings = load(WHOLE)

    assert settings.gateway.port == 9000
    assert settings.broker_url() == "memory://"
    assert settings.deployments["linear"].version == "2026-11-01"
    assert settings.deployments["linear"].model == "models/linear.joblib"


def test_no_file_at_all_is_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    settings = load_settings()

    assert settings.endpoints == {}
    assert settings.broker_url() == f"sqlite:///{tmp_path}/var/predictq.db"


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ("[gateway\n", "", "is not TOML: Expected ']' at the end of a table declaration (at line 1, column 9)"),
        ('brokr = "x"', "brokr", "is no key that predictq knows; did you mean 'broker'?"),
        ("[gateway]\nprot = 1", "gateway.prot", "is no key that predictq knows; did you mean 'port'?"),
        (
            WHOLE + "batch = 1",
            "deployments.forest.batch",
            "is no key that predictq knows; known here: endpoint, from, max_attempts",
        ),
        ('[gateway]\nport = "abc"', "gateway.port", "'abc': should be a valid integer"),
        ("[gateway]\nport = 70000", "gateway.port", "70000: should be less than or equal to 65535"),
        ("gateway = 3", "gateway", "3: should be a table"),
        ("[endpoints.Big_Name]", "endpoints.Big_Name", "'Big_Name' is no name; lower-case letters, digits and hyphens"),
        ("[endpoints.sync]", "endpoints.sync", "is a name that predictq keeps for its own groups; choose another"),
        (
            WHOLE.replace('endpoint = "tumours"', 'endpoint = "tumors"', 1),
            "deployments.linear.endpoint",
            "'tumors' is no endpoint; known: tumours",
        ),
        (WHOLE.replace('model = "models/linear.joblib"', ""), "deployments.linear.model", "is missing"),
        (WHOLE.replace('of = "linear"', ""), "deployments.forest", 'a canary needs `of = "<live deployment>"`'),
        (WHOLE.replace('of = "linear"', 'of = "forest"'), "deployments.forest.of", "'forest' is no live deployment"),
        (WHOLE.replace("share = 0.1", "share = 1.5"), "deployments.forest.share", "1.5: should be less than 1"),
        (WHOLE.replace('"canary"', '"boss"'), "deployments.forest.role", "'boss': should be 'live', 'shadow'"),
        (WHOLE.replace('"canary"', '"live"'), "deployments.forest", '`of` and `share` are for role = "canary" only'),
        (
            WHOLE.replace("share = 0.1", "share = 0.6")
            + WHOLE[WHOLE.index("[deployments.forest]") :]
            .replace("forest", "grove")
            .replace("share = 0.1", "share = 0.4"),
            "endpoints.tumours",
            "'linear' has canaries with shares of 1 in all; below 1 would be right",
        ),
        (
            SCHEDULED.replace('endpoint = "tumours"', 'endpoint = "moles"'),
            "schedules.nightly.endpoint",
            "'moles' is no endpoint; known: tumours",
        ),
        (
            SCHEDULED.replace("30 2 * * *", "60 2 * * *"),
            "schedules.nightly.cron",
            "'60 2 * * *': bad minute; minute, hour, day of the month, month and day of the week, such as 30 2 * * *",
        ),
        (SCHEDULED.replace("30 2 * * *", "daily"), "schedules.nightly.cron", "'daily': wrong number of fields; minute"),
        (SCHEDULED.replace("30 2 * * *", "0 0 30 2 *"), "schedules.nightly.cron", "'0 0 30 2 *': bad day-of-month"),
        (
            SCHEDULED.replace("Europe/Berlin", "Europe/Berlyn"),
            "schedules.nightly.timezone",
            "'Europe/Berlyn' is no timezone of the tz database; UTC or Europe/Berlin would be right",
        ),
        (SCHEDULED.replace("Europe/Berlin", "../etc"), "schedules.nightly.timezone", "'../etc' is no timezone"),
        (
            SCHEDULED.replace("file://in/rows.csv", "in/rows.csv"),
            "schedules.nightly.source",
            "'in/rows.csv' is no URL of a file; file://incoming/rows.csv would be right",
        ),
        (
            SCHEDULED.replace("in/rows.csv", "in/{day}.csv"),
            "schedules.nightly.source",
            "'file://in/{day}.csv': knows {tick} alone; {tick:%Y-%m-%d} would be right",
        ),
        (
            SCHEDULED + 'result = "file://out/"',
            "schedules.nightly.result",
            "'file://out/' is no URL of a file",
        ),
        (
            SCHEDULED + "catch_up_seconds = 1e9",
            "schedules.nightly.catch_up_seconds",
            "1000000000.0: should be less than",
        ),
        ('folder = "/"', "folder", "is where this file lies and cannot be set"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(load: Load, tmp_path: Path, text: str, key: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(text)

    (line,) = str(caught.value).splitlines()
    assert line.startswith(": ".join(part for part in (str(tmp_path / "predictq.toml"), key, says) if part))


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("PREDICTQ_GATEWAY__PORT", "abc", "gateway.port: 'abc': should be a valid integer"),
        ("PREDICTQ_GATEWAY__PRT", "9000", "gateway.prt: is no key that predictq knows; did you mean 'port'?"),
        ("PREDICTQ_GATEWAY", "9000", "gateway: 9000: should be a table"),
        ("PREDICTQ_BROKR", "memory://", "is no setting that predictq knows; did you mean PREDICTQ_BROKER?"),
        ("PREDICTQ_GATWAY__PORT", "9000", "is no setting that predictq knows; did you mean PREDICTQ_GATEWAY__PORT?"),
        ("PREDICTQ_ENDPOINTS", "tumours", "'tumours': should be a JSON object; a single key is set by"),
        ("PREDICTQ_DEPLOYMENTS__LINEAR__ENDPOINT", "x", "deployments.linear.endpoint: 'x' is no endpoint"),
    ],
)
def test_what_is_wrong_in_the_environment_names_the_variable(
    load: Load, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(SettingsError) as caught:
        load(WHOLE)

    assert str(caught.value).startswith(f"{variable}: {says}")


def test_variables_that_kubernetes_makes_of_a_service_named_predictq_do_no_harm(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREDICTQ_PORT", "tcp://10.0.0.1:8700")
    monkeypatch.setenv("PREDICTQ_SERVICE_HOST", "10.0.0.1")

    assert load(WHOLE).gateway.port == 8701


def test_every_mistake_has_its_line(load: Load) -> None:
    with pytest.raises(SettingsError) as caught:
        load('brokr = "x"\n[gateway]\nport = -1')

    assert len(str(caught.value).splitlines()) == 2


def test_a_named_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"missing\.toml: cannot be read: No such file or directory"):
        load_settings(tmp_path / "missing.toml")


def test_options_of_the_broker_join_its_url_and_may_come_from_the_environment(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREDICTQ_BROKER_OPTIONS__SASL_PASSWORD", "a&b=c")
    settings = load('broker = "kafka://h:9092?linger_ms=1"\n[broker_options]\ntransactions = true\n')
    assert settings.broker_url() == "kafka://h:9092?linger_ms=1&transactions=True&sasl_password=a%26b%3Dc"


def test_the_embedded_broker_has_no_options(load: Load) -> None:
    with pytest.raises(SettingsError, match="broker_options: the embedded broker has none"):
        load("[broker_options]\ntransactions = true\n")


def test_a_schedule_is_read_and_the_files_of_its_urls_start_at_the_folder(load: Load, tmp_path: Path) -> None:
    schedule = load(SCHEDULED).schedules["nightly"]

    assert (schedule.catch_up, schedule.catch_up_seconds) == ("last", 86_400.0)
    assert load(SCHEDULED).file_url(schedule.source) == f"file://{tmp_path}/in/rows.csv"
    assert load(SCHEDULED).file_url("s3://bucket/rows.csv") == "s3://bucket/rows.csv"
