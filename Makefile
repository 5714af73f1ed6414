# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# One non-recursive Makefile. `make help` lists the targets. V=1 shows commands, SAN=1 builds userspace
# with ASan and UBSan into its own folder, WERROR=1 makes warnings errors.

CC = gcc
CLANG ?= clang-14
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
PREFIX ?= /usr
DESTDIR ?=
UNITDIR ?= $(PREFIX)/lib/systemd/system
SAN ?= 0
V ?= 0

VERSION := 0.1.0
# LAYOUT=1: an agent whose maps have a layout made up for tests (bpf/abi/flow.h)
BUILD := $(if $(filter 1,$(LAYOUT)),build/layout,$(if $(filter 1,$(SAN)),build/san,build/std))
LAYOUT_CFLAGS := $(if $(filter 1,$(LAYOUT)),-DFL_TEST_LAYOUT)

Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-8s%s\n' '$(1)' '$(2)';)

# ---- flags -----------------------------------------------------------------------------------------
LIBS_PC := libbpf libnl-3.0 libnl-route-3.0 libmnl yaml-0.1 libuv libxxhash libcap libseccomp libcurl libmicrohttpd smartcols
PC_CFLAGS := $(shell pkg-config --cflags $(LIBS_PC) 2>/dev/null)
PC_LIBS := $(shell pkg-config --libs $(LIBS_PC) 2>/dev/null) -lm
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wno-unused-parameter \
	$(if $(filter 1,$(WERROR)),-Werror)
