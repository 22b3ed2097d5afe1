# Two commands for a newcomer; each sets up what it needs, then and only then.
#
#   make demo    watch two people talk through the SDK, on this machine
#   make test    everything that must hold: style, types, tests against real servers and clients
#
#   make venv    the virtual environment both share, in .venv
#   make lint    style and types alone
#   make clean   remove what these commands made

PYTHON ?= python3
export PYTHON

.PHONY: demo test venv lint witnesses clean

demo: venv
	@.venv/bin/connectycube demo

test: venv witnesses lint
	@.venv/bin/python -m pytest

venv: .venv/ready

.venv/ready: setup.cfg setup.py .ci/install
	@.ci/install venv

witnesses:
	@.ci/install witnesses

lint: venv
	@.venv/bin/ruff check --quiet
	@.venv/bin/ruff format --check --quiet --exclude '*.md'
	@.venv/bin/mypy --no-error-summary

clean:
	@rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
