"""A folder for a new gateway: echo's, under another name, and its line in the catalogue.

It passes the contract suite as it stands, so that whoever writes the gateway sees at every step what still holds; the
recorded samples are the last thing of echo's to go.
"""

import re
import shutil
from pathlib import Path

PATTERN = "echo"
_NAME = re.compile(r"[a-z][a-z0-9]{1,30}")
_IMPORT = re.compile(r"^from watchword\.gateways\.(\w+)\.gateway import (\w+)$")
_ENTRY = re.compile(r'^    "(\w+)": (\w+)\(\),$')


class CannotBegin(ValueError):
    """Why no gateway can be begun under that name; the message is for the operator."""


def begin(name: str, gateways: Path) -> Path:
    """Make `gateways`/`name` and add it to the catalogue there. Raises CannotBegin; changes nothing then."""
    if not _NAME.fullmatch(name):
        raise CannotBegin(f"{name}: a gateway's name is a small letter, then small letters and digits, 31 at most")
    folder, catalog = gateways / name, gateways / "catalog.py"
    if folder.exists():
        raise CannotBegin(f"{folder} is there already")
    if not catalog.is_file() or not (gateways / PATTERN).is_dir():
        raise CannotBegin(f"{gateways} is not a checkout of the product")
    registered = with_entry(catalog.read_text("utf-8"), name)
    shutil.copytree(gateways / PATTERN, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        file.write_text(renamed(file.read_text("utf-8"), name), "utf-8")
    catalog.write_text(registered, "utf-8")
    return folder


def renamed(text: str, name: str) -> str:
    """`text` about echo, about `name`. Secrets and addresses of the samples stay: signatures cover them."""
    text = text.replace("X-Echo-Signature", f"X-{name.capitalize()}-Signature").replace(
        "class Echo:", f"class {_of(name)}:"
    )
    text = re.sub(r"\b(The|the|An) echo gateway\b", rf"\1 {name} gateway", text)
    return re.sub(r'^(name = |# )"?echo"?$', lambda told: told[0].replace(PATTERN, name), text, flags=re.MULTILINE)


def with_entry(catalog: str, name: str) -> str:
    """The catalogue with a line for `name`, in the order of names. Raises CannotBegin where it has one."""
    lines = catalog.splitlines()
    entries = {told[1] for line in lines if (told := _ENTRY.match(line))}
    if name in entries:
        raise CannotBegin(f"{name} is in the catalogue already")
    lines = _inserted(lines, _IMPORT, name, f"from watchword.gateways.{name}.gateway import {_of(name)}")
    return "\n".join(_inserted(lines, _ENTRY, name, f'    "{name}": {_of(name)}(),')) + "\n"


def _of(name: str) -> str:
    return name.capitalize()


def _inserted(lines: list[str], form: re.Pattern[str], name: str, line: str) -> list[str]:
    """`lines` with `line` before the first of its form whose name is later, or behind the last of them."""
    told = [(at, found[1]) for at, each in enumerate(lines) if (found := form.match(each))]
    place = next((at for at, other in told if other > name), told[-1][0] + 1)
    return [*lines[:place], line, *lines[place:]]
