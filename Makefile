# Everything done with this repository. `make` alone prints the list.
# Needs Go, GNU make and bash; `make race` also needs a C compiler.
SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TOOLS     := bin/tools
PLATFORMS := linux/amd64 linux/arm64 darwin/arm64 windows/amd64
MODULES   := $(patsubst %/go.mod,%,$(shell find . -mindepth 2 -name go.mod -not -path './bin/*'))

SAMPLE    ?= testdata/samples/telecom_10k.csv
ARGS      ?=
TESTFLAGS ?=
FUZZTIME  ?= 30s
SEEDS     ?= 10000
FILES     ?= 20
FAILOVERS ?= 20
POSTMASTERS ?= 20
SEEDS_EACH ?= 10
CANCELS   ?= 10000
MUTANTS   ?=
S3_SERVERS ?= versitygw moto minio
FLOOR     ?= 95
PKG       ?= ./...
BENCH     ?= .
COUNT     ?= 6
OUT       ?= bench/results/$(shell git rev-parse --short HEAD).txt

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- run ---------------------------------------------------------------------

# Without symbols and DWARF the program is 28 % smaller; stack traces, pprof and the version are the same.
STRIPPED := -trimpath -ldflags "-s -w"

.PHONY: build
build: ## Build bin/millrace, stripped (no C compiler needed)
	CGO_ENABLED=0 go build $(STRIPPED) -o bin/millrace .

.PHONY: slim
slim: ## Build bin/millrace-slim: the commands that need files only, as the Python package brings it
	CGO_ENABLED=0 go build $(STRIPPED) -o bin/millrace-slim ./cli/slim

# 69 (EX_UNAVAILABLE) is how millrace says that it found no PostgreSQL and could not fetch one.
.PHONY: run
run: build ## Start everything, score the bundled sample through the API, keep serving (ARGS=… to add flags)
	@./bin/millrace serve --sample $(SAMPLE) $(ARGS) || { status=$$?; [ $$status = 69 ] || exit $$status; \
		.ci/postgres && exec ./bin/millrace serve --sample $(SAMPLE) $(ARGS); }

# --- test --------------------------------------------------------------------

.PHONY: test-parts
test-parts: $(TOOLS)/versitygw $(TOOLS)/goaws
	@.ci/postgres

.PHONY: test
test: test-parts $(TOOLS)/gotestsum ## Whole suite against a real PostgreSQL, S3 server and SQS server
	@echo "==> the whole suite; modules not yet on this machine are downloaded and named first"
	@$(TOOLS)/gotestsum --format pkgname --format-hide-empty-pkg -- -count=1 -timeout=15m $(TESTFLAGS) ./...

.PHONY: deploy
deploy: ## Check deploy/ against the program: queries, rules, manifests, variables
	@cd deploy && go test -count=1 -timeout=15m $(TESTFLAGS) ./...
	@cd deploy/release && go test -count=1 -timeout=15m $(TESTFLAGS) .

# promtool takes minutes to build the first time, so CI leaves this out; the test above loads the rules as it does.
.PHONY: rules
rules: $(TOOLS)/promtool ## promtool's unit tests of the alerts
	@$(TOOLS)/promtool check rules deploy/prometheus/rules.yaml
	@$(TOOLS)/promtool test rules deploy/prometheus/rules_test.yaml

.PHONY: race
race: test-parts ## Whole suite under the race detector, in random order
	@command -v "$$(go env CC)" >/dev/null || { echo "make race needs a C compiler: $$(go env CC) not found"; exit 1; }
	CGO_ENABLED=1 go test -race -shuffle=on -timeout=30m $(TESTFLAGS) ./...

# What is stored in a bucket, sent through a link and dropped into the inbox. The long ones of ./test and ./serve without a
# bucket are left out.
S3_TESTS := ^TestS3|^TestObjects|^TestMark|UploadLink|^TestServe_ObjectsInS3|^TestInbox|DroppedFile|DeleteDropped|^TestUploadOnEveryStorage|^TestRun_AllFeatures|^TestOwner|^TestSweepOrphans
.PHONY: s3-servers
s3-servers: test-parts ## The tests of buckets on each of S3_SERVERS (versitygw moto minio): pip's moto_server, MinIO from PATH or built
	@failed=; for server in $(S3_SERVERS); do echo "==> $$server"; \
		MILLRACE_S3_SERVER=$$server go test -count=1 -timeout=30m -run '$(S3_TESTS)' $(TESTFLAGS) \
			./store/objects ./store ./serve ./test || failed="$$failed $$server"; \
	done; [ -z "$$failed" ] || { echo "not on:$$failed"; exit 1; }

