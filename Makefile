# Dossier. A machine needs Python 3.11 or newer and make; make installs everything else into .venv and node_modules.
#
#   make demo    starts the local AWS and the sandbox, submits three cases, and lists their files in S3
#   make test    runs make check, then every test
#   make quick   runs lint, types, and the quick unit and contract tests (a minute)
#   make check   runs lint, types, import rules; AWS's validator and the reference JSONata on the state machine; AWS's quotas on
#                the template
#   make record  records the inputs of the state machine's expressions again (after a change to them)
#   make cost    computes the cost of an idle stage and of a case at each vendor; writes docs/cost.md
#   make cloud-check  runs your AWS account's validators on the stack; deploys nothing (ARGS="-c stage=prod")
#   make audit   looks up known vulnerabilities of every locked package (at PyPI and npm: needs the network)
#   make docs    builds the documentation as a site (build/site), with a reference of every command; fails on a dead link
#   make lock    resolves the lock files again from pyproject.toml (LOCK_ARGS="--upgrade" takes newer versions; needs the
#                network)
#   make sbom    writes a software bill of materials for each lock file (CycloneDX, build/sbom)
#   make chaos   runs 300 cases under every fault at 20 %, a crash at every external call, 10,000 deliveries of every kind at
#                the webhook, restarts during 51 cases, 200 edits of 20 finished ones; writes docs/reliability.md
#                (an hour and a half)
#   make rehearse  reads what former versions stored (events/stored) with this version, and compares result.json
#                (FROM=version-1 reads that recording alone; RECORD=0.2.0 records this version)
#   make pictures  takes the pictures of the console in docs/pictures, from a real run (needs chromium)
#   make walks   removes, renames and splits a connection, removes a stage and attaches it again, by the commands of
#                docs/deploy.md on the local AWS (ten minutes)
#   make simulate  runs the deployment in virtual time, a history for each seed (SEEDS=30 CASES=20; SEED=17 TRACE=1 replays
#                one; PLANTED=1 shows how soon planted faults are found): docs/simulation.md
#   make scale   simulates 10,000 cases at once, a million a day, slow and broken vendors; writes docs/scale.md (minutes;
#                QUESTION=burst simulates one again). make scale-count counts the same hundred cases on the local AWS first
#   make scale-batch  runs batches of 100 and 1,000 cases on the local AWS, and simulates 100,000; writes "Batches" of
#                docs/scale.md (half an hour on a quiet machine; ONLY=local or ONLY=simulated does one of the two)
#   make bench   measures Dossier beside the guides' own loops, a textbook poller, curl and the AWS CLI, and a bare handler;
#                writes docs/benchmarks.md (twenty minutes on a quiet machine; ONLY=bytes measures one part again)
#   make fuzz    fuzzes each target for a minute (FUZZ_SECONDS=60), guided by coverage; findings go into build/fuzz
PYTHON ?= python3
FUZZ_SECONDS ?= 60
BIN := .venv/bin
AUDIT := .venv-audit/bin
DOCS := .venv-docs/bin
FUZZ := .venv-fuzz/bin
BENCH := .venv-bench/bin
SOURCES := .:layers/shared/python
# Runs a command that may take minutes, and prints a line from time to time meanwhile.
ALIVE := $(PYTHON) -m local.alive
LOCKS := layers/requirements.txt requirements/audit.txt requirements/bench.txt requirements/dev.txt requirements/docs.txt requirements/functions.txt requirements/fuzz.txt requirements/local.txt
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# npm trusts the machine's root certificates (a company's own, say), as pip does by its own setting.
export NODE_USE_SYSTEM_CA := 1
# Where this is set, each of the many processes of the tests would compile their sources anew.
unexport PYTHONDONTWRITEBYTECODE
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:
.PHONY: setup browser pictures demo test quick check record rules cost cloud-check chaos simulate scale scale-batch scale-count bench rehearse walks clean audit docs fuzz lock sbom

setup: .venv/.ready node_modules/.ready

.venv/.ready: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Dossier needs Python 3.11 or newer, but $(PYTHON) is older: run make PYTHON=python3.11"; exit 1; }
	@echo "setting up the virtual environment (.venv; once, about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(ALIVE) "setting up the virtual environment" \
	  $(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

node_modules/.ready: package.json package-lock.json .venv/.ready
	@echo "setting up the CDK CLI (node_modules)"
	@mkdir -p build
	@$(ALIVE) "setting up the CDK CLI" \
	  sh -c '$(BIN)/npm ci --loglevel=error --no-audit --no-fund > build/npm.log 2>&1 || { cat build/npm.log; exit 1; }'
	@touch $@

