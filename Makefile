# Everything a newcomer or a CI machine does with this project. `make` alone lists it.
#
# Needs make, git, and Python 3.11 or newer with pip; everything else goes into .venv, with exact versions and hashes.

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# why: in an activated shell, python3 would be the one in .venv, which has no pip and may be about to be replaced.
export PATH := $(subst $(CURDIR)/$(BIN):,,$(PATH))
export PIP_DISABLE_PIP_VERSION_CHECK := 1

PIP_INSTALL = $(PYTHON) -m pip --python $(BIN)/python install -qq --no-input

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format docs bench lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Build .venv with all dependencies; the other targets do it when needed

demo: $(READY) ## Send a campaign to some 2,000 people in the sandbox, and prove that the numbers add up
	@$(BIN)/dispatch demo $(ARGS)

test: $(READY) ## Run the whole test suite; ARGS="-k pause" runs a part of it
	@$(BIN)/python -m pytest $(ARGS)

check: $(READY) ## Check format, lint, types, import floors and spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

format: $(READY) ## Format the code and mend what the linter can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(READY) ## Write the generated parts of docs/ anew: state diagrams, error table
	@$(BIN)/python -m tests.house.generated

bench: $(READY) ## Measure; see benchmarks/README.md
	@$(BIN)/python -m benchmarks $(ARGS)

lock: ## Write requirements.lock anew from pyproject.toml; ARGS=--upgrade takes newer versions
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	$(PYTHON) -m venv --without-pip "$$folder" && \
	$(PYTHON) -m pip --python "$$folder/bin/python" install -qq --no-input uv && \
	"$$folder/bin/uv" pip compile --universal --python-version 3.11 --extra dev --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet $(ARGS) \
		pyproject.toml -o requirements.lock

clean: ## Remove .venv and all caches; data of embedded servers stays
	rm -rf $(VENV) .hypothesis .import_linter_cache dist
	find . \( -name __pycache__ -o -name .mypy_cache -o -name .pytest_cache -o -name .ruff_cache \) \
		-type d -prune -exec rm -rf {} +

# The stamp holds the place it was made for: scripts in .venv carry absolute paths, so a moved project needs a new one.
ifneq ($(CURDIR) $(BIN)/python,$(shell cat $(READY) 2>/dev/null) $(wildcard $(BIN)/python))
.PHONY: $(READY)
endif

# A finished .venv is brought up to date in place; one whose making was interrupted has no stamp and is made anew.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "error: $(PYTHON) is missing or older than 3.11. Install a newer Python, or name one: make setup PYTHON=python3.12" >&2; \
		exit 1; }
	@$(PYTHON) -m pip --version >/dev/null || { \
		echo "error: $(PYTHON) has no pip. Install it (Debian: python3-pip), or name another Python: make setup PYTHON=..." >&2; \
		exit 1; }
	@echo "Setting up $(VENV); the first time this takes a minute or two."
	@if test "$$(cat $@ 2>/dev/null)" = "$(CURDIR)" && test -x $(BIN)/python; then \
		rm $@; \
	else \
		$(PYTHON) -m venv --clear --without-pip $(VENV); \
	fi
	@$(PIP_INSTALL) --require-hashes -r requirements.lock
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@printf '%s' "$(CURDIR)" > $@