SANFLAGS := $(if $(filter 1,$(SAN)),-fsanitize=address -fsanitize=undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu17 $(CPPFLAGS) $(CFLAGS) $(WARN) $(SANFLAGS) -D_GNU_SOURCE -DFL_VERSION='"$(VERSION)"' -I. $(PC_CFLAGS) \
	-fstack-protector-strong $(LAYOUT_CFLAGS) -MMD -MP
LDLIBS = $(PC_LIBS)
# what the user's targets build with: all processors, unless make was given -j
JOBS = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
BPF_TRIPLE := $(shell gcc -print-multiarch 2>/dev/null)
BPF_CFLAGS = -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter -Wno-unused-function \
	$(if $(filter 1,$(WERROR)),-Werror) -I. -I/usr/include/$(BPF_TRIPLE) $(LAYOUT_CFLAGS) -MMD -MP

# ---- what is built ---------------------------------------------------------------------------------
LIB_SRC := $(sort $(wildcard lb/*/*.c conntrack/*.c nodeport/*.c))
CLI_SRC := $(sort $(wildcard tools/*.c))
AGENT_SRC := $(sort $(wildcard lb/*.c))
BPF_SRC := $(sort $(wildcard bpf/*.bpf.c))
UNIT_SRC := $(sort $(wildcard tests/unit/*/test_*.c))
PACKET_SRC := $(sort $(wildcard tests/packet/*.c))
BENCH_SRC := $(sort $(wildcard bench/*.c))
BENCH_BPF_SRC := $(sort $(wildcard bench/*.bpf.c))
FLOOD_SRC := tests/flood/flood.c

LIB := $(BUILD)/libfairlead.a
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
BPF_OBJ := $(BPF_SRC:%.bpf.c=$(BUILD)/%.bpf.o)
SKEL := $(BPF_SRC:bpf/%.bpf.c=$(BUILD)/skel/%.skel.h)
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/tests/unit/%)
PACKET_BIN := $(if $(PACKET_SRC),$(BUILD)/tests/packet/packet)
# the model and the fuzzer; of the packet tests what loads programs and furnishes the network
MODEL_SRC := $(sort $(wildcard tests/model/*.c)) tests/packet/plane.c tests/packet/net.c tests/packet/service.c
MODEL_BIN := $(BUILD)/tests/model/fuzz
# the datapath's source for this machine, every access of which is a call: as gcc makes them, whatever CC is
SCHEDULES_SRC := $(sort $(wildcard tests/schedules/*.c)) conntrack/entry.c conntrack/sweep.c conntrack/flush.c lb/base/ip.c
SCHEDULES_CALLS := tests/schedules/processor.c tests/schedules/sweeper.c conntrack/entry.c conntrack/sweep.c conntrack/flush.c
SCHEDULES_BIN := $(BUILD)/tests/schedules/schedules
SCHEDULES_CFLAGS = -std=gnu17 -O2 $(WARN) -Wno-missing-field-initializers -D_GNU_SOURCE -I. -MMD -MP
SCHEDULES_CALLS_CFLAGS = $(SCHEDULES_CFLAGS) -O1 -fsanitize=thread -Wno-unknown-pragmas -Wno-unused-function -Wno-tsan \
	-Itests/schedules/native
KERNELS_BIN := $(BUILD)/tests/kernels/load
BENCH_C := $(filter-out %.bpf.c,$(BENCH_SRC))
BENCH_SKEL := $(BENCH_BPF_SRC:bench/%.bpf.c=$(BUILD)/bench/%.skel.h)
BENCH_BIN := $(if $(BENCH_C),$(BUILD)/bench/fairlead-bench)
FLOOD_BIN := $(BUILD)/tests/flood/flood

MAN := $(patsubst tools/man/%.in,$(BUILD)/man/%,$(wildcard tools/man/*.in))
COMPLETION := $(foreach p,fairlead fairleadd,$(foreach s,bash zsh fish,$(BUILD)/completion/$(p).$(s)))

.PHONY: all help deps demo lab lab-down test test-kernels test-migration check go-programs test-kubernetes test-deploy test-packages manifests deb image install-image flood torture chaos lint format bench install clean
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

all: $(BUILD)/fairleadd $(BUILD)/fairlead $(MAN) $(COMPLETION) ## build the agent and the CLI

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install what building and testing needs (Debian packages)
	$(Q)tools/install-deps

# ---- rules -----------------------------------------------------------------------------------------
# static pattern rules: make takes no chain of implicit ones where $(BUILD)/%.o: %.c fits as well
$(BPF_OBJ): $(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c
	$(call say,BPF,$@)
	$(Q)mkdir -p $(@D) && $(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(SKEL): $(BUILD)/skel/%.skel.h: $(BUILD)/bpf/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)mkdir -p $(@D) && $(BPFTOOL) gen skeleton $< name fl_$* > $@

$(BENCH_SKEL:.skel.h=.bpf.o): $(BUILD)/bench/%.bpf.o: bench/%.bpf.c
	$(call say,BPF,$@)
	$(Q)mkdir -p $(@D) && $(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(BENCH_SKEL): $(BUILD)/bench/%.skel.h: $(BUILD)/bench/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)mkdir -p $(@D) && $(BPFTOOL) gen skeleton $< name $(subst -,_,$*) > $@

$(BUILD)/tests/flood/flood.bpf.o: tests/flood/flood.bpf.c
	$(call say,BPF,$@)
	$(Q)mkdir -p $(@D) && $(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(BUILD)/tests/flood/flood.skel.h: $(BUILD)/tests/flood/flood.bpf.o
	$(call say,SKEL,$@)
	$(Q)mkdir -p $(@D) && $(BPFTOOL) gen skeleton $< name flood_bpf > $@

$(BUILD)/tests/flood/%.o: tests/flood/%.c $(BUILD)/tests/flood/flood.skel.h
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -I$(BUILD)/tests/flood -c $< -o $@

# two builds whose objects differ in anything differ in this
$(BUILD)/skel/digest.h: $(BPF_OBJ)
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D) && cat $(BPF_OBJ) | sha256sum | sed 's/\([0-9a-f]*\).*/#define FL_OBJECTS_DIGEST "\1"/' > $@

# the only file that knows the skeletons
$(BUILD)/lb/dp/objects.o: lb/dp/objects.c $(SKEL) $(BUILD)/skel/digest.h
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -I$(BUILD)/skel -c $< -o $@

$(BUILD)/bench/%.o: bench/%.c $(BENCH_SKEL)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -I$(BUILD)/bench -c $< -o $@

$(BUILD)/%.o: %.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -c $< -o $@

$(LIB): $(LIB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/fairleadd: $(AGENT_SRC:%.c=$(BUILD)/%.o) $(LIB)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SANFLAGS) $(LDFLAGS) $^ -o $@ $(LDLIBS)

$(BUILD)/fairlead: $(CLI_SRC:%.c=$(BUILD)/%.o) $(LIB)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SANFLAGS) $(LDFLAGS) $^ -o $@ $(LDLIBS)

# made by the program itself from its tables of options
$(MAN): $(BUILD)/man/%: tools/man/%.in $(BUILD)/fairlead
	$(call say,MAN,$@)
	$(Q)mkdir -p $(@D) && $(BUILD)/fairlead manual $< > $@

$(COMPLETION): $(BUILD)/fairlead
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D) && $(BUILD)/fairlead completion $(subst .,,$(suffix $@)) $(basename $(@F)) > $@

$(UNIT_BIN): $(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(LIB)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SANFLAGS) $(LDFLAGS) $^ -o $@ $(LDLIBS) -lcmocka

# what it tests is in no library
$(BUILD)/tests/unit/tools/test_kube_proxy_rules: $(BUILD)/tools/kube_proxy_rules.o
$(BUILD)/tests/unit/tools/test_kube_proxy_ipvs: $(BUILD)/tools/kube_proxy_ipvs.o

# it has servers that speak TLS
$(BUILD)/tests/unit/kube/test_servers: LDLIBS += -lssl -lcrypto

$(PACKET_BIN): $(PACKET_SRC:%.c=$(BUILD)/%.o) $(LIB)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SANFLAGS) $(LDFLAGS) $^ -o $@ $(LDLIBS) -lcmocka