.venv-audit/.ready: requirements/audit.txt .venv/.ready
	@$(BIN)/python -m venv .venv-audit
	@$(ALIVE) "setting up .venv-audit" $(AUDIT)/python -m pip install --quiet --require-hashes --requirement requirements/audit.txt
	@touch $@

.venv-bench/.ready: requirements/bench.txt .venv/.ready
	@$(BIN)/python -m venv .venv-bench
	@$(ALIVE) "setting up .venv-bench" $(BENCH)/python -m pip install --quiet --require-hashes --requirement requirements/bench.txt
	@touch $@

.venv-fuzz/.ready: requirements/fuzz.txt .venv/.ready
	@$(BIN)/python -m venv .venv-fuzz
	@$(ALIVE) "setting up .venv-fuzz" $(FUZZ)/python -m pip install --quiet --require-hashes --requirement requirements/fuzz.txt
	@touch $@

demo: setup
	@$(BIN)/python -m local.demo

LINT = $(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check .
TYPES = $(BIN)/mypy --no-error-summary app.py infra checks cli console local fuzz bench functions layers/shared/python/dossier
# Two tests at a time; tests that share an expensive fixture (a synthesized stack) run in one process (tests/conftest.py).
PARALLEL := --numprocesses 2 --dist loadfile --no-loadscope-reorder

quick: setup
	@echo "ruff";          $(LINT)
	@echo "mypy, and pytest: quick unit and contract tests"
	@mkdir -p build; $(TYPES) > build/types.log 2>&1 & types=$$!; \
	  $(BIN)/python -m pytest $(PARALLEL) -m "not slow" tests/unit tests/contract; code=$$?; \
	  wait $$types || { cat build/types.log; exit 1; }; exit $$code

check: setup
	@echo "ruff";          $(LINT)
	@echo "import rules";  $(BIN)/lint-imports --no-cache --config .importlinter > .import-rules.log || { cat .import-rules.log; exit 1; }
	@rm -f .import-rules.log
	@echo "mypy, and AWS's rules"
	@mkdir -p build; $(TYPES) > build/types.log 2>&1 & types=$$!; \
	  PYTHONPATH=$(SOURCES) $(BIN)/python -m checks; code=$$?; \
	  wait $$types || { cat build/types.log; exit 1; }; exit $$code

record: setup
	@PYTHONPATH=$(SOURCES) $(BIN)/python -W ignore -m checks.record

rules: setup
	@PYTHONPATH=$(SOURCES) $(BIN)/python -W ignore -m checks.rules

cost: setup
	@POWERTOOLS_LOG_LEVEL=WARNING PYTHONPATH=$(SOURCES) $(BIN)/python -W ignore -m checks.cost

cloud-check: setup
	@PYTHONPATH=$(SOURCES) $(BIN)/python -W ignore -m checks.cloud $(ARGS)

DEPLOYED := tests/e2e tests/chaos tests/grants tests/walks tests/browser

# For the tests in a browser. Debian's own package, where root may install it; elsewhere they are skipped with a line.
browser: setup
	@mkdir -p build; { command -v chromium || command -v chromium-browser || command -v google-chrome; } > build/browsers.log || { \
	  test "$$(id -u)" = 0 && command -v apt-get > build/browsers.log && $(ALIVE) "installing chromium" sh -c '{ apt-get update && \
	  apt-get install --yes --no-install-recommends chromium fonts-dejavu-core; } > build/chromium.log 2>&1'; } || \
	  echo "no chromium: the tests in a browser are skipped (Debian: apt-get install chromium)"

test: check browser
	@echo "pytest (tests on a deployed local AWS run in parallel: $(DEPLOYED))"
	@mkdir -p build; \
	  $(BIN)/python -m pytest tests/chaos > build/chaos.log 2>&1 & chaos=$$!; \
	  $(BIN)/python -m pytest tests/e2e tests/grants > build/deployed.log 2>&1 & deployed=$$!; \
	  $(BIN)/python -m pytest tests/browser > build/browser.log 2>&1 & browser=$$!; \
	  $(BIN)/python -m pytest $(PARALLEL) $(addprefix --ignore=,$(DEPLOYED)); code=$$?; \
	  wait $$browser || code=1; cat build/browser.log; wait $$deployed || code=1; cat build/deployed.log; \
	  wait $$chaos || code=1; cat build/chaos.log; exit $$code

pictures: browser
	@PYTHONPATH=$(SOURCES) $(BIN)/python -m tests.browser.pictures

chaos: setup
	@rm -rf build/scorecard
	@DOSSIER_CRASH_STRIDE=1 DOSSIER_IN_STEP_CASES=20 DOSSIER_IN_STEP_EDITS=200 DOSSIER_SCORECARD=docs/reliability.md \
	  $(BIN)/python -m pytest tests/steps --timeout 3000
	@DOSSIER_CHAOS_CASES=300 DOSSIER_CHAOS_ACCOUNTS=8 DOSSIER_CHAOS_RATE=0.2 DOSSIER_CHAOS_DELIVERIES=10000 \
	  DOSSIER_CHAOS_RESTARTED=51 DOSSIER_CHAOS_SECONDS=5400 DOSSIER_SCORECARD=docs/reliability.md \
	  $(BIN)/python -m pytest tests/chaos

walks: setup
	@$(BIN)/python -m pytest tests/walks

rehearse: setup
	@PYTHONPATH=$(SOURCES) FROM="$(FROM)" RECORD="$(RECORD)" $(BIN)/python -W ignore -m tests.rehearsal

simulate: setup
	@PYTHONPATH=$(SOURCES) SEEDS="$(SEEDS)" SEED="$(SEED)" CASES="$(CASES)" FIRST="$(FIRST)" TRACE="$(TRACE)" CASE="$(CASE)" \
	  JOBS="$(JOBS)" PLANTED="$(PLANTED)" PLANT="$(PLANT)" $(BIN)/python -W ignore -m tests.simulation

scale: setup
	@PYTHONPATH=$(SOURCES) QUESTION="$(QUESTION)" $(BIN)/python -W ignore -m tests.simulation --scale

scale-batch: setup
	@PYTHONPATH=$(SOURCES) ONLY="$(ONLY)" $(BIN)/python -W ignore -m tests.simulation.scale.batches

scale-count: setup
	@PYTHONPATH=$(SOURCES) $(BIN)/python -W ignore -m tests.simulation.scale.hundred

bench: setup .venv-bench/.ready
	@PYTHONPATH=$(SOURCES) ONLY="$(ONLY)" $(BIN)/python -W ignore -m bench

fuzz: setup .venv-fuzz/.ready
	@PYTHONPATH=$(SOURCES) $(FUZZ)/python -m fuzz --seconds $(FUZZ_SECONDS)

# With --strict, a package that the service does not know fails too.
audit: setup .venv-audit/.ready
	@for lock in $(LOCKS); do echo "$$lock"; $(AUDIT)/pip-audit --strict --require-hashes --disable-pip --requirement $$lock || exit 1; done
	@echo "package-lock.json"; $(BIN)/npm audit

.venv-docs/.ready: requirements/docs.txt .venv/.ready
	@$(BIN)/python -m venv .venv-docs
	@$(ALIVE) "setting up .venv-docs" $(DOCS)/python -m pip install --quiet --require-hashes --requirement requirements/docs.txt
	@touch $@

docs: setup .venv-docs/.ready
	@$(BIN)/python -m checks.site build/pages
	@NO_MKDOCS_2_WARNING=1 $(DOCS)/mkdocs build --quiet --strict
	@echo "build/site/index.html"

# One lock file for each virtual environment, with hashes, for every platform.
COMPILE := $(AUDIT)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header $(LOCK_ARGS)
RUNTIME := boto3 botocore jmespath python-dateutil s3transfer six urllib3

lock: setup .venv-audit/.ready
	@$(COMPILE) pyproject.toml $(addprefix --no-emit-package ,$(RUNTIME)) --output-file layers/requirements.txt
	@$(COMPILE) pyproject.toml --extra dev --output-file requirements/dev.txt
	@for group in audit bench docs functions fuzz local; do \
	  $(COMPILE) --group $$group --constraint layers/requirements.txt --output-file requirements/$$group.txt || exit 1; done

sbom: setup .venv-audit/.ready
	@mkdir -p build/sbom
	@for lock in $(LOCKS); do $(AUDIT)/cyclonedx-py requirements $$lock --output-file build/sbom/$$(echo $$lock | tr / -).json || exit 1; done
	@$(BIN)/npm sbom --sbom-format cyclonedx > build/sbom/package-lock.json
	@echo "build/sbom"

clean:
	@rm -rf .venv .venv-audit .venv-bench .venv-docs .venv-fuzz .venv-local .venv-functions node_modules build cdk.out .dossier
