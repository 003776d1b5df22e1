# Thin on purpose: tools/bootstrap.py does the set-up and takes a fraction of a second when nothing changed.
PYTHON ?= $(firstword $(foreach name,python3 python3.12 python3.11,$(shell command -v $(name) 2>/dev/null)))
BIN := .venv/bin
need_python = $(if $(PYTHON),,$(error Python 3.11 or 3.12 is needed and there is none on PATH))

# A sourced ROS installation must not mix with .venv's; the environment's own guard must not leak into a new one.
unexport PYTHONPATH PYTHONHOME LD_LIBRARY_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE
unexport RMW_IMPLEMENTATION ROS_LOCALHOST_ONLY ROS_STATIC_PEERS ROS_DISCOVERY_SERVER
# Without compiled modules each process that imports torch starts 13 s later; container images like to forbid them.
unexport PYTHONDONTWRITEBYTECODE
export AMENT_PREFIX_PATH := $(CURDIR)/.venv
# ROS 2 stays on this machine, in a domain of its own for each run.
export ROS_AUTOMATIC_DISCOVERY_RANGE := LOCALHOST
domain = ROS_DOMAIN_ID=$$(( $$$$ % 100 + 1 ))

.DEFAULT_GOAL := help
.PHONY: help demo test check bench docs format clean setup libero extras

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

demo: setup ## camera topic in, simulated arm moves: three trials with the shipped checkpoint
	@$(domain) $(BIN)/magma-ros demo $(ARGS)

test: extras ## every test, with the packages of libero, ray and docs; ARGS="-k name" picks some
	@$(domain) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 $(ARGS)

check: setup ## format, lint, types, import layers
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/mypy tools benchmarks setup.py
	cd build/python && PYTHONPATH=. ../../$(BIN)/lint-imports --config ../../pyproject.toml --no-logo

bench: setup ## measure, on an idle machine; ARGS=inference picks one, ARGS=--list shows what there is
	@$(BIN)/magma-ros bench $(ARGS)

docs: ## the site of README and docs, into build/site
	@$(need_python)$(PYTHON) -S tools/bootstrap.py --extra docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet && echo "wrote build/site/index.html"

format: setup ## rewrite the code in the house format
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

setup: ## make .venv ready (the others do this first)
	@$(need_python)$(PYTHON) -S tools/bootstrap.py

extras:
	@$(need_python)$(PYTHON) -S tools/bootstrap.py --extra libero --extra ray --extra docs

libero: ## make .venv ready with the LIBERO benchmark, 1.5 GB (`make test` does this, too)
	@$(need_python)$(PYTHON) -S tools/bootstrap.py --extra libero

clean: ## delete .venv and everything that was built
	rm -rf .venv build install log