.PHONY: browser
browser: test-parts ## The pages in a headless Chromium, which must be on PATH; images go to MILLRACE_SCREENSHOTS
	MILLRACE_BROWSER=required go test -count=1 -run '^TestPage|^TestDocsAreDrawn$$' ./test

.PHONY: purego
purego: ## The kernels' packages without assembly
	go test -tags purego -timeout=15m $(TESTFLAGS) ./engine/... ./ingest/...

.PHONY: arm64
arm64: ## The scoring packages on arm64 under QEMU, and nothing in them that fuses products with sums (ARM64=short for some)
	@.ci/arm64 $(ARM64)

.PHONY: guard-office
guard-office: ## Results and rejects opened in LibreOffice with each separator: no cell is a live formula
	@GUARD_OFFICE=1 go test -count=1 -run TestGuardOffice -v $(TESTFLAGS) ./test

.PHONY: 386
386: ## The scoring packages with 32 bits
	GOARCH=386 CGO_ENABLED=0 go vet ./engine/... ./ingest/...
	GOARCH=386 CGO_ENABLED=0 go test -short -timeout=15m $(TESTFLAGS) ./engine/forest ./engine ./ingest/...

.PHONY: files
files: test-parts ## Files that people send, each remade FILES (20) times: scored as the clean one, or refused with its code
	FILES=$(FILES) go test -count=1 -timeout=30m -run '^TestFilesPeopleSend' ./test

.PHONY: fuzz
fuzz: ## Every fuzz target for FUZZTIME (30s)
	@grep -rl --include='*_test.go' '^func Fuzz' . | sort | while read -r file; do \
		sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$$file" | while read -r target; do \
			echo "==> $$target in $$(dirname "$$file")"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x "$$(dirname "$$file")" </dev/null; \
		done; \
	done

.PHONY: chaos
chaos: build test-parts ## Kill, stop and cut off workers and check every row (CHAOS_KILLS, CHAOS_PAUSES; chaos/README.md)
	@cd chaos && go run .

.PHONY: chaos-short
chaos-short: build test-parts ## The chaos run for a minute, after the checker's tests
	@cd chaos && go test ./... && CHAOS_SECONDS=60 go run .

.PHONY: outages
outages: build test-parts failovers postmasters ## PostgreSQL, S3 and SQS unavailable for a minute each (CHAOS_OUTAGE) while files are scored, and failovers: half an hour
	@cd chaos && go run . outages

.PHONY: failovers
failovers: ## PostgreSQL fails over to a standby FAILOVERS (20) times in each of seven ways: uploads go on within five seconds
	FAILOVERS=$(FAILOVERS) go test -count=1 -timeout=2h -v -run '^TestFailover$$' ./test

.PHONY: postmasters
postmasters: ## The private PostgreSQL is killed, or asked to stop, POSTMASTERS (20) times under load: it is started again, no attempt is charged
	KILLED_POSTMASTERS=$(POSTMASTERS) go test -count=1 -timeout=1h -v -run '^TestPrivatePostgres_Killed$$' ./test
	KILLED_POSTMASTERS=$(POSTMASTERS) go test -count=1 -timeout=1h -v -run '^TestSupervise_StartsAgain$$' ./store/cluster

.PHONY: alerts
alerts: build test-parts $(TOOLS)/prometheus ## Provoke every alert on two APIs and two workers under a real Prometheus: ten minutes
	@cd chaos && go run . alerts

.PHONY: abuse
abuse: build ## Slow and flooding callers against a server of 512 MiB while others use it: half an hour (ABUSE_RUNS, ABUSE_SECONDS)
	@cd chaos && go run . abuse

.PHONY: scale
scale: build test-parts ## One large file with 1, 2 and 4 workers, on one host and (as root) on hosts of their own
	@cd chaos && go run . scale

.PHONY: chaos-proof
chaos-proof: test-parts ## The chaos run against builds without the fence, which it must detect
	@.ci/chaos-proof

