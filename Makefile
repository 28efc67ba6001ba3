# What this repository can do; `make` alone lists it.

.DEFAULT_GOAL := help
# The steps share one build folder, which cargo locks anyway.
.NOTPARALLEL:
.PHONY: run test test-clients bench bench-scale bench-isolation lint lint-scripts licenses deny proto fmt proto-release openapi cli-reference api-reference docs openapi-check cli-reference-check api-reference-check docs-check bench-check ci help

run: ## start the service on the embedded store (more flags: ARGS="--listen 127.0.0.1:9090")
	cargo run --release --locked -- serve $(ARGS)

test: ## run every test on SQLite and PostgreSQL (some of them: TESTARGS="name")
	@command -v python3 >/dev/null || scripts/apt-install python3
	scripts/with-postgres cargo test --locked $(TESTARGS)

test-clients: ## run every client in clients/ against live servers on both stores (some of them: CLIENTS="python browser")
	scripts/test-clients $(CLIENTS)

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

lint: lint-scripts licenses proto ## check scripts, licences, contract, formatting, lints and doc comments
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

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
openapi cli-reference api-reference:
	@mkdir -p target/generated docs
	cargo run --locked --quiet -- $@ > target/generated/$@
	mv target/generated/$@ $(document.$@)

openapi-check cli-reference-check api-reference-check: %-check:
	@mkdir -p target/generated
	cargo run --locked --quiet -- $* > target/generated/$*
	@diff -u $(document.$*) target/generated/$* || { echo "$(document.$*) is out of date: run 'make $*'" >&2; exit 1; }

docs: openapi cli-reference api-reference ## regenerate all of them

docs-check: openapi-check cli-reference-check api-reference-check ## check that all are up to date

bench-check: ## see that the benchmark works; no figure is judged
	$(MAKE) bench QUICK=1
	$(MAKE) bench-isolation QUICK=1

ci: ## all of the above checks, the quickest first, with the time of each
	scripts/stages lint docs-check test test-clients bench-check

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
