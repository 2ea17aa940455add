# Two commands matter: `make demo` and `make test`. Both do all their own set-up, in .venv and .build.
PYTHON ?= python3
BIN := .venv/bin
SAM := .build/sam/bin/sam
SCAN := .build/scan/ready
INSTALL := -m pip install --quiet --disable-pip-version-check --no-deps --requirement

# Each emulator and each function is a process of its own, which would compile the same modules again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: check help setup demo test build python3.13 release lint fmt soak bench clean

help:  ## Show what can be made.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/ready $(SAM) $(SCAN)  ## Install what all commands need into .venv and .build (they do so themselves).

# What the demo needs, and no more.
.venv/demo: requirements/demo.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; name one: make $(MAKECMDGOALS) PYTHON=python3.13"; exit 2; }
	@echo "Setting up .venv (once; some seconds) ..."
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python $(INSTALL) requirements/demo.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/ready: .venv/demo requirements/dev.txt functions/requirements.txt
	@echo "Adding to .venv what tests and checks need (once; a minute or two) ..."
	@$(BIN)/python $(INSTALL) requirements/dev.txt
	@touch $@

demo: .venv/demo  ## Run the main job on a local AWS and show what happens.
	@$(BIN)/invalidations local demo

# Half of the suite waits, for emulators and browsers: more workers than processors. tests/conftest.py orders the files.
test: .venv/ready $(SAM)  ## Run all tests.
	@$(BIN)/python -m pytest --numprocesses 5 --dist loadfile --no-loadscope-reorder

build: python3.13 .venv/ready $(SAM)  ## Build what is to be deployed, into .aws-sam; it needs python3.13, as the functions do.
	$(SAM) build $(if $(CONTAINER),--use-container)
	@$(BIN)/python -m tools.package bytecode .aws-sam/build
	@echo 'Now deploy it: $(SAM) deploy --parameter-overrides BucketNames=my-site'

# First, as it is the one thing that make cannot set up.
python3.13:
	@test -n "$(CONTAINER)" || python3.13 -c '' 2>/dev/null || { printf '%s\n' \
	  'The functions run on Python 3.13, and `sam build` needs it as python3.13 on the PATH.' \
	  'Where pyenv has it, it may not be active:  PYENV_VERSION=$$(pyenv latest 3.13):$$(pyenv version-name) make build' \
	  'With Docker and without Python 3.13:       make build CONTAINER=1' \
	  'Without either: a release needs no build (README.md, "Deploy it").'; exit 2; }

release: .venv/ready  ## Write what is deployed without a build, into dist: package, template, command line, checksums.
	$(BIN)/python -m tools.release

check: .venv/ready  ## Check style and types, and run the fast tests: for the loop while working.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest --quiet --numprocesses 2 --dist loadfile -m 'not slow and not soak' tests/template tests/unit --ignore tests/unit/handlers

lint: .venv/ready $(SAM) $(SCAN)  ## Check style, types, template and state machine.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/cfn-lint --regions ALL_REGIONS -- template.yaml
	$(BIN)/python -m pytest --quiet tests/template
	$(BIN)/python -m tools.definition statemachine/invalidation.asl.json
	$(BIN)/python -m tools.definition examples/parent.asl.json
	$(BIN)/python -m tools.diagram --check docs/state-machine.md
	$(BIN)/python -m tools.parameters --check docs/parameters.md
	$(BIN)/python -m tools.commands --check docs/cli.md
	$(SAM) validate --lint --template template.yaml --region us-east-1
	$(BIN)/python -m tools.package
	$(BIN)/python -m tools.scan

# The SAM CLI pins other versions of what .venv holds, so it has an environment of its own.
$(SAM): requirements/sam.txt
	@$(PYTHON) -m venv --clear .build/sam
	@echo "Setting up the SAM CLI in .build/sam (once; a minute or two) ..."
	@.build/sam/bin/python $(INSTALL) requirements/sam.txt
	@touch $@

# So do the scanners.
$(SCAN): requirements/scan.txt
	@$(PYTHON) -m venv --clear .build/scan
	@echo "Setting up the scanners in .build/scan (once; a minute or two) ..."
	@.build/scan/bin/python $(INSTALL) requirements/scan.txt
	@touch $@

fmt: .venv/ready  ## Format the code and bring the generated pages up to date.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python -m tools.definition --write statemachine/invalidation.asl.json
	$(BIN)/python -m tools.definition --write examples/parent.asl.json
	$(BIN)/python -m tools.diagram --write docs/state-machine.md
	$(BIN)/python -m tools.parameters --write docs/parameters.md
	$(BIN)/python -m tools.commands --write docs/cli.md

soak: .venv/ready  ## Run the long sweeps: bad days of the sweep, a million schedules of the batching protocol, and chaos on the local AWS.
	$(BIN)/python -m tests.simulation.bad_days
	$(BIN)/python -m tests.simulation.soak --schedules 1000000
	$(BIN)/python -m tests.local.chaos --changes 1000 --cloudfront-quota rate
	$(BIN)/python -m tests.local.chaos --changes 1000 --cloudfront-quota in-progress
	$(BIN)/python -m pytest -m soak

bench: .venv/ready  ## Measure cost, latency, growth and cold start beside the rivals; writes benchmarks/RESULTS.md.
	$(BIN)/python -m benchmarks

clean:  ## Remove all that was set up or built.
	rm -rf .venv .build .aws-sam .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
