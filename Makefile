# weir: `make demo` shows it at work, `make test` tests it. See README.md.

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X github.com/weirproxy/weir/internal/buildinfo.version=$(VERSION)
FUZZTIME ?= 20s

.DEFAULT_GOAL := build
.PHONY: build demo test test-unit test-race test-e2e test-oracle fuzz lint generate check-generate bench deps deps-k8s e2e-k8s clean

build: ## one static binary, bin/weir
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/weir ./cmd/weir

deps: ## what the demo and the tests need from the system (Debian, Ubuntu)
	scripts/deps demo test

deps-k8s: ## what the Kubernetes test needs besides
	scripts/deps kubernetes

demo: ## two pods, the agent, the proxy and a control plane, on this machine; as root
	scripts/deps demo
	$(MAKE) -s build
	$(GO) build -o bin/demo ./test/demo
	bin/demo -weir bin/weir $(DEMOFLAGS)

test: deps build lint check-generate test-race test-e2e test-oracle fuzz ## everything that CI runs

test-unit: ## the quick ones, no privileges needed
	$(GO) test ./...

test-race: ## unit tests, and privileged ones where this is root, with the race detector
	$(GO) test -race -count=1 ./...

test-e2e: build ## whole proxies and agents, in network namespaces; needs root
	WEIR=$(CURDIR)/bin/weir $(GO) test -count=1 -tags e2e ./test/...

e2e-k8s: deps-k8s build ## the chart on a real Kubernetes node, made from source; needs root
	scripts/kubernetes .cache/kubernetes
	WEIR_KUBERNETES=$(CURDIR)/.cache/kubernetes $(GO) test -count=1 -v -timeout 30m -tags kubernetes ./test/kubernetes

test-oracle: build ## the same requests to Envoy and to weir
	WEIR=$(CURDIR)/bin/weir $(GO) test -count=1 -tags oracle ./test/oracle

fuzz: ## each fuzz target for FUZZTIME
	scripts/fuzz $(FUZZTIME)

lint: ## formatting, vet, staticcheck
	scripts/lint

generate: ## the eBPF objects and their Go bindings; needs clang
	$(GO) generate ./bpf

check-generate: ## the committed eBPF objects are those of the sources
	scripts/check-generate

bench: ## the hot pieces; allocations are reported
	$(GO) test -run '^$$' -bench . -benchmem ./proxy/...

clean:
	rm -rf bin
