# Every target sets up what it needs. PYTHON names a CPython 3.11, 3.12 or 3.13; without it the first on the path is taken.
# PYTORCH_INDEX is PyTorch's CPU wheel index, for a pip that does not know it: see PyTorch's install page.
PYTHON ?=
PYTORCH_INDEX ?=
VENV ?= .venv
BIN := $(VENV)/bin
DICOM ?=
ARGS ?=

.PHONY: FORCE help setup setup-dev peers demo serve test test-fast test-clients test-slow test-pythons lint fullsize sbom audit soak load bench bench-all bench-gpu bench-ingest train-gpu attacks lock lock-images check-images clean

help:  ## show this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

INSTALL = python=$$(requirements/find-python $(PYTHON)) && \
  "$$python" requirements/install.py $(VENV) $(if $(PYTORCH_INDEX),--pytorch-index "$(PYTORCH_INDEX)")
LOCKS := $(wildcard requirements/*.txt requirements/*.py) pyproject.toml

$(VENV)/cpu.stamp: $(LOCKS) $(if $(PYTORCH_INDEX),FORCE)
	@$(INSTALL)
	@touch $@

$(VENV)/dev.stamp: $(VENV)/cpu.stamp requirements/dev.txt
	@$(INSTALL) --dev
	@touch $@

FORCE:

setup: $(VENV)/cpu.stamp  ## make the environment; does nothing when it is there

setup-dev: $(VENV)/dev.stamp  ## the same, with what the tests need

demo: setup  ## start the service, do its three jobs on a sample (DICOM=path: on yours), stop
	@$(BIN)/cxr demo $(if $(DICOM),--dicom "$(DICOM)") $(ARGS)

serve: setup  ## serve the embedded bundle on http://127.0.0.1:8080
	@$(BIN)/cxr serve $(ARGS)

peers:  ## install the real peers of the integration tests: Orthanc, dcmtk, dicom3tools, PostgreSQL, Prometheus, nginx, Chromium (Debian, root)
	@which Orthanc storescu dciodvfy promtool chromium nginx >/dev/null && test -d /usr/lib/postgresql || \
	  (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	   orthanc orthanc-dicomweb dcmtk dicom3tools postgresql prometheus chromium nginx-light >/dev/null)

lint: setup-dev  ## style, types, directions of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# A thread each: two processes with two threads each wait for one another on two processors.
test: lint  ## style, types, every test
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "not slow" -n 2 --dist loadfile

test-fast: setup-dev  ## unit tests only: no engine, no network
	$(BIN)/pytest -m "not slow and not engine and not network"

test-clients: setup-dev  ## other projects' clients against the service on fakes (their environment: .venv-clients)
	$(BIN)/pytest tests/clients

test-slow: setup-dev  ## the long tests
	$(BIN)/pytest -m slow

test-pythons:  ## unit tests and demo in an environment of each Python that is here (an hour; up to 7 GB each)
	@for version in 3.11 3.12 3.13; do \
	  requirements/find-python python$$version || continue; \
	  $(MAKE) --no-print-directory PYTHON=python$$version VENV=.venv-$$version test-fast demo || exit 1; \
	done

fullsize: setup-dev  ## import and serve random weights of the published size: 24 GB of memory, 20 GB of disk
	$(BIN)/python -m benchmarks.fullsize $(or $(FOLDER),out/fullsize)

soak: setup-dev  ## nothing is lost while all that can fail fails: 60 studies, or ARGS="--studies 1000" (needs make peers)
	$(BIN)/python -m benchmarks.soak $(ARGS)

sbom: setup-dev  ## what is installed, as CycloneDX, in out/sbom.json
	@mkdir -p out
	$(BIN)/cyclonedx-py requirements $(VENV)/lock.txt --of JSON -o out/sbom.json

audit: setup-dev sbom  ## known vulnerabilities of what is installed and of the GPU's lock (asks PyPI); fails where it cannot look
	$(BIN)/python requirements/audit.py $(VENV)/lock.txt requirements/gpu.txt $(ARGS)

load: setup-dev  ## ten times what it can do, then 64 mixed clients for half an hour; writes docs/benchmarks/load.md
	$(BIN)/python -m benchmarks.load.load $(ARGS)

# The ratios; `bench-all` adds the curves.
BENCH := floor codec imaging gateway drawing streaming second_question screening studies

bench: setup-dev  ## the service beside its contenders: docs/benchmarks/bench.md (about 18 minutes on 2 cores)
	$(BIN)/python -m benchmarks $(BENCH:%=--scenario %) $(ARGS)

bench-all: setup-dev  ## every scenario, with the curves (about half an hour)
	$(BIN)/python -m benchmarks $(ARGS)

BENCH_GPU := floor drawing codec report streaming second_question concurrency

bench-gpu:  ## on a machine with a GPU and '.[gpu,train,bench]' installed: the published size (nine minutes on an H200, by its parts)
	$(PYTHON) -m benchmarks --device cuda --preset published $(BENCH_GPU:%=--scenario %) --out docs/benchmarks/gpu $(ARGS)

train-gpu: setup  ## the embedded bundle on a GPU: DATA=manifest.csv, HOST=user@machine by ssh (unset: this one), MINUTES=12, OUT=out/gpu
	@CXR=$(BIN)/cxr $(if $(HOST),,PYTHON=$(abspath $(BIN)/python)) $(if $(MINUTES),MINUTES=$(MINUTES)) \
	  START="$(START)" models/training/on-gpu "$(DATA)" "$(or $(OUT),out/gpu)" $(HOST)

bench-ingest: setup-dev  ## instances a second by STOW-RS and DIMSE beside a bare loop, memory over 5,000 (a few minutes)
	$(BIN)/python -m benchmarks.ingest $(ARGS)

attacks: setup-dev  ## what hostile inputs cost the gateway; writes the tables of docs/operations.md and docs/security.md (six minutes)
	$(BIN)/python -m benchmarks.attacks --write $(ARGS)

lock:  ## resolve the locks again on plain PyPI (needs uv; ARGS=--upgrade takes newer versions, PYTORCH_INDEX= the hashes of another PyTorch)
	requirements/lock $(ARGS)

lock-images:  ## write the digest of each image behind its tag (needs docker or skopeo, and a registry)
	@$$(requirements/find-python $(PYTHON)) deploy/images.py

check-images:  ## fail where an image is named by its tag alone: before a release
	@$$(requirements/find-python $(PYTHON)) deploy/images.py --check

clean:  ## remove the environment and what the service wrote
	rm -rf $(VENV) .venv-clients state out
