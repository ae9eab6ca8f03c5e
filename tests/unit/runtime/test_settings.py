"""A setting that cannot be used, or that nobody reads, is told with its name, its source and the fix."""

from pathlib import Path

import pytest
from pydantic import Field

from watchword.runtime.settings import RuntimeSettings, SettingsError, WorkerSettings, for_worker, load_runtime


class LanesSettings(WorkerSettings):
    """Stands for a worker's settings; outside the package, so nobody else meets it."""

    model_config = for_worker("lanes")

    count_max: int = Field(8, ge=1, description="Lanes at once")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("WATCHWORD_"):
            monkeypatch.delenv(name)


def complaint() -> str:
    with pytest.raises(SettingsError) as caught:
        load_runtime()
    return str(caught.value)


def config(monkeypatch: pytest.MonkeyPatch, directory: Path, text: str) -> Path:
    file = directory / "watchword.toml"
    file.write_text(text)
    monkeypatch.setenv("WATCHWORD_CONFIG", str(file))
    return file


def test_defaults_stand_alone() -> None:
    settings = load_runtime()
    assert (settings.http_host, settings.http_port, settings.ops_port) == ("127.0.0.1", 8080, 0)


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config(monkeypatch, tmp_path, 'http_port = 1000\nkafka = "file:9092"\n')
    monkeypatch.setenv("WATCHWORD_HTTP_PORT", "2000")
    settings = load_runtime()
    assert (settings.http_port, settings.kafka) == (2000, "file:9092")


def test_a_wrong_value_names_the_variable_the_source_and_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHWORD_HTTP_PORT", "eighty")
    told = complaint()
    assert "WATCHWORD_HTTP_PORT (environment)" in told and "integer" in told and "Port of the public API" in told


def test_a_wrong_value_in_the_file_names_its_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = config(monkeypatch, tmp_path, '# ours\nkafka = "k"\nhttp_port = 70000\n')
    assert f"WATCHWORD_HTTP_PORT ({file}:3)" in complaint()


def test_several_wrong_values_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHWORD_LOG_LEVEL", "loud")
    monkeypatch.setenv("WATCHWORD_TRUSTED_PROXIES", "10.0.0.0/8, nowhere")
    told = complaint()
    assert "WATCHWORD_LOG_LEVEL" in told and "WATCHWORD_TRUSTED_PROXIES" in told


def test_a_mistyped_variable_is_told_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHWORD_POSTGRS", "x")
    assert "WATCHWORD_POSTGRS (environment) is not a setting. Did you mean WATCHWORD_POSTGRES?" in complaint()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("http_prt = 1\n", "http_prt ({file}:1) is not a setting. Did you mean http_port?"),
        ("\n[timerz]\nx = 1\n", "timerz ({file}:2) is not a setting. Did you mean timers?"),
        (
            "[timers]\nsweep_afer_s = 1\n",
            "sweep_afer_s in [timers] ({file}:2) is not a setting. Did you mean sweep_after_s?",
        ),
        ("http_port = \n", "{file} is not TOML"),
        ("http_port = " + "9" * 4_400, "{file} is not TOML"),
    ],
)
def test_a_mistyped_name_in_the_file_is_told_with_its_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, told: str
) -> None:
    file = config(monkeypatch, tmp_path, text)
    assert told.format(file=file) in complaint()


def test_a_file_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHWORD_CONFIG", "/nowhere/watchword.toml")
    assert "WATCHWORD_CONFIG=/nowhere/watchword.toml (environment): No such file" in complaint()


def test_secrets_are_in_no_message_and_no_print(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHWORD_POSTGRES", "mysql://user:hunter2@host/db")
    assert "hunter2" not in complaint()
    settings = RuntimeSettings(postgres="postgresql://user:hunter2@host/db", kafka_password="hunter3")  # type: ignore[arg-type]
    told = repr(settings) + str(settings) + repr(settings.explain())
    assert "hunter" not in told and "postgresql://user:****@host/db" in told
    assert settings.postgres.get_secret_value() == "postgresql://user:hunter2@host/db"


def test_explain_tells_where_each_value_came_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = config(monkeypatch, tmp_path, 'kafka = "k:9092"\n')
    monkeypatch.setenv("WATCHWORD_ORDINAL", "3")
    sources = {one.name: (one.value, one.source) for one in load_runtime().explain()}
    assert sources["WATCHWORD_KAFKA"] == ("k:9092", f"{file}:1")
    assert sources["WATCHWORD_ORDINAL"] == ("3", "environment")
    assert sources["WATCHWORD_HTTP_PORT"] == ("8080", "default")


def test_a_command_says_what_it_cannot_do_without() -> None:
    with pytest.raises(SettingsError, match="WATCHWORD_KEYRING is not set") as caught:
        load_runtime().need("keyring", "postgres")
    assert len(caught.value.problems) == 2


def test_a_worker_has_its_own_prefix_and_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = config(monkeypatch, tmp_path, "[lanes]\ncount_max = 3\n")
    assert LanesSettings.load().count_max == 3
    assert LanesSettings.load().explain()[0].source == f"{file}:2"
    monkeypatch.setenv("WATCHWORD_LANES_COUNT_MAX", "0")
    with pytest.raises(SettingsError, match=r"WATCHWORD_LANES_COUNT_MAX \(environment\)"):
        LanesSettings.load()
