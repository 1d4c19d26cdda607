# weir: `make demo` shows it at work, `make test` tests it. See README.md.

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X github.com/weirproxy/weir/internal/buildinfo.version=$(VERSION)
# What scripts/go-toolchain and scripts/oracle-deps install, and where Debian
# has bpftool and ip.
export PATH := $(CURDIR)/bin/go/bin:$(CURDIR)/bin/tools/bin:$(PATH):/usr/sbin:/sbin
export WEIR  = $(CURDIR)/bin/weir

.DEFAULT_GOAL := build
.PHONY: build demo test test-unit test-race test-e2e test-oracle e2e-k8s vm vagrant test-all deps-k8s fuzz lint generate check-generate bench bench-node deps clean help

build: ## one static binary, bin/weir
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/weir ./cmd/weir

demo: ## two pods, the agent, the proxy and a control plane, on this machine; as root
	scripts/deps demo
	$(MAKE) -s build
	$(GO) build -o bin/demo ./test/demo
	bin/demo -weir bin/weir $(DEMOFLAGS)

test: ## everything that CI runs, after installing what it needs; as root
	$(MAKE) -s deps
	rm -rf bin/test
	$(MAKE) -s lint check-generate
	$(MAKE) -s test-race
	$(MAKE) -s test-e2e
	$(MAKE) -s test-oracle
	$(MAKE) -s fuzz
	scripts/gotest

test-unit: ## the quick ones; those that need root are skipped without it
	$(GO) test ./...

test-race: ## the same with the race detector
	scripts/gotest race -race -count=1 -timeout 15m ./...

test-e2e: build ## weir as agent and proxy, in network namespaces; as root
	scripts/gotest e2e -tags e2e -count=1 -timeout 10m ./test/e2e ./test/conformance

e2e-k8s: build ## the chart on a real Kubernetes node, made from source; as root
	scripts/deps kubernetes
	scripts/kubernetes .cache/kubernetes
	WEIR_KUBERNETES=$(CURDIR)/.cache/kubernetes $(GO) test -count=1 -v -timeout 30m -tags kubernetes ./test/kubernetes

# What the oldest kernel is tried with: every program and each way of catching.
OLDEST := ^Test(Check|OutboundKeepsOriginalDestination|MappedAddress|Inbound|UpstreamSocketsBypass|Flows|Exclusions|TakeOverAndCleanup|OtherLayout|DNSResolvers|Outbound|BothEnds|PeerName|DNS|ProxyKilled|AgentKilled|Cleanup|Killed|EndsInOrder|PassedOn|ConnectionsOutliveProxy|RequestRepeatedOnce)$$

vm: build ## the node path on Debian's kernels 5.10, 6.1 and 6.12, under qemu
	scripts/deps vm
	scripts/vm bullseye .cache/vm '$(OLDEST)'
	scripts/vm bookworm .cache/vm
	scripts/vm trixie .cache/vm

vagrant: build ## vagrant up with a box of our own making, under qemu; as root
	scripts/deps vagrant
	scripts/vagrant .cache/vagrant

test-all: test e2e-k8s vm vagrant ## what CI runs, and what takes longer

test-oracle: build ## the same requests to Envoy and to weir
	scripts/oracle

fuzz: ## each fuzz target for a while
	scripts/fuzz

lint: ## formatting, vet, staticcheck
	scripts/lint

generate: ## the eBPF objects and their Go bindings; needs clang
	$(GO) generate ./bpf/...

check-generate: ## the committed eBPF objects are those of the sources
	scripts/check-generate

bench: ## the hot pieces; allocations are reported
	$(GO) test -run '^$$' -bench . -benchmem ./proxy/...

bench-node: build ## what the node path costs, against its bars; as root
	bash -o pipefail -c "$(GO) test -tags costs -count=1 -v -timeout 10m ./test/costs | grep -E '^\||^ +[a-z]+_test.go|^(---|ok|FAIL)'"

deps: ## what the demo and the tests need from the system and from PyPI
	scripts/deps demo test
	scripts/oracle-deps

clean:
	rm -rf bin

help: ## this list
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
