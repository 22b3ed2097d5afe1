# Two commands for a newcomer; each sets up what it needs, then and only then.
#
#   make demo    watch two people talk through the SDK, on this machine
#   make test    everything that must hold: style, types, tests against real servers and clients
#
#   make venv    the virtual environment both share, in .venv
#   make lint    style and types alone
#   make docs    the documentation, in docs/_build/html
#   make bench   what calls cost, in CPU and memory, beside their goals; also in build/bench.json
#   make soak    long runs: a million messages, a bot that is killed 100 times, then 500 schedules of
#                faults (SCHEDULES=, SEED=)
#   make jitter  the tests of all that has threads, with random pauses inside the package (SEED=)
#   make reconnect-table  what ten faults cost this client and slixmpp, into docs/reconnecting.md
#   make clean   remove what these commands made

PYTHON ?= python3
export PYTHON

.PHONY: demo test venv lint docs bench soak jitter reconnect-table witnesses clean

demo: venv
	@.venv/bin/connectycube demo

test: venv witnesses lint
	@.venv/bin/python -m pytest

venv: .venv/ready

.venv/ready: setup.cfg setup.py .ci/install
	@.ci/install venv

bench: venv
	@.venv/bin/python -m tests.bench

soak: venv witnesses
	@.venv/bin/python -m tests.soak.flat
	@.venv/bin/python -m tests.soak.kills
	@SCHEDULES='$(SCHEDULES)' SEED='$(SEED)' .venv/bin/python -m tests.soak

jitter: venv witnesses
	@SEED='$(SEED)' .venv/bin/python -m pytest -p tests.support.jitter --ignore=tests/chat/protocol \
		tests/chat tests/cli tests/emulator tests/faults tests/interop tests/rest tests/testing

reconnect-table: venv witnesses
	@.venv/bin/python -m tests.soak.reconnect_table
	@.venv/bin/python docs/generate.py

witnesses:
	@.ci/install witnesses

lint: venv
	@.venv/bin/ruff check --quiet
	@.venv/bin/ruff format --check --quiet --exclude '*.md'
	@.venv/bin/mypy --no-error-summary

docs: venv
	@.venv/bin/python docs/generate.py
	@.venv/bin/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo docs/_build/html/index.html

clean:
	@rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist docs/_build *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
