# yipan: what a person runs by hand, and what CI runs (`.ci/run` calls `make check`).
#
# `make demo` and `make test` need Go 1.26 and PostgreSQL binaries, nothing
# else; buf and golangci-lint are built only for the targets of developers.
# HOME and PATH are all that they need of the environment. YIPAN_DATABASE_URL
# (an existing server) and PG_BIN_DIR say which PostgreSQL to use.

# One set of flags for build, run and test: another flag means another build of
# every dependency. The race detector is the one exception: tests have it, and
# the demo and the bench cannot, being 5 to 10 times slower under it. Tests that
# need the program as a process start their own test binary again, so there is
# no third build. No stamp of the checkout: it relinks at every commit, and git
# refuses it in a folder of another owner.
export GOFLAGS := -buildvcs=false

# Set on make's command line: make test PKG=./internal/fold/...
TEST_TIMEOUT = 20m
FUZZTIME     = 10s
PKG          = ./...
# for the demo and the bench: ARGS='--once --data /tmp/d'
ARGS         =

YIPAN    := go run ./cmd/yipan
TOOL     := go tool -modfile=tools/go.mod
BASELINE := proto/baseline.binpb

.DEFAULT_GOAL := help
# Each target is one tool that uses all cores by itself; two at once would only
# mix their lines.
.NOTPARALLEL:

.PHONY: help
help: ## print this list
	@echo 'make demo shows the main job on this machine; make test runs the tests.'
	@echo 'make demo 在本机演示主要业务；make test 运行全部测试。'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' Makefile

# --- for everyone

.PHONY: demo
demo: go postgresql ## two nodes, a hub and a real roster on this machine; stays up
	$(YIPAN) demo $(ARGS)

.PHONY: demo-chaos
demo-chaos: go postgresql ## the demo with its broker wiped, a node killed and one restored; then ends
	$(YIPAN) demo --once --chaos $(ARGS)

# The race detector needs a C compiler (Go then reports CGO_ENABLED=1).
.PHONY: test
test: go postgresql ## every test, with the race detector (PKG=./internal/fold/... for a part)
	@if [ "$$(go env CGO_ENABLED)" = 1 ]; then race=-race; else race=; \
		echo 'no C compiler found: the tests run without the race detector' >&2; fi; \
	set -x; go test $$race -timeout $(TEST_TIMEOUT) $(PKG)

.PHONY: bench
bench: go postgresql ## the figures of this machine, also written to bench.json
	$(YIPAN) bench $(ARGS)

.PHONY: build
build: go ## the program as bin/yipan
	go build -o bin/yipan ./cmd/yipan

# --- for developers

.PHONY: check
check: go race check-generated lint breaking alerts test ## all that CI checks

.PHONY: generate
generate: go ## Go code from proto/
	$(TOOL) buf generate

# Beside the tree and not in it, so that it needs no git and changes nothing.
.PHONY: check-generated
check-generated: go ## is internal/gen what proto/ gives?
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	{ $(TOOL) buf generate -o "$$dir" || exit 1; } && \
	diff -r "$$dir/internal/gen" internal/gen >"$$dir/diff" || { \
		head -n 40 "$$dir/diff" >&2; \
		echo 'internal/gen is not what proto/ gives: make generate' >&2; exit 1; }

.PHONY: lint
lint: go ## buf lint and format, golangci-lint
	$(TOOL) buf lint
	$(TOOL) buf format --diff --exit-code
	$(TOOL) golangci-lint run

.PHONY: breaking
breaking: go ## does proto/ still speak to what the baseline describes?
	@test -f $(BASELINE) || { echo '$(BASELINE) is missing: make baseline' >&2; exit 1; }
	$(TOOL) buf breaking --against $(BASELINE)

PROMTOOL ?= promtool

# promtool is Prometheus's own; the script takes it from the Debian package, or
# says where to get it.
.PHONY: alerts
alerts: ## do the alert rules hold, and fire when they should (and only then)?
	@deploy/install-promtool.sh
	$(PROMTOOL) check rules deploy/prometheus/yipan.rules.yml
	$(PROMTOOL) test rules deploy/prometheus/yipan_test.yml

# Only compatible changes pass into it; for a deliberate break remove the file
# first, and say why in the commit.
.PHONY: baseline
baseline: go ## take proto/ as it is for the next baseline
	@if [ -f $(BASELINE) ]; then $(TOOL) buf breaking --against $(BASELINE); fi
	$(TOOL) buf build --exclude-source-info -o $(BASELINE)

.PHONY: fuzz
fuzz: go ## every fuzz target for FUZZTIME each
	@grep -rE '^func Fuzz[A-Za-z0-9_]*\(' --include='*_test.go' $(wildcard cmd) internal | \
	sed -E 's|^(.*)/[^/]*:func (Fuzz[A-Za-z0-9_]*).*|\1 \2|' | sort | \
	while read -r dir name; do \
		echo "== $$dir $$name"; \
		go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "./$$dir" || exit 1; \
	done

.PHONY: fmt
fmt: go ## gofmt and buf format
	gofmt -l -s -w $(wildcard cmd) internal
	$(TOOL) buf format -w

# --- what the targets above stand on

.PHONY: go
go:
	@v=$$(go env GOVERSION 2>&1) || { \
		echo "Go 1.26 or later is needed (https://go.dev/dl/); the go command says: $$v" >&2; exit 1; }; \
	case "$$v" in \
	go1.2[6-9]*|go1.[3-9][0-9]*|devel*) ;; \
	*) echo "Go 1.26 or later is needed, here is $$v: https://go.dev/dl/" >&2; exit 1 ;; \
	esac

.PHONY: race
race: go
	@test "$$(go env CGO_ENABLED)" = 1 || { \
		echo 'make check needs a C compiler (gcc or clang) for the race detector' >&2; exit 1; }

.PHONY: postgresql
postgresql:
	@deploy/install-postgresql.sh
