"""The least that pip needs to build this module (PEP 517), so that no build tool is downloaded."""

import base64
import hashlib
import io
import os
import re
import tarfile
import zipfile

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_MODULE = "bitsearch_predictor.py"
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)


def _field(name):
    with open(os.path.join(_FOLDER, "pyproject.toml"), encoding="utf-8") as file:
        return re.search(rf'^{name} = "(.*)"$', file.read(), re.MULTILINE).group(1)


def _metadata():
    return (
        f"Metadata-Version: 2.1\nName: {_field('name')}\nVersion: {_field('version')}\n"
        f"Summary: {_field('description')}\nRequires-Python: {_field('requires-python')}\n"
    )


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    stem = f"{_field('name').replace('-', '_')}-{_field('version')}"
    with open(os.path.join(_FOLDER, _MODULE), "rb") as file:
        module = file.read()
    files = {
        _MODULE: module,
        f"{stem}.dist-info/METADATA": _metadata().encode(),
        f"{stem}.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: bitsearch\n"
        b"Root-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{stem}.dist-info/RECORD"
    lines = []
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(content)}\n")
    files[record] = ("".join(lines) + f"{record},,\n").encode()
    wheel = f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, wheel), "w") as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, _FIXED_TIME)
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)
    return wheel


def build_sdist(sdist_directory, config_settings=None):
    stem = f"{_field('name').replace('-', '_')}-{_field('version')}"
    name = f"{stem}.tar.gz"
    with tarfile.open(os.path.join(sdist_directory, name), "w:gz") as archive:
        for file in ("pyproject.toml", "build_backend.py", _MODULE):
            archive.add(os.path.join(_FOLDER, file), f"{stem}/{file}")
        info = tarfile.TarInfo(f"{stem}/PKG-INFO")
        info.size = len(_metadata().encode())
        archive.addfile(info, io.BytesIO(_metadata().encode()))
    return name
