"""Who may train on this server: the ``[access]`` table of ``CXRLAB_HOME/config.toml``, and hashed passwords."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import threading
import time
import tomllib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from cxrlab.config import home

Mode = Literal["on", "off", "password"]
MODES: tuple[Mode, ...] = ("on", "off", "password")
TRAIN_VARIABLE, HASH_VARIABLE = "CXRLAB_TRAIN", "CXRLAB_TRAIN_PASSWORD_HASH"
CONFIG_FILE = "config.toml"
LONGEST_PASSWORD = 1024  # characters; longer ones would only cost time
LOCAL = ("127.0.0.1", "localhost", "::1")

_COST = {"n": 2**14, "r": 8, "p": 1}  # RFC 7914; 16 MiB and about 50 ms a try
_MOST_COST = 2**20  # n * r * p of a stored hash: what costs more is no hash of ours


class AccessError(ValueError):
    """The settings can not be used; the text is the sentence for the user."""


@dataclass(frozen=True)
class Access:
    """Whether trainings may be started from the app: ``on``, ``off`` or with a ``password``, stored as its hash."""

    train: Mode
    password_hash: str = field(default="", repr=False)


def hash_password(text: str) -> str:
    """``scrypt$n$r$p$salt$key`` of a password, with a salt of its own; what ``password_hash`` is to be.

    Raises:
        AccessError: for an empty or an overlong password.
    """
    if not 1 <= len(text) <= LONGEST_PASSWORD:
        raise AccessError(f"A password must have 1 to {LONGEST_PASSWORD} characters, got {len(text)}.")
    salt = secrets.token_bytes(16)
    parts = [*map(str, _COST.values()), _text(salt), _text(_key(text, salt, **_COST))]
    return "$".join(["scrypt", *parts])


def check_password(text: str, stored: str) -> bool:
    """Is it the password of the hash? Takes as long for a wrong one as for the right one.

    Raises:
        AccessError: when ``stored`` is not what :func:`hash_password` makes.
    """
    cost, salt, key = _parsed(stored)
    return hmac.compare_digest(_key(text[:LONGEST_PASSWORD], salt, **cost), key)


def read_access(address: str = "") -> Access:
    """The settings: the environment wins over the file; without any, on where only this computer can reach the server.

    Args:
        address: that the server listens on; empty: all.

    Raises:
        AccessError: for a file that can not be read, another mode, or a password without its hash.
    """
    stored = _file_settings()
    train = os.environ.get(TRAIN_VARIABLE, "") or stored.get("train", "")
    password_hash = os.environ.get(HASH_VARIABLE, "") or stored.get("password_hash", "")
    if train == "":
        train = "password" if password_hash else "on" if address in LOCAL else "off"
    if train == "on":
        return Access("on")
    if train == "off":
        return Access("off")
    if train != "password":
        raise AccessError(f"train in [access] must be one of {', '.join(MODES)}, got {train!r}.")
    if not password_hash:
        raise AccessError("Access by password needs password_hash in [access]; `cxrlab access hash` makes one.")
    _parsed(password_hash)
    return Access("password", password_hash)


class Attempts:
    """At most ``most`` tries within ``window_s`` seconds, of all sessions of the process together."""

    def __init__(self, most: int = 5, window_s: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.most, self.window_s, self.clock = most, window_s, clock
        self._times: deque[float] = deque()
        self._lock = threading.Lock()

    def wait_s(self) -> float:
        """Counts a try and returns 0, or does not and returns the seconds until the next one is allowed."""
        with self._lock:
            now = self.clock()
            while self._times and now - self._times[0] >= self.window_s:
                self._times.popleft()
            if len(self._times) >= self.most:
                return self.window_s - (now - self._times[0])
            self._times.append(now)
            return 0.0


def _file_settings() -> dict[str, str]:
    try:
        found = tomllib.loads((home() / CONFIG_FILE).read_text(encoding="utf-8")).get("access", {})
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise AccessError(f"{CONFIG_FILE} can not be read as TOML: {error}.") from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise AccessError(f"[access] in {CONFIG_FILE} must be a table of texts: train and password_hash.")
    if unknown := set(found) - {"train", "password_hash"}:
        raise AccessError(f"[access] in {CONFIG_FILE} has train and password_hash, got {', '.join(sorted(unknown))}.")
    return found


def _key(text: str, salt: bytes, *, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(text.encode(), salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=32)


def _parsed(stored: str) -> tuple[dict[str, int], bytes, bytes]:
    try:
        kind, n, r, p, salt, key = stored.split("$")
        cost = {"n": int(n), "r": int(r), "p": int(p)}
        if kind == "scrypt" and min(cost.values()) > 0 and cost["n"] * cost["r"] * cost["p"] <= _MOST_COST:
            return cost, base64.b64decode(salt, validate=True), base64.b64decode(key, validate=True)
    except (ValueError, binascii.Error):
        pass
    raise AccessError("password_hash must be a text that `cxrlab access hash` made; make a new one.")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
