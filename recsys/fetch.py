"""Fetches MovieLens-100k once into the user's cache; after that nothing touches the network."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from lossdsl.recsys.dataset import DataError

ADDRESS = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
# Of `u.data`, which the archive and the wheel hold byte for byte alike.
SHA256 = "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490"
WHEEL = "recbole==1.2.1"
LARGEST = 64 * 2**20

NOTICE = """MovieLens-100k is provided by GroupLens Research, University of Minnesota, for research use. It may not be
redistributed without permission, nor used commercially; publications cite Harper and Konstan, The MovieLens Datasets:
History and Context, ACM TiiS 5(4), 2015. The whole licence: https://files.grouplens.org/datasets/movielens/ml-100k-README.txt"""


def cache() -> Path:
    """The folder of fetched data: LOSSDSL_CACHE, or the user's cache folder."""
    if own := os.environ.get("LOSSDSL_CACHE"):
        return Path(own)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "lossdsl"
    if sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "lossdsl"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lossdsl"


def movielens_100k() -> Path:
    """Where `u.data` lies once it was fetched; `DataError` says how to fetch it before that."""
    path = cache() / "ml-100k" / "u.data"
    if not path.is_file():
        raise DataError("ml-100k is not here yet; fetch it once with `lossdsl data get ml-100k`")
    return path


Source = Callable[[], bytes]

# A ValueError is what an address gives that is none.
_TROUBLE = (DataError, OSError, HTTPException, ValueError, zipfile.BadZipFile, subprocess.SubprocessError)


def fetch(
    *,
    address: str | None = None,
    wheel: Source | None = None,
    digest: str = SHA256,
    say: Callable[[str], None] = lambda text: None,
) -> Path:
    """Fetches `u.data` from the official address, or else out of a wheel that carries it, and checks every byte.

    `LOSSDSL_ML100K_URL` replaces the address. The file appears in the cache whole or not at all; the licence is said
    once, when it does.
    """
    place = cache() / "ml-100k" / "u.data"
    if place.is_file() and hashlib.sha256(place.read_bytes()).hexdigest() == digest:
        say(f"already here: {place}")
        return place
    url = address or os.environ.get("LOSSDSL_ML100K_URL") or ADDRESS
    sources: list[tuple[str, Source]] = [
        (url, lambda: _member(_download(url), "ml-100k/u.data")),
        (f"the wheel of {WHEEL}", wheel or _from_wheel),
    ]
    problems = []
    for name, source in sources:
        say(f"fetching {name}")
        try:
            data = source()
        except _TROUBLE as error:
            problems.append(f"{name}: {_short(error)}")
            continue
        found = hashlib.sha256(data).hexdigest()
        if found != digest:
            problems.append(f"{name}: the checksum is wrong ({found[:12]}… instead of {digest[:12]}…)")
            continue
        _write(place, data)
        say(NOTICE)
        return place
    raise DataError("ml-100k could not be fetched; " + "; ".join(problems))


def _download(url: str) -> bytes:
    request = Request(url, headers={"User-Agent": "lossdsl"})
    try:
        with urlopen(request, timeout=30) as answer:
            data: bytes = answer.read(LARGEST + 1)
            promised = answer.headers.get("Content-Length")
    except URLError as error:
        raise DataError(str(error.reason)) from None
    if len(data) > LARGEST:
        raise DataError("the answer is far larger than the data set")
    if promised is not None and int(promised) != len(data):
        raise DataError(f"the download broke off after {len(data)} of {promised} bytes")
    return data


def _member(archive: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        try:
            info = file.getinfo(name)
        except KeyError:
            raise DataError(f"the archive has no {name}") from None
        if info.file_size > LARGEST:
            raise DataError(f"{name} in the archive is far larger than the data set")
        return file.read(info)


def _from_wheel() -> bytes:
    """Downloads the wheel with pip, installs nothing, and reads the one file of it that is of use."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
        done = subprocess.run([*command, "--dest", folder, WHEEL], capture_output=True, text=True, timeout=300)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            raise DataError("pip could not download it")
        inter = _member(wheels[0].read_bytes(), "recbole/dataset_example/ml-100k/ml-100k.inter")
    # Its first line names the columns; the rest is u.data.
    return inter.partition(b"\n")[2]


def _write(place: Path, data: bytes) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as file:
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                os.replace(file.name, place)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise DataError(f"{place}: cannot be written ({error.strerror or error})") from None


def _short(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1][:200]