.PHONY: simulate
simulate: ## The lease protocol in virtual time, SEEDS (10000) times
	SIMULATE_SEEDS=$(SEEDS) go test -count=1 -run '^TestLeaseProtocol' ./serve/internal/work

.PHONY: cancels
cancels: test-parts ## Scores of S3 parts that are cancelled in the middle, CANCELS (10000) times under the race detector
	CGO_ENABLED=1 CANCELLED_SCORES=$(CANCELS) go test -race -count=1 -timeout=30m -v -run '^TestWorker_CancelDuringScoring' ./serve/internal/work

.PHONY: mutants
mutants: test-parts ## Apply every mutant; each must fail a test (MUTANTS=… for some)
	@cd chaos && go run ./mutants $(MUTANTS)

# The HTML and the figures are there whatever a test says; then make fails as it must. A test that needs servers may fail
# for a busy machine: at most two such are run once more, and named as flaky so that they are mended. The counters are
# kept by process: a profile would be that of the last run alone.
.PHONY: cover
cover: test-parts $(TOOLS)/gotestsum ## Whole suite with coverage.html; fails under FLOOR (95) % in all; CI runs this one
	@echo "==> the whole suite with coverage; modules not yet on this machine are downloaded and named first"
	@failed=0; rm -rf cover.out cover.flaky bin/cover; mkdir -p bin/cover; \
		$(TOOLS)/gotestsum --format pkgname --format-hide-empty-pkg \
			--rerun-fails=1 --rerun-fails-max-failures=2 --rerun-fails-report=cover.flaky --packages=./... -- \
			-count=1 -timeout=20m -cover -coverpkg=$$(go list ./... | grep -v /peers/ | paste -sd, -) $(TESTFLAGS) \
			-args -test.gocoverdir=$(CURDIR)/bin/cover | sed -uE 's/ in github.com[^)]*//' || failed=1; \
		[ ! -s cover.flaky ] || { echo "==> flaky, to be mended:"; cat cover.flaky; }; \
		go tool covdata textfmt -i=bin/cover -o cover.out || failed=1; \
		.ci/cover $(FLOOR) cover.out coverage.html || failed=1; exit $$failed

