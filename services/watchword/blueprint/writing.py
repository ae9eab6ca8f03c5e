"""How generated files are written: a line that says where they come from, then YAML in the order it was told."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

MADE = "# Made by `make flow` from the map, the topics and the settings. Change those, not this.\n"
_WIDTH = 120


class _Plain(yaml.SafeDumper):
    """Repeats what stands twice: an alias is one thing more to understand."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def yaml_text(*documents: Mapping[str, Any], head: str = "") -> str:
    """YAML documents under the line that says who made them."""
    dumped = yaml.dump_all(documents, Dumper=_Plain, sort_keys=False, width=_WIDTH, explicit_start=len(documents) > 1)
    return MADE + head + dumped


def env_text(values: Mapping[str, str], head: str = "") -> str:
    """A file of NAME=value lines, as Docker and Kustomize read it."""
    return MADE + head + "".join(f"{name}={value}\n" for name, value in values.items())


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; bars within cells are escaped."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