$(MODEL_BIN): $(MODEL_SRC:%.c=$(BUILD)/%.o) $(LIB)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SANFLAGS) $(LDFLAGS) $^ -o $@ $(LDLIBS) -lcmocka

$(SCHEDULES_CALLS:%.c=$(BUILD)/schedules/%.o): $(BUILD)/schedules/%.o: %.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D) && gcc $(SCHEDULES_CALLS_CFLAGS) -c $< -o $@

$(patsubst %.c,$(BUILD)/schedules/%.o,$(filter-out $(SCHEDULES_CALLS),$(SCHEDULES_SRC))): $(BUILD)/schedules/%.o: %.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D) && gcc $(SCHEDULES_CFLAGS) -c $< -o $@

# without -fsanitize=thread: what it calls is in tests/schedules/memory.c
$(SCHEDULES_BIN): $(SCHEDULES_SRC:%.c=$(BUILD)/schedules/%.o)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D) && gcc $^ -o $@

$(KERNELS_BIN): $(BUILD)/tests/kernels/load.o
	$(call say,LINK,$@)
	$(Q)$(CC) $(SANFLAGS) $(LDFLAGS) $^ -o $@ -lbpf

$(FLOOD_BIN): $(FLOOD_SRC:%.c=$(BUILD)/%.o)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SANFLAGS) $(LDFLAGS) $^ -o $@ $(LDLIBS)

$(BENCH_BIN): $(BENCH_C:%.c=$(BUILD)/%.o) $(LIB)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SANFLAGS) $(LDFLAGS) $^ -o $@ $(LDLIBS)

# ---- what a user runs ------------------------------------------------------------------------------
demo: ## the main job: a lab of network namespaces, real connections, a report
	$(Q)tests/lab/demo --may
	$(Q)$(MAKE) --no-print-directory deps
	$(Q)$(MAKE) --no-print-directory $(JOBS) all
	$(Q)tests/lab/demo --build $(BUILD)

