# The verbs of this repository; CI (.ci/run) calls the same. `make` alone lists them.
# Python 3.11 or newer is all a machine needs; the first call installs, later ones take seconds.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help install install-image install-page format lint test test-image test-page screenshots demo models eval bench bench-assisted stress docs-check check-image clean

find_python = $(shell for p in $(1); do "$$p" -c 'import sys; sys.exit(not $(2))' 2>&- && echo "$$p" && break; done)
PYTHON ?= $(call find_python,python3 python3.14 python3.13 python3.12 python3.11 python,sys.version_info >= (3, 11))
# torch 2.5.1 and numpy 1.26, which the container has, have no wheels for newer versions.
IMAGE_PYTHON ?= $(call find_python,python3.11 python3.12 python3 python,(3, 11) <= sys.version_info < (3, 13))

VENV := .venv
IMAGE := .venv-image
RUN := $(VENV)/bin/python
RUN_IMAGE := $(IMAGE)/bin/python
PIP := -m pip install --disable-pip-version-check
MODELS := models
OUT := out
# What is covered by the fast suite to the last branch.
LEAVES := asr_diarization/config.py,asr_diarization/transcript.py,asr_diarization/merging.py,asr_diarization/formats/*
# Where the two stacks differ: adapters, the handler, and what is uploaded. TESTS=tests/real runs all.
TESTS ?= tests/real/whisper/test_checkpoints.py tests/real/whisper/test_transcriber.py tests/real/diarization \
    tests/real/test_engines.py tests/real/test_endpoint.py tests/real/local_models tests/real/deploy

help:  ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed  ## build .venv with today's libraries and the developers' tools (7 GB)

install-image: $(IMAGE)/.installed  ## build .venv-image with the versions of the default container

install-page: $(VENV)/.page  ## what the tests of the page need: playwright, and chromium by apt when there is none

format: $(VENV)/.installed  ## rewrite the code as ruff wants it
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

lint: $(VENV)/.installed  ## style, formatting, types, and which way imports point
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports --no-cache

test: $(VENV)/.installed models  ## all tests on today's libraries: the fast suite, then the real one
	$(RUN) -m coverage run -m pytest tests/fast
	$(RUN) -m coverage report --include='$(LEAVES)' --fail-under=100
	$(RUN) -m coverage run --append -m pytest tests/real --durations=15
	@$(RUN) -m coverage report --format=total | sed 's/^/covered by both suites, in per cent: /'

test-image: $(IMAGE)/.installed  ## on the versions of the default container: the fast suite, then TESTS=...
	$(RUN_IMAGE) scripts/check_pins.py requirements/image.txt
	@$(RUN_IMAGE) -m asr_diarization models --directory $(MODELS) > /dev/null
	$(RUN_IMAGE) -m pytest tests/fast
	$(RUN_IMAGE) -m pytest $(TESTS) --durations=15

test-page: $(VENV)/.page models  ## the page at /ui in a real browser, against a real server
	$(RUN) -m pytest tests/page

screenshots: $(VENV)/.page models  ## take the pictures of the page in docs/images anew
	$(RUN) -m pytest tests/page/screenshots.py

demo: $(VENV)/.runtime models  ## who said what in a phone call, or in AUDIO=path; JSON goes to out/
	@mkdir -p $(OUT)
	@audio="$${AUDIO:-$$($(RUN) scripts/sample_path.py)}"; name="$$(basename "$$audio")"; \
	ASR_MODEL="$${ASR_MODEL:-$(MODELS)/whisper-base}" \
	DIARIZATION_MODEL="$${DIARIZATION_MODEL:-$(MODELS)/diarization}" \
	$(RUN) -m asr_diarization transcribe "$$audio" --json "$(OUT)/$${name%.*}.json" && \
	echo && echo "words, times and turns: $(OUT)/$${name%.*}.json"

models: $(VENV)/.runtime  ## build the local models: no account, no hub
	@$(RUN) -m asr_diarization models --directory $(MODELS) > /dev/null

eval: $(VENV)/.bench models  ## word and speaker errors of this project, the blog post's handler and others
	$(RUN) -m benchmarks.quality

bench: $(VENV)/.bench models  ## speed of this project, the blog post's handler and others
	$(RUN) -m benchmarks.speed

bench-assisted: $(VENV)/.bench models  ## when an assistant pays: time against acceptance
	$(RUN) -m benchmarks.assisted
	$(RUN) -m benchmarks.four_cases

stress: $(VENV)/.installed models  ## load and faults against a real server; some ten minutes
	$(RUN) -m benchmarks.stress

check-image: models  ## the image's install steps in a clean folder, and the server that results
	PYTHON=$(PYTHON) MODELS=$(MODELS) scripts/check_image.sh

docs-check: $(VENV)/.installed  ## whether what the documents generate from the code is up to date
	$(RUN) scripts/parameter_table.py --check

clean:  ## remove what the verbs have built
	rm -rf $(VENV) $(IMAGE) $(MODELS) $(OUT) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.runtime: pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer found; set PYTHON=path" >&2; exit 1; }
	@echo "installing into $(VENV) with $(PYTHON): some minutes, once"
	$(PYTHON) -m venv $(VENV)
	$(RUN) $(PIP) --quiet --upgrade pip
	$(RUN) $(PIP) --editable .
	@touch $@

$(VENV)/.installed: $(VENV)/.runtime
	$(RUN) $(PIP) --editable '.[dev]'
	@touch $@

$(VENV)/.bench: $(VENV)/.installed
	$(RUN) $(PIP) --editable '.[bench]'
	@touch $@

$(VENV)/.page: $(VENV)/.installed
	$(RUN) $(PIP) --editable '.[page]'
	@command -v "$${CHROMIUM:-chromium}" > /dev/null || { \
	    test "$$(id -u)" = 0 || { echo "no chromium: apt-get install chromium, or set CHROMIUM=path" >&2; exit 1; }; \
	    apt-get update && apt-get install --yes --no-install-recommends chromium fonts-dejavu-core; }
	@touch $@

$(IMAGE)/.installed: pyproject.toml requirements.txt requirements/image.txt
	@test -n "$(IMAGE_PYTHON)" || { echo "no Python 3.11 or 3.12 found; set IMAGE_PYTHON=path" >&2; exit 1; }
	@echo "installing into $(IMAGE) with $(IMAGE_PYTHON): some minutes, once"
	$(IMAGE_PYTHON) -m venv $(IMAGE)
	$(RUN_IMAGE) $(PIP) --quiet --upgrade pip
	$(RUN_IMAGE) $(PIP) -r requirements/image.txt
	@began=$$SECONDS; $(RUN_IMAGE) $(PIP) --no-cache-dir -r requirements.txt; \
	echo "requirements.txt took $$((SECONDS - began)) s: an endpoint spends that at every cold start"
	$(RUN_IMAGE) $(PIP) --editable '.[test]'
	$(RUN_IMAGE) scripts/check_pins.py requirements/image.txt
	@touch $@
