"""A small package that tests install, made on the spot."""

from __future__ import annotations

import zipfile
from pathlib import Path

_METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
_WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def write_wheel(folder: Path, name: str, version: str, body: str) -> Path:
    """A wheel with one module, whose text is ``body``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    facts = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": body,
        f"{facts}/METADATA": _METADATA.format(name=name, version=version),
        f"{facts}/WHEEL": _WHEEL,
    }
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in files.items():
            archive.writestr(member, text)
        archive.writestr(f"{facts}/RECORD", "".join(f"{member},,\n" for member in [*files, f"{facts}/RECORD"]))
    return path