lab: ## build the demo's lab and leave it up to play in
	$(Q)tests/lab/demo --may
	$(Q)$(MAKE) --no-print-directory deps
	$(Q)$(MAKE) --no-print-directory $(JOBS) all
	$(Q)tests/lab/demo --build $(BUILD) --keep

lab-down: ## remove the lab that `make lab` left
	$(Q)tests/lab/demo --down

test: deps ## all tests: unit, packet, end-to-end (needs root)
	$(Q)$(MAKE) --no-print-directory $(JOBS) all unit-bins packet-bin bench-bin flood-bin
	$(Q)tests/run --build $(BUILD)

check: all unit-bins ## unit and golden tests, no root needed
	$(Q)tests/run --build $(BUILD) --unit-only

test-kernels: deps ## load and packet tests on Debian's kernels, emulated (hours)
	$(Q)tools/install-deps kernels
	$(Q)$(MAKE) --no-print-directory $(JOBS) all packet-bin kernels-bin
	$(Q)$(MAKE) --no-print-directory $(JOBS) BUILD=build/clang-19 CLANG=clang-19 bpf-objects
	$(Q)tests/kernels/run

.PHONY: test-kernels-arm64
test-kernels-arm64: deps ## the same on arm64, cross-compiled and emulated (hours)
	$(Q)tools/install-deps kernels
	$(Q)$(MAKE) --no-print-directory $(JOBS) bpf-objects
	$(Q)$(MAKE) --no-print-directory $(JOBS) BUILD=build/clang-19 CLANG=clang-19 bpf-objects
	$(Q)tests/kernels/build arm64
	$(Q)tests/kernels/run --arch arm64

test-migration: all ## the maps' layout changes under load, FL_SWAPS=200 times each way (root; half an hour and more)
	$(Q)FL_SWAPS=$${FL_SWAPS:-200} tests/run --only e2e --match test_layouts_are_swapped --hang 14400

packet: $(PACKET_BIN) ## packet tests only (needs root)
	$(Q)$(PACKET_BIN)

torture: $(PACKET_BIN) ## the flow table under all processors, for FL_TORTURE_S=600 seconds (needs root)
	$(Q)FL_TORTURE_S=$${FL_TORTURE_S:-600} $(PACKET_BIN) torture

.PHONY: allocations
allocations: $(PACKET_BIN) ## source ports are given away, FL_ALLOCATIONS=12500000 in each of eight trials (needs root; minutes)
	$(Q)FL_ALLOCATIONS=$${FL_ALLOCATIONS:-12500000} $(PACKET_BIN) allocations.

flood: deps ## floods from one processor, a minute of each kind (needs root)
	$(Q)$(MAKE) --no-print-directory $(JOBS) all flood-bin
	$(Q)FLOOD_S=60 tests/run --build $(BUILD) --only e2e --match test_flood

.PHONY: fuzz
# FL_FUZZ_PACKETS, FL_FUZZ_SEED: so many packets, and those that this number gives
fuzz: $(MODEL_BIN) ## the datapath against a model of it, until it is stopped (needs root)
	$(Q)$(MODEL_BIN) --seed $(or $(FL_FUZZ_SEED),$(shell date +%s)) \
		--jobs $(or $(FL_FUZZ_JOBS),$(shell nproc)) $(if $(FL_FUZZ_PACKETS),--packets $(FL_FUZZ_PACKETS),--forever)

.PHONY: schedules
schedules: $(SCHEDULES_BIN) ## the flow table's protocol under all schedules with two deviations (an hour)
	$(Q)$(SCHEDULES_BIN) --deviations 2 --random 100000

.PHONY: variants
variants: $(SCHEDULES_BIN) ## whether these schedules notice what is taken out of the protocol
	$(Q)tests/schedules/variants $(BUILD)/schedules gcc $(SCHEDULES_CALLS_CFLAGS) -c

