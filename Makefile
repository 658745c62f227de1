# make test, make demo, ... set up what they need in a virtual environment of their own: .venv, or VENV=DIRECTORY.

SHELL := /bin/sh
ME := $(shell id -u)
# An environment that another user made (root, say) is left to that user.
VENV ?= $(shell if test ! -e .venv || test "$$(stat -c %u .venv)" = $(ME); then echo .venv; else echo .venv-$(ME); fi)
override VENV := $(abspath $(VENV))
PYTHON ?= python3 python3.13 python3.12 python3.11
SCHEDULES ?= 20000
FAULTS ?= 100
MINUTES ?= 10
GROUPS ?= 250
BIN := $(VENV)/bin
TOOLS := $(VENV)/tools/bin
WORLD := $(BIN)/python -m hatwist.lab.world --
SETUP := setup.cfg setup.py pyproject.toml

# What the tools leave behind stays in the environment: inside a private world every user is called root, and
# pytest would share /tmp/pytest-of-root with the real one.
export MYPY_CACHE_DIR := $(VENV)/cache/mypy
export RUFF_CACHE_DIR := $(VENV)/cache/ruff
export HYPOTHESIS_STORAGE_DIRECTORY := $(VENV)/cache/hypothesis
PYTEST := $(BIN)/python -m pytest -o cache_dir=$(VENV)/cache/pytest --basetemp=$(VENV)/cache/tmp

.PHONY: help demo quick test test-unit test-packaging test-live lint simulate faults manyfaults benchmark lock audit clean
.NOTPARALLEL:

help:
	@echo 'make demo       see three daemons keep an address alive while one is killed, stopped, unplugged'
	@echo 'make quick      check style and types, and run the unit tests but random schedules: under three minutes'
	@echo 'make test       run every test'
	@echo 'make lint       check style and types'
	@echo 'make simulate   run the protocol through $(SCHEDULES) random schedules of each kind (SCHEDULES=N)'
	@echo 'make faults     break three real nodes that vote in $(FAULTS) random ways (FAULTS=N)'
	@echo 'make manyfaults the same for $(MINUTES) minutes with $(GROUPS) groups that have holders of their own (MINUTES=N GROUPS=N)'
	@echo 'make benchmark  what a heartbeat, an idle node, its memory, a start and many groups cost here, against the budgets'
	@echo 'make audit      ask for known vulnerabilities of the packages in requirements.txt; needs the network'
	@echo 'make lock       make requirements.txt anew, with the newest packages that setup.cfg allows; needs the network'
	@echo 'make clean      remove everything that these made'

demo: $(VENV)/.installed
	@$(BIN)/hatwist lab

# Under one runner, on all processors; make test has both.
quick: lint
	$(PYTEST) -q -p no:twisted -n auto --dist worksteal -k 'not ScheduleTests and not test_schedules' tests/unit

test: test-unit test-packaging test-live

# Under both runners at once: each takes a processor.
test-unit: $(VENV)/.installed-test
	@mkdir -p $(VENV)/cache
	@HATWIST_ONCE=1 $(BIN)/python -m twisted.trial --temp-directory=$(VENV)/cache/trial tests.unit >$(VENV)/cache/trial.log 2>&1 & \
	trial=$$!; \
	$(PYTEST) -p no:twisted tests/unit; status=$$?; \
	wait $$trial || status=1; \
	grep -v '\[OK\]$$' $(VENV)/cache/trial.log | tail -n 200; \
	exit $$status

test-packaging: $(VENV)/.installed-test
	$(PYTEST) -p no:twisted tests/packaging

test-live: $(VENV)/.installed-test
	$(WORLD) $(PYTEST) tests/live

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/mypy

simulate: $(VENV)/.installed-test
	$(BIN)/python -m hatwist.testing --kind all --schedules $(SCHEDULES)

faults: $(VENV)/.installed
	$(BIN)/python -m hatwist.lab.faults --count $(FAULTS)

manyfaults: $(VENV)/.installed
	$(BIN)/python -m hatwist.lab.manyfaults --groups $(GROUPS) --minutes $(MINUTES)

benchmark: $(VENV)/.installed
	@status=0; \
	$(BIN)/python benchmarks/wire.py || status=1; \
	$(BIN)/python benchmarks/idle.py || status=1; \
	$(BIN)/python benchmarks/memory.py || status=1; \
	$(BIN)/python benchmarks/groups.py || status=1; \
	exit $$status

# What the documented installation gets, each file with its hash; the header says what it is for.
lock: $(VENV)/.made-tools
	@$(TOOLS)/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --strip-extras \
	    --build-deps-for wheel --no-header --no-emit-index-url --no-emit-find-links --output-file $(VENV)/cache/lock setup.cfg
	@{ sed -n 1p requirements.txt; cat $(VENV)/cache/lock; } >$(VENV)/cache/locked
	@cp $(VENV)/cache/locked requirements.txt

audit: $(VENV)/.made-tools
	@$(TOOLS)/python .ci/audit $(TOOLS)/pip-audit requirements.txt

clean:
	rm -rf .venv .venv-* build dist hatwist.egg-info _trial_temp* .hypothesis .pytest_cache .mypy_cache .ruff_cache
	rm -rf tests.unit.* twisted/plugins/dropin.cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: $(VENV)/.made $(SETUP)
	@$(call install,.)

$(VENV)/.installed-test: $(VENV)/.made $(SETUP)
	@$(call install,.[test])

# In an environment of their own: what they need is not what hatwist needs.
$(VENV)/.made-tools: $(VENV)/.made
	@mkdir -p $(VENV)/cache
	@"$(BIN)/python" -m venv "$(VENV)/tools"
	@"$(TOOLS)/python" -m pip install --quiet --disable-pip-version-check pip-audit pip-tools && touch "$@"

# A version's command may exist and not work (pyenv's), belong to another user, or lack the venv module (Debian's).
$(VENV)/.made:
	@lacking=; \
	for python in $(PYTHON); do \
	    "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	    if "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	        echo "hatwist: making $(VENV) with $$("$$python" --version)"; \
	        rm -rf "$(VENV)"; \
	        "$$python" -m venv "$(VENV)" || exit 1; \
	        touch "$@"; \
	        exit 0; \
	    fi; \
	    lacking="$$lacking $$("$$python" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')"; \
	done; \
	if test -n "$$lacking"; then \
	    echo "hatwist: this Python has no venv module; on Debian: apt-get install$$lacking (one will do)" >&2; \
	else \
	    echo "hatwist: no Python from 3.11 on among: $(PYTHON); install one, or say make PYTHON=/path/to/it" >&2; \
	fi; \
	exit 1

define install
	if test -e hatwist.egg-info && test ! -w hatwist.egg-info/PKG-INFO; then \
	    echo "hatwist: hatwist.egg-info belongs to another user, who ran make here; remove it: sudo rm -rf hatwist.egg-info" >&2; \
	    exit 1; \
	fi; \
	echo "hatwist: installing what is needed into $(VENV)"; \
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --editable '$(1)' && touch "$@"
endef
