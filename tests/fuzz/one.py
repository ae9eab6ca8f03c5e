"""One target under the fuzzer, until it is told to stop or finds something: what `make fuzz` runs for each of them.

python -m tests.fuzz.one TARGET [libFuzzer's options and corpus directories]
"""

import sys

import atheris

with atheris.instrument_imports(include=["watchword"]):
    from tests.fuzz.targets import TARGETS


def main(name: str, options: list[str]) -> None:
    """Does not return: the fuzzer ends the process."""
    atheris.Setup([name, *options], TARGETS[name].try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
