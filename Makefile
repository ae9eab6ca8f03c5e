.DEFAULT_GOAL := help
.PHONY: help setup demo up check new-gateway flow fmt test test-unit faults long interop advisories bench bench-fraud scale outage capacity simulate chaos soak overload attacks fuzz bench-peers bench-smpp clean

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
WORKERS ?= 2
LOCKED := --quiet --require-hashes -r
FUZZER := .cache/fuzz/installed.lock

# Without compiled modules a process starts in three seconds instead of one, and a run starts hundreds.
unexport PYTHONDONTWRITEBYTECODE

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## install everything into .venv; done by every target that needs it

demo: setup ## a narrated run of everything that ends by itself; options: ARGS="--kafka wheel"
	@$(BIN)/watchword demo $(ARGS)

up: setup ## the whole pipeline on this machine until Ctrl-C; options as for demo
	@$(BIN)/watchword up $(ARGS)

check: setup ## format, lint, types, imports and the shape of the tree, in under a minute
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/architecture

fmt: setup ## put the code into its standard form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

new-gateway: setup ## begin a gateway like its siblings: NAME=acme
	@$(BIN)/watchword gateways new $(NAME)

flow: setup ## write what repeats the map: deploy/, from flow.py, topics.yaml and the settings
	$(BIN)/watchword blueprint write

test: setup ## every test, on Apache Kafka where Java and Maven are found; options: ARGS="-k receipts", WORKERS=1
	$(BIN)/pytest -q -n $(WORKERS) --no-loadscope-reorder $(ARGS)

test-unit: setup ## the tests that need no server, in seconds
	$(BIN)/pytest -q tests/unit $(ARGS)

simulate: setup ## thousands of histories on simulated servers; MINUTES=10, or SEED=17 to play one again
	@$(BIN)/python -m tests.simulation --minutes $(or $(MINUTES),1) $(and $(SEED),--seed $(SEED))

faults: setup ## the long form of the faults: every point under load, frozen workers; options as for test
	$(BIN)/pytest -q -m slow tests/faults tests/pipeline --ignore=tests/pipeline/test_many_receipts.py $(ARGS)

long: setup ## the long form of what is no fault: plans over a million rows, ten thousand receipts, a clean end
	$(BIN)/pytest -q -m slow tests/contract tests/journeys tests/guide tests/pipeline/test_many_receipts.py $(ARGS)

chaos: setup ## everything runs and everything breaks: MINUTES=5 RATE=20 SEED=7, ARGS="--json"; then the audit
	$(BIN)/python -m tests.chaos --minutes $(or $(MINUTES),5) --rate $(or $(RATE),20) --seed $(or $(SEED),0) $(ARGS)

soak: setup ## half load for MINUTES=30 at RATE=30: memory, descriptors, tasks and latency stay flat; ARGS="--json"
	$(BIN)/python -m tests.chaos.soak --minutes $(or $(MINUTES),30) --rate $(or $(RATE),30) $(ARGS)

overload: setup ## ten times what is sustained, looked for from RATE=20 up: a code in time or a no at once; ARGS="--json"
	$(BIN)/python -m tests.chaos.overload --rate $(or $(RATE),20) $(ARGS)

attacks: setup ## every attack on the running system, in the long form; options as for test
	$(BIN)/pytest -q -m "not interop" tests/attacks $(ARGS)

fuzz: setup $(FUZZER) ## whatever reads what others write, guided by what is reached; MINUTES=5, TARGET=smpp-session
	@PYTHONPATH=.cache/fuzz/lib nice -n 10 $(BIN)/python -m tests.fuzz --minutes $(or $(MINUTES),5) $(and $(TARGET),--target $(TARGET))

advisories: setup ## known flaws of what is shipped; says so where nobody who keeps them can be asked
	.ci/advisories

interop: setup ## SMPP against software that others wrote; .ci/interop-peers installs it
	$(BIN)/pytest -q -rs -m interop tests/interop $(ARGS)

bench: setup ## what a verification costs; ARGS=--quick, GROWTH=1 (a million stored), SOAK=1, PROFILE=1
	$(BIN)/python -m tests.bench $(ARGS)

scale: setup ## one worker as 1, 2 and 4 processes under load; ARGS="--worker dispatch"
	$(BIN)/python -m tests.bench.scaling $(ARGS)

outage: setup ## one account goes away under load, what others notice of it; ARGS="--rate 50 --form silent"
	$(BIN)/python -m tests.bench.outage $(ARGS)

capacity: setup ## what 10,000 verifications/s need, from the figures of the last bench; ARGS="--per-s 500"
	@$(BIN)/python -m tests.bench.capacity $(ARGS)

bench-fraud: setup ## fraud scoring beside public rules, over held-out worlds; ARGS="--seeds 4" is the short form
	nice -n 19 $(BIN)/python -m tests.bench.fraud $(ARGS)

bench-peers: setup ## beside Kannel and Jasmin, kill -9 included; .ci/interop-peers --all has them; ARGS="--systems kannel"
	@$(BIN)/python -m tests.bench.peers $(ARGS)

bench-smpp: setup ## SMPP submissions a second with receipts, on one core; ARGS="--peers" puts smpp34 and Jasmin beside it
	@$(BIN)/python -m tests.bench.smpp $(ARGS)

clean: ## remove what can be made again: .venv, caches, data of local runs
	rm -rf .venv .watchword .bench .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find services tests -name __pycache__ -prune -exec rm -rf {} +

# uv installs the lock in a tenth of pip's time. Where it cannot be had, or not reach its index, pip does the same.
$(INSTALLED): requirements.lock pyproject.toml .ci/installer.lock
	@.ci/python-is-new-enough $(PYTHON)
	$(PYTHON) -m venv .venv
	$(BIN)/pip install $(LOCKED) .ci/installer.lock && $(BIN)/uv pip install $(LOCKED) requirements.lock || $(BIN)/pip install $(LOCKED) requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

# Only here and apart from what every other target stands on: it is built for a few kinds of machine.
$(FUZZER): .ci/fuzzer.lock
	$(BIN)/pip install --upgrade --target .cache/fuzz/lib $(LOCKED) .ci/fuzzer.lock
	@cp .ci/fuzzer.lock $@
