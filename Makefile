# Everything by one word. Only Python 3.11+, git and make are needed; the rest is fetched into .venv and node_modules.
# `make run PORT=9000` serves elsewhere; `make test T=tests/builds` tests one room; `make run PYTHON=python3.12` chooses.

PORT ?= 8000
T ?=
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)
VPY := .venv/bin/python
export PORT

.DEFAULT_GOAL := help
.PHONY: help run test bench lint live clean assets messages python setup setup-dev

help:
	@echo 'make run       the whole portal at http://127.0.0.1:8000 (PORT= changes it)'
	@echo 'make test      every test (T=tests/builds for one room)'
	@echo 'make bench     the numbers, measured on this machine'
	@echo 'make lint      style, types, borders between rooms, templates, migrations, deployment checks'
	@echo 'make live      tests against real servers named in the environment'
	@echo 'make assets    fetch the browser files again'
	@echo 'make messages  collect and compile translations'
	@echo 'make clean     remove everything that was fetched or built; data in var/ stays'

python:
	@test -n '$(PYTHON)' || { echo 'Python 3.11 or newer is needed and was not found. On Debian or Ubuntu: sudo apt install python3 python3-venv'; exit 1; }

setup: python
	@$(PYTHON) scripts/setup.py run

setup-dev: python
	@$(PYTHON) scripts/setup.py dev

run: setup
	@FDD_ENV=local exec $(VPY) manage.py serve

# Tests mostly wait, for processes and for time to pass: four at once take little more than a quarter of the time.
test: setup-dev
	@exec $(VPY) -m pytest $(or $(T),-n 4)

live: setup-dev
	@exec $(VPY) -m pytest -m live $(T)

bench: setup-dev
	@FDD_ENV=local exec $(VPY) -m benchmarks $(B)

lint: setup-dev
	@exec $(VPY) scripts/lint.py

assets: setup
	@rm -f static/vendor/.stamp && exec $(VPY) scripts/assets.py

messages: setup-dev
	@exec $(VPY) scripts/messages.py

clean:
	@rm -rf .venv node_modules static/vendor .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis test-results
	@find . -name __pycache__ -not -path './var/*' -prune -exec rm -rf {} +
	@find locale -name '*.mo' -delete
	@echo 'Clean. Your data in var/ is untouched; remove it yourself if you mean it.'
