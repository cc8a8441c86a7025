"""Personal data sealed: in the archive and in the tables, for the right rows only, through rotation and from an earlier version on."""

from __future__ import annotations

import io
import os

import pytest

from ingestion import personal
from ingestion.load import load_readings
from ingestion.pseudonyms import Pseudonyms
from ingestion.rotation import rotate
from tests.integration.readings import file_of, form_reading
from warehouse import database, keys, originals
from warehouse.keys import Keyring, keyring
from warehouse.settings import WarehouseError

NAME, NUMBER = "欧阳样本", "451026199001011234"
ORIGINAL = b"PK\x03\x04 an original with " + NUMBER.encode() + os.urandom(10)


def two_rows(connection, settings) -> int:
    values = {"household_no": ["JC4510260001", "JC4510260002"], "head_name": [NAME, None], "id_number": [NUMBER, None], "persons": [3, 2]}
    reading = form_reading("MON02", "2020-W22", values)
    reading.source_text = [{"persons": "３ 人", "id_number": NUMBER + " "}, None]
    reading.extra = [{"联系电话": "13800000000"}, None]
    load_readings(connection, settings, [file_of(connection, reading, at="2020-06-01T09:00+08:00")])
    return connection.execute("select submission_id from intake.submission").fetchone()[0]


WHOLE = {
    1: {"household_no": "JC4510260001", "head_name": NAME, "id_number": NUMBER, "source_text": {"id_number": NUMBER + " "}, "extra": {"联系电话": "13800000000"}},
    2: {"household_no": "JC4510260002"},
}  # fmt: skip


@pytest.fixture
def archive(tmp_path):
    from dataclasses import replace

    from warehouse.settings import Settings

    settings = replace(Settings.from_environment(), home=tmp_path / "home")
    settings.prepare()
    return settings


# The archive, without a database


