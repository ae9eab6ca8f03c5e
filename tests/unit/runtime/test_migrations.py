"""Which migrations are read, and which are pending."""

from pathlib import Path

import pytest

from watchword.runtime.migrations import Applied, Migration, MigrationError, expected_level, pending, read


def migration(version: int, digest: str = "d") -> Migration:
    return Migration(version, f"{version:04}_pre_step", "SELECT 1;", digest)


def applied(version: int, digest: str = "d") -> Applied:
    return Applied(version, f"{version:04}_pre_step", digest)


def test_a_new_database_gets_every_migration_in_order() -> None:
    known = (migration(1), migration(2), migration(3))
    assert pending(known, []) == known


def test_only_what_is_missing_is_pending() -> None:
    known = (migration(1), migration(2), migration(3))
    assert pending(known, [applied(1), applied(2)]) == (migration(3),)


def test_older_code_starts_on_a_newer_database() -> None:
    assert pending((migration(1),), [applied(1), applied(2)]) == ()


def test_a_migration_that_changed_after_it_was_applied_is_refused() -> None:
    with pytest.raises(MigrationError, match=r"0001_pre_step\.sql has changed since it was applied"):
        pending((migration(1, "new"), migration(2)), [applied(1, "old")])


def test_a_migration_numbered_below_an_applied_one_is_refused() -> None:
    with pytest.raises(MigrationError, match=r"0002_pre_step\.sql comes before number 3"):
        pending((migration(1), migration(2), migration(3)), [applied(1), applied(3)])


def test_files_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("0010_post_drop", "0002_pre_grow", "0001_pre_core"):
        (tmp_path / f"{name}.sql").write_text("SELECT 1;")
    assert [each.name for each in read(tmp_path)] == ["0001_pre_core", "0002_pre_grow", "0010_post_drop"]
    assert expected_level(tmp_path) == 10


def test_a_directory_without_migrations_expects_nothing(tmp_path: Path) -> None:
    assert expected_level(tmp_path) == 0


@pytest.mark.parametrize("name", ["1_pre_core", "0001_core", "0001_during_core", "0001_pre_Core", "0001_pre_"])
def test_a_file_whose_name_says_too_little_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.sql").write_text("SELECT 1;")
    with pytest.raises(MigrationError, match="a migration is called"):
        read(tmp_path)


def test_a_number_used_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0001_pre_a.sql").write_text("SELECT 1;")
    (tmp_path / "0001_pre_b.sql").write_text("SELECT 1;")
    with pytest.raises(MigrationError, match=r"0001_pre_b\.sql: number 1 is taken by 0001_pre_a\.sql"):
        read(tmp_path)
