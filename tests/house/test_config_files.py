"""What stands in config/ repeats the settings and is kept equal to them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dispatcher.settings import CONFIG_VARIABLE, Settings

from .generated import docs_of

CONFIG = Path(__file__).resolve().parents[2] / "config"
DEFAULTS: dict[str, Any] = {name: field.default for name, field in Settings.model_fields.items()}


def _toml() -> str:
    return (CONFIG / "dispatcher.toml").read_text(encoding="utf-8")


def test_the_toml_file_holds_the_defaults() -> None:
    with_default = {name: value for name, value in DEFAULTS.items() if value is not None}
    written = {name: sorted(v) if isinstance(v, frozenset) else v for name, v in with_default.items()}
    assert tomllib.loads(_toml()) == written


def test_the_toml_file_shows_what_has_no_default() -> None:
    shown = re.findall(r"^# (\w+) = ", _toml(), re.MULTILINE)
    assert shown == [name for name, value in DEFAULTS.items() if value is None]


def test_examples_of_settings_without_default_are_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "dispatcher.toml"
    file.write_text(re.sub(r"^# (?=\w+ = )", "", _toml(), flags=re.MULTILINE))
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    assert Settings.load().default_region is not None


def test_the_example_environment_names_real_settings() -> None:
    named = re.findall(r"^#?(DISPATCHER_\w+)=", (CONFIG / ".env.example").read_text(), re.MULTILINE)
    assert named
    assert set(named) <= {f"DISPATCHER_{name.upper()}" for name in DEFAULTS} | {CONFIG_VARIABLE}


def test_the_example_environment_holds_no_secret() -> None:
    assigned = re.findall(r"^\w+=(.*)$", (CONFIG / ".env.example").read_text(), re.MULTILINE)
    assert set(assigned) == {""}


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, text in docs_of(Settings).items() if name in DEFAULTS and not text] == []


def test_config_is_data_only() -> None:
    """The name `config` belongs to others, so nothing may be importable there."""
    assert list(CONFIG.glob("**/*.py")) == []