.PHONY: python
python: build slim ## The Python package: types, tests with the real libraries, the table of docs/python.md, this platform's wheel in bin/wheel
	@[ -e bin/python/made ] || { $(PYTHON) -m venv --clear bin/python && \
		bin/python/bin/pip install --quiet --disable-pip-version-check -e 'python[test]' build mypy pandas-stubs polars pyarrow && \
		touch bin/python/made; }
	cd python && ../bin/python/bin/mypy
	cd python && MILLRACE_PROGRAM="$$PWD/../bin/millrace-slim" MILLRACE_TABLE=../bin/python/table.md ../bin/python/bin/python -m pytest -q tests
	.ci/wheel
	rm -rf bin/python/wheel && bin/python/bin/pip install --quiet --disable-pip-version-check --no-deps --target bin/python/wheel bin/wheel/*.whl
	cd python && ../bin/python/bin/python -m pytest -q -o pythonpath=../bin/python/wheel tests/test_score.py

.PHONY: wheels
wheels: ## Wheels of the Python package for all PLATFORMS in bin/wheel, after make python
	.ci/wheel $(PLATFORMS)

.PHONY: bench
bench: ## Benchmarks of PKG (./...) matching BENCH, COUNT times; kept in bench/results
	@mkdir -p $(dir $(OUT))
	go test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) $(PKG) | tee $(OUT)

.PHONY: load
load: build ## The API at 1,000 requests a second; uploads, eight of 50 MB at once among them; small ones beside large
	./bin/millrace bench api
	./bin/millrace bench e2e
	./bin/millrace bench fairness

.PHONY: bench-compare
bench-compare: $(TOOLS)/benchstat ## Two kept benchmark runs side by side: OLD=… NEW=…
	@$(TOOLS)/benchstat $(OLD) $(NEW)

.PHONY: bench-gate
bench-gate: build ## Ratios to other engines, readers and drivers: none may be a fifth below its floor
	@.ci/postgres
	./bin/millrace bench gate

# All suites once; what is kept is written in every form.
FIGURES := bin/figures.json
.PHONY: bench-docs
bench-docs: build ## Measure everything; write docs/benchmarks.md and bench/results/<commit>.txt anew
	./bin/millrace bench --json > $(FIGURES)
	./bin/millrace bench --from $(FIGURES) --text > $(OUT)
	@tables="$$(./bin/millrace bench --from $(FIGURES) --markdown)"; \
		sed -i '/^<!-- figures/q' docs/benchmarks.md; echo "$$tables" >> docs/benchmarks.md

.PHONY: bench-queries
bench-queries: build ## Time every query with 10 million rows stored and write the tables of docs/database.md
	@figures="$$(./bin/millrace bench queries --markdown)"; sed -i '/^<!-- queries/q' docs/database.md; \
		echo "$$figures" >> docs/database.md

# Made anew when its list changes.
PYTHON ?= python3
VENV   := bin/venv
$(VENV)/made: bench/peers/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 12))' || \
		{ echo "$(PYTHON) is older than Python 3.12: name another with PYTHON=…"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# Needs pip, and a Python 3.12, for which all of these versions have wheels.
.PHONY: models
models: ## Train small models with several LightGBM and XGBoost versions (SEEDS_EACH times), and score them as the libraries do
	@for list in testdata/train/models/*.txt; do \
		venv="bin/models/$$(basename "$$list" .txt)"; echo "==> $$list"; \
		[ -e "$$venv/made" ] || { $(PYTHON) -m venv --clear "$$venv" && \
			"$$venv/bin/pip" install --quiet --disable-pip-version-check -r "$$list" && touch "$$venv/made"; }; \
		"$$venv/bin/python" -W ignore testdata/train/make_model_matrix.py bin/models/cases $(SEEDS_EACH); \
	done
	MILLRACE_MODELS="$$PWD/bin/models/cases" go test -count=1 -run '^TestModelsOfManyVersions' ./engine

.PHONY: bench-peers
bench-peers: $(VENV)/made ## Beside other languages' engines, readers and services; needs Python 3.12 and a C compiler
	@.ci/postgres
	cd bench/peers && ../../$(VENV)/bin/python compare.py ../results/peers.json
	cd bench/peers && ../../$(VENV)/bin/python csv_readers.py ../results/csv_readers.json
	cd bench/peers && ../../$(VENV)/bin/python end_to_end.py ../results/end_to_end.json

# --- check -------------------------------------------------------------------

.PHONY: verify
verify: format-check tidy-check vet lint imports generate-check ## Format, modules, vet, lint, borders, generated files: everything but the tests

.PHONY: format
format: $(TOOLS)/gofumpt ## Format every Go file
	$(TOOLS)/gofumpt -w .

.PHONY: format-check
format-check: $(TOOLS)/gofumpt
	@echo "==> gofumpt"
	@diff="$$($(TOOLS)/gofumpt -d . || true)"; [ -z "$$diff" ] || { echo "$$diff"; echo "run: make format"; exit 1; }

.PHONY: tidy-check
tidy-check:
	@echo "==> go mod tidy"
	@go mod tidy -diff

# Every platform, because vet is what checks the assembly's frames against the Go declarations; the linker may still miss
# what vet does not.
.PHONY: vet
vet:
	@for platform in $(PLATFORMS); do \
		echo "==> go vet and go build $$platform"; \
		export CGO_ENABLED=0 GOOS=$${platform%/*} GOARCH=$${platform#*/}; go vet ./...; go build -o /dev/null .; \
	done
	@echo "==> go vet -tags purego"
	@CGO_ENABLED=0 go vet -tags purego ./engine/... ./ingest/...
	@for module in $(MODULES); do echo "==> go vet $$module"; (cd "$$module" && go vet ./...); done

# All of them, even if the first one complains.
LINTERS := "staticcheck -checks inherit,ST1000,ST1020,ST1021,ST1022 ./..." "errcheck -exclude .ci/errcheck ./..." "ineffassign ./..." "unconvert ./..." \
	"misspell -error $(shell git ls-files '*.go' '*.md' '*.yaml' '*.sql' Makefile .ci)"