.PHONY: mutants
mutants: ## whether fuzzer, packet tests and schedules notice FL_MUTANTS=200 faults in the BPF source (root; hours)
	$(Q)tests/model/mutants --sample $(or $(FL_MUTANTS),200) --seed $(or $(FL_MUTANTS_SEED),1) --jobs $(or $(FL_MUTANTS_JOBS),2)

# each with seeds of its own, in turn; FL_CHAOS_SEED and FL_CHAOS_PLANS or FL_CHAOS_API_ROUNDS play one again
chaos: all $(BUILD)/tests/unit/source/test_chaos ## the API client behind a bad network, until stopped; as root at a real API server too
	$(Q)while :; do \
		FL_CHAOS_PLANS=$${FL_CHAOS_PLANS:-4000} $(BUILD)/tests/unit/source/test_chaos || exit 1; \
		[ "$$(id -u)" = 0 ] || continue; \
		FL_CHAOS_API_ROUNDS=$${FL_CHAOS_API_ROUNDS:-40} tests/run --build $(BUILD) --only e2e --suite tests/kubernetes \
			--match test_g11 --jobs 1 --may-skip || exit 1; \
	done

unit-bins: $(UNIT_BIN) $(SCHEDULES_BIN)
packet-bin: $(PACKET_BIN)
flood-bin: $(FLOOD_BIN)
model-bin: $(MODEL_BIN)
schedules-bin: $(SCHEDULES_BIN)
kernels-bin: $(KERNELS_BIN)
bpf-objects: $(BPF_OBJ)

go-programs: ## what tests/kubernetes and tests/deploy need, built by Go (minutes the first time)
	$(Q)tests/kubernetes/build >/dev/null || [ $$? = 3 ]
	$(Q)tests/deploy/build >/dev/null || [ $$? = 3 ]

test-kubernetes: all ## against a real kube-apiserver and etcd, built by Go (root; minutes the first time)
	$(Q)tests/kubernetes/build >/dev/null || [ $$? = 3 ]
	$(Q)tests/run --build $(BUILD) --only e2e --suite tests/kubernetes --jobs 1 --may-skip

test-packages: deb image ## the Debian package in a bare Debian 12, the image, the Dockerfile (root, the archive)
	$(Q)python3 -B -m pytest -p no:cacheprovider -rs -v tests/deploy/test_deb.py tests/deploy/test_image.py tests/deploy/test_dockerfile.py

test-deploy: all ## the Helm chart and what is made from it (Go; minutes the first time)
	$(Q)tests/deploy/build >/dev/null || [ $$? = 3 ]
	$(Q)FAIRLEAD_BUILD=$(abspath $(BUILD)) python3 -B -m pytest -p no:cacheprovider -rs -v tests/deploy --ignore tests/deploy/test_dockerfile.py

# committed, so that installing them takes neither Helm nor Go; tests/deploy holds that they are the chart's
manifests: ## make the plain manifests from the Helm chart (Go)
	$(Q)helm=$$(tests/deploy/build)/helm && cd deploy/kubernetes && \
		$$helm template fairlead ../chart/fairlead --namespace kube-system -f values.yaml > fairlead.yaml && \
		$$helm template fairlead ../chart/fairlead --namespace kube-system -f kubeadm.values.yaml > fairlead-kubeadm.yaml

lint: ## who may include whom, formatting, shell scripts
	$(Q)tests/lint

format: ## let clang-format decide
	$(Q)git ls-files -co --exclude-standard '*.c' '*.h' | xargs -r clang-format-14 -i

bench: deps ## measure against iptables, nftables and minimal programs (minutes; needs root)
	$(Q)$(MAKE) --no-print-directory all $(BENCH_BIN)
	$(Q)bench/run --build $(BUILD)

bench-bin: $(BENCH_BIN)

