# `make` lists the targets. Each one that needs the environment sets it up
# first, and finds it there the next time.
#
#   PYTHON=python3.10   the Python to build .venv with (default: the first fit)
#   PRESET=, OUT=       what a demo runs, and where it writes
#   TEST_PROCESSES=2    how many run tests; a module's stay in one. Each takes
#                       2 GB, and a core, since building TFF processes is Python
#   PYTEST_ARGS=        further arguments of pytest
#   NOTEBOOKS=          which notebooks to execute (default: all of colabs/)
#   SITE=, DIST=        where the documentation and the distributions go

SHELL := /bin/sh
.DEFAULT_GOAL := help

PYTHON ?=
VENV ?= .venv
PRESET ?= demo
OUT ?=
TEST_PROCESSES ?= 2
PYTEST_ARGS ?=
NOTEBOOKS ?=
SITE ?= site
DIST ?= dist

RUN := $(VENV)/bin/python
BAZEL ?= bazel

PYTEST := $(RUN) -m pytest -n $(TEST_PROCESSES) --dist loadfile

# pytest says 5 when its selection is empty, which is no failure here.
OR_NONE := || { status=$$?; [ $$status -eq 5 ] || exit $$status; }

.PHONY: help
help:  ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) \
	  | while IFS='|' read -r target text; do \
	      printf '  %-24s%s\n' "$$target" "$$text"; done

.PHONY: venv
venv:  ## Set up .venv from requirements.txt, if it is not there whole
	@python=$$(sh tools/find_python.sh "$(PYTHON)") && \
	  "$$python" tools/setup_venv.py --venv "$(VENV)" \
	    $(if $(PYTHON),--python_was_named)

.PHONY: demo
demo: venv  ## Run the main job: a DP GAN finds inverted images (OUT=, PRESET=)
	$(RUN) -m tasks.preprocessing_bug --preset $(PRESET) \
	  --out "$(or $(OUT),out/$(PRESET))"

.PHONY: demo-text
demo-text: venv  ## Run the other one: a DP character model finds joined words
	$(RUN) -m tasks.tokenization_bug --preset $(PRESET) \
	  --out "$(or $(OUT),out/text_$(PRESET))"

.PHONY: doctor
doctor: venv  ## Say what is right and wrong with this environment
	$(RUN) -m tff_gen_debug.doctor

.PHONY: test
test: venv  ## Run the fast tests
	$(PYTEST) -m "not slow and not notebook" $(PYTEST_ARGS)

.PHONY: test-slow
test-slow: venv  ## Run the slow tests
	@$(PYTEST) -m "slow and not notebook" $(PYTEST_ARGS) $(OR_NONE)

.PHONY: test-notebook
test-notebook: venv  ## Execute the notebooks
	@$(PYTEST) --dist load -m notebook $(PYTEST_ARGS) $(OR_NONE)

.PHONY: notebooks
notebooks: venv  ## Execute the notebooks in full and write their outputs
	$(RUN) -m tools.run_notebooks $(NOTEBOOKS)

.PHONY: lint
lint: venv  ## Check style and formatting
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

.PHONY: format
format: venv  ## Format the code and sort its imports
	$(RUN) -m ruff check --fix-only --select I .
	$(RUN) -m ruff format .

.PHONY: types
types: venv  ## Check the types
	$(RUN) -m mypy

.PHONY: requirements
requirements:  ## Compile requirements.txt again; UPGRADE=1 takes new releases
	@python=$$(sh tools/find_python.sh "$(PYTHON)") && \
	  "$$python" tools/compile_requirements.py $(if $(UPGRADE),--upgrade)

.PHONY: check-requirements
check-requirements:  ## Check that requirements.txt follows from pyproject.toml
	@python=$$(sh tools/find_python.sh "$(PYTHON)") && \
	  "$$python" tools/compile_requirements.py --check

.PHONY: build-files
build-files: venv  ## Write the BUILD files from the imports
	$(RUN) -m tools.build_files

.PHONY: build-check
build-check: venv  ## Check the BUILD files, with Bazel where it is installed
	$(RUN) -m tools.build_files --check
	@if command -v $(BAZEL) >/dev/null; then \
	  sh tools/bazel_check.sh $(BAZEL); \
	else \
	  echo "$(BAZEL) is not installed: its part of the check is left out"; \
	fi

.PHONY: docs
docs: venv  ## Build the documentation into site/, every link checked
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict --site-dir "$(SITE)"
	$(RUN) -m tools.check_site "$(SITE)"

.PHONY: dist
dist: venv  ## Build the source distribution and the wheel into dist/
	$(RUN) tools/build_dist.py --out "$(DIST)"

.PHONY: benchmarks
benchmarks: venv  ## Print speed and memory as ratios (some 25 minutes)
	sh tools/run_benchmarks.sh "$(RUN)"

.PHONY: clean
clean:  ## Remove the environment and caches; out/ stays
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf site *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
