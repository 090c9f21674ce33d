"""Identity and consent that live in the engine, as tables named in the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from microconv.activation.audience.first_party import read_consent, read_identity
from microconv.activation.audience.people import ConsentRecord, Person
from microconv.config.sections import ConsentConfig, IdentityConfig
from microconv.engines.duckdb import DuckDBEngine
from microconv.errors import ConfigError

CONFIG = Path("microconv.toml")


@pytest.fixture
def engine(tmp_path):
    with DuckDBEngine(tmp_path / "microconv.duckdb") as opened:
        yield opened


def test_tables_of_the_engine_give_the_same_people_as_files_would(engine):
    engine._connection.execute(
        """CREATE TABLE people AS SELECT 7 AS user_id, 'a@example.com' AS email, NULL AS phone, NULL AS first_name,
        NULL AS last_name, 'DE' AS country, 10115 AS postal_code"""
    )
    engine._connection.execute(
        """CREATE TABLE answers AS SELECT '7' AS user_id, 'granted' AS ad_user_data, 'denied' AS ad_personalization,
        TIMESTAMPTZ '2024-03-01 12:00:00+00' AS changed_at"""
    )
    (person,) = read_identity(IdentityConfig(table="people"), engine, CONFIG)
    (answer,) = read_consent(ConsentConfig(table="answers"), engine, CONFIG)
    assert person == Person("7", "a@example.com", None, None, None, "DE", "10115")
    assert isinstance(answer, ConsentRecord)
    assert (answer.user_id, answer.ad_user_data, answer.ad_personalization) == ("7", "granted", "denied")


@pytest.mark.parametrize(("read", "config"), [(read_identity, IdentityConfig()), (read_consent, ConsentConfig())])
def test_nothing_is_exported_without_both_tables(engine, read, config):
    with pytest.raises(ConfigError, match="nothing can be exported"):
        tuple(read(config, engine, CONFIG))


def test_table_that_is_not_there_names_the_key(engine):
    with pytest.raises(ConfigError, match=r"identity\.table = 'nobody' in microconv\.toml cannot be read"):
        tuple(read_identity(IdentityConfig(table="nobody"), engine, CONFIG))
