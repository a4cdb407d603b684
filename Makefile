# Portolan. `make` lists the targets.
.DEFAULT_GOAL := help
LINT := go tool -modfile=tools/go.mod golangci-lint

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build ./portolan
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o portolan ./cmd/portolan

.PHONY: demo
demo: ## run the demo: a sample registry, read and shown
	go run ./cmd/portolan demo

.PHONY: fmt
fmt: ## format all code
	$(LINT) fmt

.PHONY: lint
lint: ## check the code with the linters
	$(LINT) run ./...

.PHONY: test
test: ## run the tests (PostgreSQL only if PORTOLAN_TEST_POSTGRES is set)
	go test ./...

.PHONY: check
check: ## everything: lint, unit, race, both databases, end to end, fuzz, clients
	scripts/check.sh

.PHONY: faults
faults: ## hold the main job to faults: make faults [FAULTS=short] [SEED=n]
	go test ./test/faults -count=1 -timeout 3h -faults.set=$(or $(FAULTS),full) -faults.seed=$(or $(SEED),0)

.PHONY: fuzz
fuzz: ## run each fuzz target for a while: make fuzz [FUZZTIME=1m] [MINUTES=60, in all]
	scripts/fuzz.sh $(if $(MINUTES),all $(MINUTES),$(or $(FUZZTIME),5s))

.PHONY: bench
bench: ## measure, and write docs/performance.md (15 minutes; make bench QUICK=-quick: 3)
	go run ./bench -out docs/performance.md $(QUICK)

.PHONY: clients
clients: ## call a served Portolan with the official SDKs
	scripts/clients.sh