@pytest.mark.parametrize("size", [0, 1, originals.PIECE - 1, originals.PIECE, originals.PIECE + 1, 3 * originals.PIECE])
def test_an_original_comes_out_as_it_went_in_and_lies_sealed(archive, size):
    data = (ORIGINAL * (size // len(ORIGINAL) + 1))[:size]
    sha256, kept = originals.store(archive, io.BytesIO(data))
    assert (originals.read(archive, sha256), kept, originals.digest(archive, sha256)) == (data, size, sha256)
    on_disk = originals.path_of(archive, sha256).read_bytes()
    assert on_disk.startswith(originals.MARK) and NUMBER.encode() not in on_disk


@pytest.mark.parametrize("harm", ["a bit", "its end", "a piece", "two pieces swapped", "more behind it"])
def test_an_original_that_was_tampered_with_does_not_open(archive, harm):
    sha256, _ = originals.store(archive, io.BytesIO(ORIGINAL * (3 * originals.PIECE // len(ORIGINAL))))
    path = originals.path_of(archive, sha256)
    data, head, piece = bytearray(path.read_bytes()), len(originals.MARK) + 1 + 2 + originals.PREFIX, originals.PIECE + originals.TAG
    if harm == "a bit":
        data[head + 100] ^= 1
    elif harm == "its end":
        del data[-20:]
    elif harm == "a piece":
        del data[head + 2 * piece :]
    elif harm == "two pieces swapped":
        data[head : head + 2 * piece] = data[head + piece : head + 2 * piece] + data[head : head + piece]
    else:
        data += b"x"
    path.chmod(0o600)
    path.write_bytes(data)
    with pytest.raises(originals.Altered):
        originals.read(archive, sha256)


def test_an_archive_left_in_clear_is_sealed_once_and_can_be_cut_off(archive, monkeypatch):
    clear = []
    for n in range(3):
        path = originals.path_of(archive, f"{n}" * 64)
        path.parent.mkdir()
        path.write_bytes(ORIGINAL + bytes([n]))
        clear.append(path)
    real, done = originals._replace, []

    def cut_off(path, data, keys_):
        if len(done) == 1:
            path.with_name(f".writing-1-{path.name}").write_bytes(b"half")
            raise KeyboardInterrupt
        done.append(real(path, data, keys_))

    monkeypatch.setattr(originals, "_replace", cut_off)
    with pytest.raises(KeyboardInterrupt):
        originals.seal_all(archive)
    assert [originals.read(archive, p.name) for p in clear] == [ORIGINAL + bytes([n]) for n in range(3)]  # clear or sealed, all are there
    monkeypatch.undo()
    assert originals.seal_all(archive) == 2
    assert [originals.read(archive, p.name) for p in clear] == [ORIGINAL + bytes([n]) for n in range(3)]
    assert all(NUMBER.encode() not in p.read_bytes() for p in clear) and not list(archive.archive.glob("??/.*"))
    assert originals.seal_all(archive) == 0


def test_keys_come_from_the_environment_where_a_vault_hands_them_over(archive, monkeypatch):
    monkeypatch.setenv(keys.VARIABLE, f"v2:{'ab' * 32},v1:{'cd' * 32}")
    assert keyring(archive).current == "v2" and not (archive.home / "secrets" / keys.FILE).exists()
    assert "ab" * 32 not in repr(keyring(archive)) and repr(bytes.fromhex("ab" * 32)) not in repr(keyring(archive))
    with pytest.raises(WarehouseError, match="put a new one in front"):
        keys.add_key(archive)
    for wrong in ("k1", "k1:abcd", f"k1:{'zz' * 32}", f"a b:{'ab' * 32}"):
        monkeypatch.setenv(keys.VARIABLE, wrong)
        with pytest.raises(WarehouseError, match="64 hex digits") as told:
            keyring(archive)
        assert "abcd" not in str(told.value)


def test_a_key_that_is_gone_is_named(archive):
    sha256, _ = originals.store(archive, io.BytesIO(ORIGINAL))
    other = Keyring({"k9": bytes(32)})
    with pytest.raises(WarehouseError, match=r"The key 'k1'.*is not among the keys"):
        originals.read_path(originals.path_of(archive, sha256), other)


# Rows


def test_a_block_opens_for_its_own_rows_only():
    ring = keys.random_keyring()
    block = personal.seal("MON02", 1, 2, {"head_name": [NAME, None]}, ring)
    assert personal.unseal("MON02", block, ring) == {"head_name": [NAME, None]}
    assert NAME.encode() not in block.sealed
    for form, moved in (("IND02", block), ("MON02", personal.Block(3, 2, block.key_id, block.sealed))):
        with pytest.raises(WarehouseError, match="was altered"):
            personal.unseal(form, moved, ring)


@pytest.mark.database
def test_nothing_of_a_person_is_in_clear_and_the_loader_gets_all_of_it_back(connection, settings):
    submission = two_rows(connection, settings)
    assert personal.values_of(connection, submission, "MON02", keyring(settings)) == WHOLE
    text = connection.execute("select string_agg(t::text, '') from raw.mon02 t").fetchone()[0]
    assert not any(word in text for word in (NAME, NUMBER, "JC4510260001", "13800000000")) and "３ 人" in text


@pytest.mark.database
def test_a_new_key_seals_everything_again_and_pseudonyms_stay(connection, settings):
    submission = two_rows(connection, settings)
    sha256, _ = originals.store(settings, io.BytesIO(ORIGINAL))
    pseudonyms = connection.execute("select household_key, id_key from raw.mon02 order by row_no").fetchall()
    block = personal.blocks_of(connection, submission)[0].sealed
    connection.commit()
    connection.autocommit = True
    assert rotate(connection, settings, keep_old=True) == {"key": "k2", "originals": 1, "blocks": 1, "retired": []}
    assert list(keyring(settings).keys) == ["k2", "k1"]
    assert personal.blocks_of(connection, submission)[0].sealed != block and originals.key_of(originals.path_of(settings, sha256)) == "k2"
    assert rotate(connection, settings)["retired"] == ["k2", "k1"]
    assert list(keyring(settings).keys) == ["k3"]
    assert personal.values_of(connection, submission, "MON02", keyring(settings)) == WHOLE and originals.read(settings, sha256) == ORIGINAL
    assert connection.execute("select household_key, id_key from raw.mon02 order by row_no").fetchall() == pseudonyms
    assert Pseudonyms.of(settings).of_value("household_no", "JC4510260001") == pseudonyms[0][0]


@pytest.mark.database
def test_a_rotation_that_was_cut_off_goes_on(connection, settings, monkeypatch):
    submission = two_rows(connection, settings)
    connection.commit()
    connection.autocommit = True
    monkeypatch.setattr(personal, "reseal", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        rotate(connection, settings)
    assert personal.values_of(connection, submission, "MON02", keyring(settings)) == WHOLE
    monkeypatch.undo()
    assert rotate(connection, settings, new_key=False) == {"key": "k2", "originals": 0, "blocks": 1, "retired": ["k1"]}
    assert personal.values_of(connection, submission, "MON02", keyring(settings)) == WHOLE


@pytest.mark.database
def test_what_an_earlier_version_kept_in_clear_is_sealed_at_the_start(connection, settings):
    submission = two_rows(connection, settings)
    connection.execute("delete from raw.personal")
    connection.execute("delete from ops.once")
    connection.execute(
        """update raw.mon02 set household_no = 'JC451026000' || row_no, head_name = case row_no when 1 then %s end, id_number = case row_no when 1 then %s end,
               extra = case row_no when 1 then '{"联系电话": "13800000000"}'::jsonb end,
               source_text = case row_no when 1 then jsonb_build_object('persons', '３ 人', 'id_number', %s || ' ') end""",
        [NAME, NUMBER, NUMBER],
    )
    connection.commit()
    for _ in range(2):
        database.start(settings)
        assert personal.values_of(connection, submission, "MON02", keyring(settings)) == WHOLE
        assert connection.execute("select household_no, head_name, id_number, extra, source_text from raw.mon02 order by row_no").fetchall() == [
            (None, None, None, None, {"persons": "３ 人"}), (None, None, None, None, None),
        ]  # fmt: skip
        connection.commit()
