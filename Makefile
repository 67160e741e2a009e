# Every target stands alone: what it needs is set up first, once. `make help` lists them.

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types layers soak bench bench-full build lock man clean
PYTHON ?=
export PYTHON

BIN := .venv/bin
RUN := .venv/.run-stamp
DEV := .venv/.dev-stamp
PULLED := .venv/.model-stamp

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 17

demo: $(RUN)  ## sets all up, then shows the main job on real text
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/demo.sh

test: SEED := $(or $(SEED),1)
test: $(DEV) $(PULLED)  ## sets all up, then runs the tests; SEED=n for other random numbers
	@LLMSH_SEED=$(SEED) $(BIN)/python -m pytest -n auto --dist loadfile --hypothesis-seed=$(SEED) $(ARGS)

check: lint types layers test  ## lint, types, layers, tests

lint: $(DEV)  ## ruff
	@$(BIN)/ruff check .

types: $(DEV)  ## mypy, strict
	@$(BIN)/mypy
	@$(BIN)/python tools/typecheck.py

layers: $(DEV)  ## who may import whom
	@$(BIN)/lint-imports --no-logo

soak: SEED := $(or $(SEED),$(shell od -An -N4 -tu4 /dev/urandom | tr -d ' '))
soak: $(DEV) $(PULLED)  ## long campaigns with a seed, which is printed; SEED=n repeats one
	@echo "soak: seed $(SEED)"
	@LLMSH_SEED=$(SEED) $(BIN)/python -m pytest -m soak --timeout=0 --hypothesis-seed=$(SEED) $(ARGS)

bench: $(DEV) $(PULLED)  ## measures one pair of each row in 20 minutes: table, JSON, chart; MODEL= any GGUF
	@$(BIN)/python -m bench --short --within 20 $(ARGS)

bench-full: $(DEV) $(PULLED)  ## measures all rows, up to 3 hours; taken up again where it was interrupted
	@$(BIN)/python -m bench --resume --json build/bench-full.json $(ARGS)

build: $(RUN)  ## sdist, and the wheel from it, in dist/
	@$(BIN)/python -m build --no-isolation --outdir dist .

lock: ## makes the lock files anew from pyproject.toml
	@sh tools/lock.sh

man: $(RUN)  ## makes anew what is made: manual, completions, the list of files in docs/design.md
	@$(BIN)/python tools/man.py
	@$(BIN)/python tools/completions.py
	@$(BIN)/python tools/design.py

clean:  ## forgets the environment and what was built (not the models)
	rm -rf .venv dist .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(RUN): requirements.lock requirements-build.lock pyproject.toml tools/setup.sh tools/setup.py
	@sh tools/setup.sh run

$(DEV): $(RUN) requirements-dev.lock
	@sh tools/setup.sh dev

$(PULLED): $(RUN)
	@$(BIN)/llmsh model pull smollm2
	@touch $@
