# What this repository can do; `make` alone lists it.

.DEFAULT_GOAL := help
# The steps share one build folder, which cargo locks anyway.
.NOTPARALLEL:
.PHONY: run test soak binary test-clients bench bench-scale bench-isolation lint lint-scripts licenses deny proto fmt proto-release openapi cli-reference api-reference docs openapi-check cli-reference-check api-reference-check docs-check bench-check ci help

# The binary of tests, clients and generated files: `--examples` (there are none) gives the dependencies the features that
# tests need, so that `cargo test` builds none of them again.
built = $(or $(CARGO_TARGET_DIR),target)/debug/redflag
binary:
	cargo build --locked --quiet --bins --examples

run: ## start the service on the embedded store (more flags: ARGS="--listen 127.0.0.1:9090")
	cargo run --release --locked -- serve $(ARGS)

# Many tests wait for a time to pass, so more of them than processors run at once.
export RUST_TEST_THREADS ?= $(shell echo $$((3 * $$(getconf _NPROCESSORS_ONLN))))

test: ## run every test on SQLite and PostgreSQL (some of them: TESTARGS="name")
	@command -v python3 >/dev/null || scripts/apt-install python3
	scripts/with-postgres cargo test --locked $(TESTARGS)

test-clients: binary ## run every client in clients/ against live servers on both stores (some of them: CLIENTS="python browser")
	REDFLAG_BIN=$(built) scripts/test-clients $(CLIENTS)

bench: ## measure throughput and latency, write docs/performance.md (QUICK=1: one short round, writes nothing; ONLY="text")
	cargo bench --locked --bench bench --no-run
	TEST_DATABASE_URL= REDFLAG_PG_DURABLE=1 scripts/with-postgres cargo bench --locked --bench bench -- \
		$(if $(QUICK),--quick) $(if $(ONLY),--only "$(ONLY)") $(BENCHARGS)

bench-scale: ## measure databases that hold many alerts (ALERTS=1000000; WRITE=1 writes docs/performance/scale.md)
	cargo bench --locked --bench bench --no-run
	TEST_DATABASE_URL= REDFLAG_PG_DURABLE=1 scripts/with-postgres cargo bench --locked --bench bench -- \
		scale --alerts $(or $(ALERTS),1000000) $(if $(WRITE),--write)

bench-isolation: ## measure what one organization notices of another's load, locks and mistakes (QUICK=1: short)
	cargo bench --locked --bench bench --no-run
	TEST_DATABASE_URL= REDFLAG_PG_DURABLE=1 REDFLAG_PG_STANDBY=1 scripts/with-postgres \
		cargo bench --locked --bench bench -- $(if $(QUICK),--quick) isolation

# `--examples` (there are none) gives the dependencies the features that tests need, so that nothing is checked twice.
lint: lint-scripts licenses proto ## check scripts, licences, contract, formatting, lints and doc comments
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items --lib --examples

lint-scripts:
	for script in scripts/* .ci/run $$(grep -l '^#!.*bash' clients/*/setup clients/*/smoke clients/*/venv); do bash -n $$script || exit 1; done

licenses: ## check the licences and sources of all dependencies (deny.toml)
	scripts/cargo-deny --locked check licenses bans sources

deny: ## the same, and whether any is known to be vulnerable or was taken back; asks github.com and the registry
	scripts/cargo-deny --locked check

# The contract as clients have it; replaced with every release, never in between.
released := proto/released.binpb

proto: ## check the protobuf contract: lint, format, nothing released is broken
	scripts/buf lint
	scripts/buf format --diff --exit-code
	scripts/buf breaking --against $(released)

proto-release: proto ## make the contract as it is now the one that is never broken: with every release
	scripts/buf build --exclude-source-info -o $(released)

fmt: ## format the Rust code and the protobuf files
	cargo fmt
	scripts/buf format -w

# Files that the binary writes itself: the standard output of the verb that the target is named after.
document.openapi := docs/openapi.json
document.cli-reference := docs/cli.md
document.api-reference := docs/api.md

openapi: ## regenerate docs/openapi.json
cli-reference: ## regenerate docs/cli.md
api-reference: ## regenerate docs/api.md
openapi cli-reference api-reference: binary
	@mkdir -p target/generated docs
	$(built) $@ > target/generated/$@
	mv target/generated/$@ $(document.$@)

openapi-check cli-reference-check api-reference-check: %-check: binary
	@mkdir -p target/generated
	$(built) $* > target/generated/$*
	@diff -u $(document.$*) target/generated/$* || { echo "$(document.$*) is out of date: run 'make $*'" >&2; exit 1; }

docs: openapi cli-reference api-reference ## regenerate all of them

docs-check: openapi-check cli-reference-check api-reference-check ## check that all are up to date

# Without optimisation, so that nothing is built for it alone.
bench-check: ## see that the benchmark works; no figure is judged
	TEST_DATABASE_URL= REDFLAG_PG_DURABLE=1 scripts/with-postgres \
		cargo test --locked --bench bench -- --quick
	TEST_DATABASE_URL= REDFLAG_PG_DURABLE=1 REDFLAG_PG_STANDBY=1 scripts/with-postgres \
		cargo test --locked --bench bench -- --quick isolation

# The fuzzers take a short turn here and a long one in `make soak`.
ci: export CALLS ?= 10000
ci: export CASES ?= 1000
ci: export EXAMPLES ?= 20
ci: ## all of the above checks, the quickest first, with the time of each
	scripts/stages lint docs-check test test-clients bench-check

soak: export PROPTEST_CASES ?= 5000
soak: export CALLS ?= 500000
soak: export CASES ?= 20000
soak: export EXAMPLES ?= 200
soak: export CLIENT_TIMEOUT ?= 7200
soak: export CLIENTS ?= fuzz-grpc fuzz-rest
soak: ## tests and fuzzers with many more cases: before a release (SEED=7: other calls)
	scripts/stages test test-clients

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