.PHONY: lint
lint: $(addprefix $(TOOLS)/,staticcheck errcheck ineffassign unconvert misspell) ## staticcheck, errcheck, ineffassign, unconvert, misspell
	@failed=; for linter in $(LINTERS); do \
		echo "==> $${linter%% *}"; $(TOOLS)/$$linter || failed="$$failed $${linter%% *}"; \
	done; [ -z "$$failed" ] || { echo "complaints from:$$failed"; exit 1; }

.PHONY: imports
imports:
	@echo "==> borders, fences, pages"
	@go test -count=1 -run '^TestBorders|^TestExported|^TestUnused|^TestChecker|^TestDependencies|^TestPagesName|^TestPromisesAreProven$$' ./test

.PHONY: generate
generate: ## Write every generated file anew
	go generate ./...

# Compared with the tree before, not with the last commit, so that it also works while something is being edited.
.PHONY: generate-check
generate-check:
	@echo "==> go generate"
	@tree() { git diff; git ls-files --others --exclude-standard | xargs -r cksum; }; \
		before="$$(tree)"; go generate ./...; [ "$$before" = "$$(tree)" ] || \
		{ git status --short; echo "generated files were stale: commit what make generate wrote"; exit 1; }

.PHONY: budget
budget: ## Report, never refuse: long files, functions and packages, tests per code, words out of place
	@.ci/budget

.PHONY: audit
audit: $(addprefix $(TOOLS)/,govulncheck gosec cyclonedx-gomod nfpm) ## Known vulnerabilities, gosec, a reproducible release (VULNDB=… for a copy)
	@VULNDB="$(VULNDB)" .ci/audit

# --- release ---------------------------------------------------------------------

release_tools := $(addprefix $(TOOLS)/,nfpm cyclonedx-gomod)
.PHONY: release
release: $(release_tools) ## Archives, deb, rpm, bills of materials and digests of HEAD in bin/release (PLATFORMS=…)
	@cd deploy/release && go run . -out ../../bin/release $(PLATFORMS)

.PHONY: release-check
release-check: $(release_tools) ## The same twice, byte by byte; FRESH=1: the second time compiled from nothing
	@.ci/release-check $(PLATFORMS)

# --- tools -------------------------------------------------------------------

tool_benchstat   := golang.org/x/perf/cmd/benchstat
tool_errcheck    := github.com/kisielk/errcheck
tool_goaws       := github.com/Admiral-Piett/goaws/app/cmd
tool_gofumpt     := mvdan.cc/gofumpt
tool_gotestsum   := gotest.tools/gotestsum
tool_ineffassign := github.com/gordonklaus/ineffassign
tool_misspell    := github.com/golangci/misspell/cmd/misspell
tool_nfpm        := github.com/goreleaser/nfpm/v2/cmd/nfpm
tool_staticcheck := honnef.co/go/tools/cmd/staticcheck
tool_unconvert   := github.com/mdempsky/unconvert
tool_versitygw   := github.com/versity/versitygw/cmd/versitygw

# Of make audit, with a graph of their own: theirs is the largest.
audit_cyclonedx-gomod := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod
audit_gosec           := github.com/securego/gosec/v2/cmd/gosec
audit_govulncheck     := golang.org/x/vuln/cmd/govulncheck

# Built on first use, each alone, so that no target waits for a tool that it does not need. The tests build their servers
# with the same flags, so that they find everything compiled.
# These come with the deploy module: their graph is large. prometheus is for a look at rules and boards under load.
$(TOOLS)/promtool $(TOOLS)/prometheus: deploy/go.mod
	@echo "==> building $@ from deploy/go.mod"
	@cd deploy && CGO_ENABLED=0 go build -o ../$@ github.com/prometheus/prometheus/cmd/$(@F)

$(TOOLS)/%: tools/go.tools.mod tools/go.audit.mod
	@echo "==> building $@"
	@start=$$SECONDS; CGO_ENABLED=0 go build -modfile=$(if $(tool_$*),tools/go.tools.mod,tools/go.audit.mod) -o $@ $(tool_$*)$(audit_$*) 2>&1 | \
		awk '/^go: downloading/ {n++; next} {print} END {if (n) print "    " n " modules downloaded"}'; \
		touch $@; echo "    after $$((SECONDS - start)) s"

.PHONY: clean
clean: ## Remove what make built
	rm -rf bin cover.out coverage.html
