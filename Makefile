# lxc-checkpoint: see README.md. Everything but "make" and "make install" needs
# root on Debian and fetches what it needs from Debian's packages by itself.

GO       ?= go
DESTDIR  ?=
PREFIX   ?= /usr/local
COMMANDS := lxc-checkpoint lxc-restart lxc-statefile
VERSION  ?= $(shell git describe --tags --match 'v*' 2>/dev/null | sed 's/^v//')
LDFLAGS  := -s -w $(if $(VERSION),-X lxc-checkpoint/internal/cli.Version=$(VERSION))
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

export CGO_ENABLED = 0
# In a clone that belongs to another user, git tells go nothing.
export GOFLAGS ?= -buildvcs=false
export DEBIAN_FRONTEND = noninteractive
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c

.PHONY: all test test-v2 acceptance demo matrix bench lint generate install clean needs $(COMMANDS)

all: $(COMMANDS)

# The commands: static, stripped, bin/NAME. GOARCH=arm64 works as well.
$(COMMANDS):
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/$@ ./cmd/$@

# What tests need of Debian's packages.
needs:
	test/install-needs.sh test

# Every test, some rounds of each.
test: all needs
	$(GO) test -json -timeout 25m ./... | $(GO) run ./test/tell -coverage docs/coverage.md

# Those of LXC and of hosts as where only cgroups of v2 are mounted.
test-v2: all needs
	test/v2-only.sh $(GO) test -json -timeout 25m ./test/lxc ./test/hosts | $(GO) run ./test/tell

# The same with the full counts of rounds and of random instants: hours.
acceptance: all needs
	LXC_CHECKPOINT_TEST=acceptance $(GO) test -json -timeout 6h ./test/... ./image/... | $(GO) run ./test/tell

# The main job without LXC, narrated.
demo: all
	$(GO) run ./test/demo

# The native loop on other kernels, under emulation.
matrix: all
	test/install-needs.sh matrix
	$(GO) run ./test/matrix

# How long a checkpoint and a restart take, beside what the machine can do.
bench: all
	test/install-needs.sh test
	$(GO) run ./test/bench

lint:
	test/install-needs.sh lint
	test/lint.sh '$(STATICCHECK)'

# The Go code of the image's messages.
generate:
	test/install-needs.sh lint
	test/generate.sh image/format

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 755 $(COMMANDS:%=bin/%) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(COMMANDS:%=man/%.1) $(DESTDIR)$(PREFIX)/share/man/man1

clean:
	rm -rf bin
