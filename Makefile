# Three commands for a newcomer; each sets up what it needs, then and only then.
#
#   make demo    watch two people talk through the SDK, on this machine; installs what that needs, no more
#   make test    what every change must pass: style, types, unit and wire tests, documentation
#   make check   everything: make test, then other people's servers and clients, processes, random faults
#
#   make test-lowest  the tests near each dependency, with its oldest release that setup.cfg lets in
#   make test-django  the tests of Django's integration, with each release beside the one in .venv
#   make test-versions  unit and wire tests and documentation, with each Python that this machine has; says
#                which ones it has not (VERSIONS="3.12 3.13" chooses)
#   make windows the tests of what a desktop program uses, as if this were Windows
#   make dist    the source distribution and the wheel, in dist, and whether an index takes them
#   make venv    the virtual environment that all share, in .venv
#   make lint    style and types alone
#   make docs    the documentation, in docs/_build/html
#   make bench   what calls cost, in CPU and memory, beside their goals; also in build/bench.json
#   make bench-guard  whether a hot path has become dearer: calls and memory, counted and not timed
#   make soak    long runs: a million messages, a bot that is killed 100 times, a relay of which
#                each part is killed, then 500 schedules of faults (SCHEDULES=, SEED=)
#   make fuzz    damaged input for parsers, decoders, files and ports (FUZZ_SECONDS=600, SEED=, TARGETS=)
#   make properties  the property tests with other examples, ten times as many (SEED=, EXAMPLES=1000)
#   make jitter  the tests of all that has threads, with random pauses inside the package (SEED=)
#   make flood   17 kinds of flood, 30 seconds of CPU each, into docs/security.md
#   make reconnect-table  what ten faults cost this client and slixmpp, into docs/reconnecting.md
#   make clean   remove what these commands made
#
# WORKERS=n runs the tests in n processes (one per core otherwise). The property tests have fixed examples, so
# that a run repeats the one before it; with SEED=n they draw their examples from that number.

PYTHON ?= python3
export PYTHON

WORKERS ?= auto
PYTEST = .venv/bin/python -m pytest
# Each worker begins with a share of neighbouring tests, which have fixtures in common, and helps out at the end.
PARALLEL = $(PYTEST) -n $(WORKERS) --dist worksteal $(if $(SEED),--hypothesis-seed=$(SEED))

.PHONY: demo test test-lowest test-django test-versions windows dist check venv lint docs bench bench-guard soak fuzz properties flood jitter reconnect-table referees clean

# The environment of the tests will do, if it is there; else one with what the demo needs alone.
DEMO := $(if $(wildcard .venv/ready),.venv,build/demo)

demo: $(DEMO)/ready
	@$(DEMO)/bin/connectycube demo

test: venv lint
	@$(PARALLEL) tests/unit tests/wire tests/docs

check:
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory test-lowest
	@$(MAKE) --no-print-directory windows
	@$(MAKE) --no-print-directory bench-guard
	@.ci/install referees
	@$(MAKE) --no-print-directory test-django
	@$(PARALLEL) $(if $(filter true,$(CI)),--all-referees) tests/interop tests/processes tests/fuzz tests/soak

# click, rich and keyring: cli. Flask: contrib/flask. requests and urllib3: rest. attrs: models. blinker: signals. xmpppy: protocol. aiohttp and trustme: emulator.
LOWEST = tests/unit/models tests/unit/rest tests/unit/chat/test_signals.py \
	tests/unit/chat/protocol/test_stream.py tests/unit/chat/protocol/test_rooms.py \
	tests/unit/chat/protocol/test_decoding.py tests/unit/testing tests/wire/test_client.py \
	tests/wire/rest tests/wire/chat/test_messaging.py tests/wire/emulator/test_rest.py \
	tests/wire/emulator/test_xmpp.py tests/wire/emulator/api/test_files.py \
	tests/unit/contrib/flask tests/wire/contrib/flask tests/unit/cli tests/wire/cli

test-lowest: build/lowest/ready
	@build/lowest/bin/python -m pytest -n $(WORKERS) --dist worksteal --durations=0 --durations-min=10 $(LOWEST)

build/lowest/ready: setup.cfg setup.py .ci/install .ci/lowest
	@.ci/install lowest

# The newest release that this Python can have is in .venv, so that the other tiers run these tests with it.
DJANGO = 4.2 5.2
OF_DJANGO = tests/unit/contrib/django tests/wire/contrib/django tests/processes/contrib/django \
	tests/docs/test_django_page.py