# the configuration goes where examples are: /etc belongs to the machine's owner
DOCS := README.md ARCHITECTURE.md HACKING.md CHANGELOG.md LICENSE bench/README.md \
	$(wildcard LICENSES/*.txt docs/*.md docs/*.csv docs/*/*.md docs/*/*.txt)
DOCDIR = $(DESTDIR)$(PREFIX)/share/doc/fairlead

install: all ## install into DESTDIR
	install -D -m 755 $(BUILD)/fairleadd $(DESTDIR)$(PREFIX)/sbin/fairleadd
	install -D -m 755 $(BUILD)/fairlead $(DESTDIR)$(PREFIX)/bin/fairlead
	install -D -m 755 deploy/fairlead-feed $(DESTDIR)$(PREFIX)/bin/fairlead-feed
	$(if $(wildcard deploy/fairleadd.service),install -D -m 644 deploy/fairleadd.service $(DESTDIR)$(UNITDIR)/fairleadd.service)
	$(foreach p,fairlead fairleadd,\
		install -D -m 644 $(BUILD)/completion/$(p).bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/$(p); \
		install -D -m 644 $(BUILD)/completion/$(p).zsh $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_$(p); \
		install -D -m 644 $(BUILD)/completion/$(p).fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/$(p).fish;)
	$(foreach m,$(MAN),install -D -m 644 $(m) $(DESTDIR)$(PREFIX)/share/man/man$(subst .,,$(suffix $(m)))/$(notdir $(m));)
	$(foreach d,$(DOCS),install -D -m 644 $(d) $(DOCDIR)/$(d);)
	install -D -m 644 deploy/fairleadd.yaml $(DOCDIR)/examples/fairleadd.yaml
	$(foreach m,$(wildcard deploy/prometheus/*),install -D -m 644 $(m) $(DOCDIR)/examples/prometheus/$(notdir $(m));)
	$(foreach m,$(wildcard deploy/edge/*.yaml),install -D -m 644 $(m) $(DOCDIR)/examples/edge/$(notdir $(m));)

# in a copy of the tree: the package build wants debian/ at its top, and leaves much behind
deb: ## a Debian package, in build/deb (debhelper)
	$(Q)tools/install-deps packaging
	$(Q)rm -rf build/deb && mkdir -p build/deb/fairlead-$(VERSION)
	$(Q)tar -c --exclude=./build --exclude=./.git --exclude=__pycache__ . | tar -x -C build/deb/fairlead-$(VERSION)
	$(Q)cp -r deploy/debian build/deb/fairlead-$(VERSION)/debian
	$(Q)cd build/deb/fairlead-$(VERSION) && env -u MAKEFLAGS -u MAKELEVEL dpkg-buildpackage --build=binary \
		--no-sign $(JOBS) >../build.log 2>&1 || { tail -40 ../build.log; exit 1; }
	@ls build/deb/*.deb

# without documents, which a container has no use for
install-image: all
	install -D -s -m 755 $(BUILD)/fairleadd $(DESTDIR)$(PREFIX)/sbin/fairleadd
	install -D -s -m 755 $(BUILD)/fairlead $(DESTDIR)$(PREFIX)/bin/fairlead
	$(foreach d,LICENSE $(wildcard LICENSES/*.txt),install -D -m 644 $(d) $(DOCDIR)/$(d);)

image: ## a container image, in build/image: an OCI archive (mmdebstrap, umoci)
	$(Q)tools/install-deps packaging
	$(Q)rm -rf build/image && $(MAKE) --no-print-directory $(JOBS) all
	$(Q)$(MAKE) -s --no-print-directory install-image DESTDIR=build/image/files >/dev/null
	$(Q)deploy/make-image build/image/files build/image/fairlead-$(VERSION).oci.tar localhost/fairlead:$(VERSION)
	@ls build/image/*.tar

clean: ## remove what was built
	rm -rf build

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
