"""Access: passwords and their hashes, settings from file and environment, the limit of tries."""

import hashlib
from pathlib import Path

import pytest

from cxrlab.workflows import access
from cxrlab.workflows.access import Access, AccessError, Attempts, check_password, hash_password, read_access


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(access.TRAIN_VARIABLE, raising=False)
    monkeypatch.delenv(access.HASH_VARIABLE, raising=False)


def config(home: Path, text: str) -> None:
    (home / access.CONFIG_FILE).write_text(text, encoding="utf-8")


def test_a_hash_fits_its_password_only() -> None:
    stored = hash_password("grün & gut")
    assert check_password("grün & gut", stored)
    assert not check_password("grün & gut ", stored)
    assert not check_password("", stored)
    assert "gut" not in stored


def test_two_hashes_of_a_password_differ() -> None:
    assert hash_password("same") != hash_password("same")


def test_a_hash_is_scrypt_as_hashlib_has_it() -> None:
    import base64

    _, n, r, p, salt, key = hash_password("word").split("$")
    expected = hashlib.scrypt(b"word", salt=base64.b64decode(salt), n=int(n), r=int(r), p=int(p), dklen=32)
    assert base64.b64decode(key) == expected


@pytest.mark.parametrize("text", ["", "x" * 1025])
def test_an_empty_or_overlong_password_is_refused(text: str) -> None:
    with pytest.raises(AccessError, match="must have 1 to 1024 characters"):
        hash_password(text)


@pytest.mark.parametrize("stored", ["", "plain text", "scrypt$1$2$3", "scrypt$1048576$64$1$AAAA$AAAA", "md5$1$1$1$A$A"])
def test_what_is_no_hash_of_ours_is_an_error_and_never_a_password(stored: str) -> None:
    with pytest.raises(AccessError, match="cxrlab access hash"):
        check_password(stored, stored)


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::1"])
def test_on_where_only_this_computer_can_reach_the_server(address: str) -> None:
    assert read_access(address).train == "on"


@pytest.mark.parametrize("address", ["", "0.0.0.0", "192.168.1.5"])
def test_off_where_others_can_reach_it(address: str) -> None:
    assert read_access(address).train == "off"


def test_the_file_decides_and_the_environment_wins(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config(own_home, '[access]\ntrain = "on"\n')
    assert read_access("0.0.0.0").train == "on"
    monkeypatch.setenv(access.TRAIN_VARIABLE, "off")
    assert read_access("127.0.0.1").train == "off"


def test_a_hash_alone_asks_for_its_password(own_home: Path) -> None:
    stored = hash_password("word")
    config(own_home, f'[access]\npassword_hash = "{stored}"\n')
    assert read_access("127.0.0.1") == Access("password", stored)
    assert stored not in repr(read_access("127.0.0.1"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[access]\ntrain = "maybe"', "must be one of on, off, password, got 'maybe'"),
        ('[access]\ntrain = "password"', "needs password_hash"),
        ('[access]\ntrain = "password"\npassword_hash = "secret"', "cxrlab access hash"),
        ("[access]\ntrain = true", "must be a table of texts"),
        ('[access]\ntrian = "on"', "has train and password_hash, got trian"),
        ("access = 3", "must be a table of texts"),
        ("[access", "can not be read as TOML"),
    ],
)
def test_settings_that_make_no_sense_are_said(own_home: Path, text: str, message: str) -> None:
    config(own_home, text)
    with pytest.raises(AccessError, match=message):
        read_access("127.0.0.1")


def test_tries_run_out_and_come_back_with_time() -> None:
    now = [0.0]
    tries = Attempts(most=2, window_s=60, clock=lambda: now[0])
    assert (tries.wait_s(), tries.wait_s()) == (0, 0)
    now[0] = 10
    assert tries.wait_s() == 50
    now[0] = 60
    assert tries.wait_s() == 0