NEWEST_DJANGO = .venv/bin/python -c 'import django; print("%d.%d" % django.VERSION[:2])'

test-django: venv
	@for version in $(DJANGO); do \
		[ "$$($(NEWEST_DJANGO))" != $$version ] || continue; \
		$(MAKE) --no-print-directory build/django-$$version/ready || exit 1; \
		echo "Django $$version"; \
		build/django-$$version/bin/python -m pytest -n $(WORKERS) --dist worksteal \
			--durations=0 --durations-min=30 $(OF_DJANGO) || exit 1; \
	done

build/django-%/ready: setup.cfg setup.py .ci/install
	@.ci/install django $*

# Login, wait, durable mode, leases, files, the shell and windows: where systems differ.
AS_ON_WINDOWS = tests/unit/test_dial.py tests/unit/cli tests/unit/chat/durable \
	tests/unit/emulator/db tests/unit/emulator/storage tests/unit/contrib/desktop \
	tests/wire/test_client.py tests/wire/cli tests/wire/chat/test_link.py tests/wire/chat/test_exit.py \
	tests/wire/chat/test_signals_and_wait.py tests/wire/chat/lease tests/wire/chat/test_durable_gap.py \
	tests/wire/emulator/api/test_files.py tests/wire/contrib/desktop

windows: venv
	@$(PARALLEL) -p tests.support.windows --durations=0 --durations-min=30 $(AS_ON_WINDOWS)

test-versions:
	@versions=$$(.ci/versions $(VERSIONS)) || exit 1; \
	echo "$$versions" | while read -r version python; do \
		echo "Python $$version: $$python"; \
		PYTHON=$$python $(MAKE) --no-print-directory build/python-$$version/ready || exit 1; \
		build/python-$$version/bin/python -m pytest -n $(WORKERS) --dist worksteal \
			--durations=0 --durations-min=30 $(or $(TESTS),tests/unit tests/wire tests/docs) </dev/null || exit 1; \
	done

build/python-%/ready: setup.cfg setup.py .ci/install
	@.ci/install python $*

# The builder's own files would go on from one build to the next.
dist: venv
	@rm -rf dist build/lib build/bdist.* *.egg-info/SOURCES.txt
	@.venv/bin/python -m build --no-isolation >/dev/null
	@.venv/bin/python -m twine check --strict dist/*

venv: .venv/ready

.venv/ready: setup.cfg setup.py .ci/install
	@.ci/install venv

build/demo/ready: setup.cfg setup.py .ci/install
	@.ci/install demo

bench: venv
	@.venv/bin/python -m tests.bench

bench-guard: venv
	@.venv/bin/python -m tests.bench.guard

soak: venv referees
	@.venv/bin/python -m tests.soak.flat
	@.venv/bin/python -m tests.soak.kills
	@.venv/bin/python -m tests.soak.relay_kills --engine redis
	@.venv/bin/python -m tests.soak.relay_kills --engine rabbitmq --messages 5000
	@SCHEDULES='$(SCHEDULES)' SEED='$(SEED)' .venv/bin/python -m tests.soak

fuzz: venv
	@FUZZ_SECONDS='$(FUZZ_SECONDS)' SEED='$(SEED)' .venv/bin/python -m tests.fuzz $(TARGETS)

properties: SEED := $(or $(SEED),$(shell od -An -N4 -tu4 /dev/urandom | tr -d ' '))
properties: venv
	@EXAMPLES='$(or $(EXAMPLES),1000)' $(PARALLEL) -m hypothesis tests/unit tests/wire tests/soak

jitter: venv referees
	@SEED='$(SEED)' $(PARALLEL) -p tests.support.jitter \
		--ignore=tests/unit/chat/protocol --ignore=tests/interop/texts \
		tests/unit/chat tests/wire tests/interop tests/processes

flood: venv
	@.venv/bin/python -m tests.soak.floods --write
	@.venv/bin/python docs/generate.py

reconnect-table: venv referees
	@.venv/bin/python -m tests.soak.reconnect_table
	@.venv/bin/python docs/generate.py

referees:
	@.ci/install referees

lint: venv
	@.venv/bin/ruff check --quiet
	@.venv/bin/ruff format --check --quiet --exclude '*.md'
	@.venv/bin/mypy --no-error-summary

docs: venv
	@.venv/bin/python docs/generate.py
	@.venv/bin/python docs/diagrams.py
	@.venv/bin/sphinx-build -E -a -W --keep-going -q -b html docs docs/_build/html
	@echo docs/_build/html/index.html

clean:
	@rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist docs/_build *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
