"""What every warm process has imported before it is born. Not the judge: its stream library is large, and nobody else
needs it."""

import importlib

import watchword.__main__  # noqa: F401
from watchword.flow import WORKERS

for _worker in WORKERS:
    if _worker.name != "judge":
        importlib.import_module(_worker.module)
importlib.import_module("watchword.runtime.process")
