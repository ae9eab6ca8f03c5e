"""What every warm process has imported before it is born. Not the judge: its stream library is large, and nobody else
needs it."""

import importlib

from watchword.flow import WORKERS

for _worker in WORKERS:
    if _worker.name != "judge":
        importlib.import_module(_worker.module)
for _name in ("watchword.__main__", "watchword.runtime.process"):
    importlib.import_module(_name)
