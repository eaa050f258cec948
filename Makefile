# make build    the library and the command
# make demo     what the library does to four real programs
# make test     all tests; for other software's tests a short selection
# make suites   all tests of other software; installs what they need; writes docs/suites.md
# make test-every-stack  the tests of stacks with (nearly) every alternate stack replaced
# make vm       the defects in virtual machines; writes docs/proof.md
#               (KERNEL_SOURCE=FOLDER: on genuine kernels of that source)
# make soak     ten minutes (SECONDS_LONG=600) of random operations
# make fuzz     the model and property tests, with many more cases (CASES=20000)
# make freebsd  libsigward.so for FreeBSD, and its test under a supervisor that imitates that kernel
# make i686     libsigward.so for 32-bit programs; `make i686-test` runs many of the tests with it
# make arm64    libsigward.so and the command for 64-bit ARM; `make arm64-test` runs the unit tests and
#               the C programs under qemu-user, `make arm64-vm` boots real kernels
# make riscv64  libsigward.so and the command for 64-bit RISC-V; `make riscv64-test` runs the unit tests
#               and the C programs under qemu-user, `make riscv64-vm` boots a real kernel
# make miri     the unit tests of what only computes, under Miri (rustup toolchain install nightly -c miri)
# make lint     formatting, clippy, the links of the documentation
# make bench    the benches; writes docs/performance.md, performance.json and its charts; `make plots`
#               draws these again
# make performance-gate  instructions and system calls of the main operations against limits that are
#               checked in; BLESS=1 writes these anew
# make faults   page faults per delivery for every scenario; writes docs/faults.md
# make fleet    packaging/fleet: renders, validates, plays and builds what is there; needs root,
#               kubectl, promtool, buildah
# make install  into $(DESTDIR)$(PREFIX)
# make dist     a reproducible release of the last commit in target/dist; dist-check proves that
# make packages a .deb of it, by cargo-deb (make tools installs it); packages-check tries it (root)
# make rpms     the same as .rpm, by cargo-generate-rpm; rpms-check tries it (root, after packages-check)
# make audit    licences, sources and duplicates of the dependencies, by cargo-deny; known faults too where
#               its database can be fetched
# make sign     KEY=FILE: signs target/dist/SHA256SUMS by minisign or ssh-keygen
# make fuzz-coverage  the coverage-guided fuzz targets, a minute each (FUZZ_SECONDS=)

PREFIX  ?= /usr/local
DESTDIR ?=
CARGO   ?= cargo

# Where cargo puts them.
target  = $(or $(CARGO_TARGET_DIR),target)
library = $(target)/release/libsigward.so
# Where `make i686` was run.
library32 = $(target)/i686/made/libsigward.so
command = $(target)/x86_64-unknown-linux-gnu/release/sigward
# Where `make arm64` and `make riscv64` put theirs.
cross   = $(target)/cross/command

bindir = $(DESTDIR)$(PREFIX)/bin
libdir = $(DESTDIR)$(PREFIX)/lib/sigward
docdir = $(DESTDIR)$(PREFIX)/share/doc/sigward
# What `sigward pages` writes.
pages = $(addprefix $(DESTDIR)$(PREFIX)/share/,man/man1/sigward.1 man/man1/sigward-*.1 \
	bash-completion/completions/sigward zsh/site-functions/_sigward fish/vendor_completions.d/sigward.fish)

SECONDS_LONG ?= 600
CASES ?= 20000
FUZZ_SECONDS ?= 60

.PHONY: build demo test test-every-stack soak fuzz suites vm freebsd i686 i686-test arm64 arm64-test arm64-vm \
	riscv64 riscv64-test riscv64-vm lint bench performance-gate plots faults fleet install uninstall clean tools dist \
	dist-check packages packages-check rpms rpms-check audit sign fuzz-coverage miri

# The library is built by a cargo call of its own: see the workspace's Cargo.toml. First, because
# the command contains it, and then a dynamic command: see command/build.rs.
build:
	$(CARGO) build --release -p sigward-preload
	$(CARGO) build --release -p sigward-command
	$(CARGO) static-command

demo: build
	$(CARGO) run --quiet -p sigward-harness --bin demo

test: i686 build
	$(CARGO) test --workspace --exclude sigward-preload --no-fail-fast

# The other settings under which what they assert must hold: integration/harness/src/every_stack.rs.
tests_with_every_stack ?= altstack altstack_beside altstack_room altstack_size chaos fork limits memory_calls messages \
	ordinary_stacks programs published_block registration residency room_on_request signal_safety stack_room \
	threads threads_many
test-every-stack: build
	EVERY_STACK=1 $(CARGO) test -p sigward --no-fail-fast $(addprefix --test ,$(tests_with_every_stack))

suites: build
	$(CARGO) run --quiet -p sigward-suites -- --install
	$(CARGO) run --quiet -p sigward-suites -- --write docs/suites.md

# The first time, this builds two kernels: see docs/vm.md. With KERNEL_SOURCE=FOLDER it
# instead builds and measures Linux 5.2 to 5.4.1 from that source. The command is linked
# dynamically here, because one row preloads into it.
vm: build
	$(CARGO) build --release -p sigward-command
	$(CARGO) build -p sigward-stress
	$(CARGO) run --quiet -p sigward-vm -- --library $(library) \
		--command $(target)/release/sigward --stress $(target)/debug/stress \
		$(if $(KERNEL_SOURCE),--kernel-source '$(KERNEL_SOURCE)') --write docs/proof.md
	integration/vm/compat.sh "$$(integration/vm/kernel.sh no-preempt $(if $(KERNEL_SOURCE),'$(KERNEL_SOURCE)'))"

soak: build
	STRESS_SECONDS=$(SECONDS_LONG) $(CARGO) test -p sigward-stress -- --nocapture --test-threads 1
	SOAK_SECONDS=60 $(CARGO) test -p sigward --test memory_calls the_reproducer

# The loaded-object walk, the registry, its table, the parsers, the published block's reader.
fuzz:
	PROPTEST_CASES=$(CASES) $(CARGO) test --release --lib
	PROPTEST_CASES=$(CASES) $(CARGO) test --release -p sigward-reader

# The first time, this fetches core for that target: see packaging/cargo-for.
freebsd:
	packaging/freebsd/build
	$(CARGO) test --quiet -p sigward-emulators --test freebsd

# The same first time. No 32-bit compiler is needed here, but for the test (gcc-multilib).
i686:
	packaging/i686/build

# The tests of what a program sees and of what is held; `make test` has a short form, tests/i686.rs.
tests_of_any_width = altstack altstack_room altstack_size environment fork limits memory_calls messages \
	ordinary_stacks originals published_block registration residency room_on_request signal_safety stack_room \
	threads threads_many
i686-test: build i686
	integration/harness/fetch-old-glibc --32 || echo "continuing without glibc 2.31 for them" >&2
	integration/harness/fetch-musl32 || echo "continuing without musl for them" >&2
	WIDTH=32 $(CARGO) test -p sigward --no-fail-fast $(addprefix --test ,$(tests_of_any_width))

# The first time, this fetches a compiler and glibc from Debian: see packaging/cross/compiler.
arm64:
	packaging/cross/command aarch64

arm64-test:
	packaging/cross/unit-tests aarch64
	$(CARGO) test -p sigward --test arm64

# Also fetches three kernels (100 MB) and busybox.
arm64-vm:
	integration/vm/arm64.sh

# What only computes. The rest enters the kernel or has assembly, which Miri does not run. It needs a nightly
# toolchain: stable ones have no Miri.
pure = config:: plan:: verdict:: quirks:: standdown:: small_stacks::judge residency::ladder state::
miri:
	PROPTEST_CASES=$(or $(MIRI_CASES),1) MIRIFLAGS=-Zmiri-disable-isolation CARGO_TARGET_DIR=$(target)/miri \
		$(CARGO) +nightly miri test -p sigward --lib -- $(pure) --skip ten_kilobytes_of_anything --skip any_environment

# As for arm64.
riscv64:
	packaging/cross/command riscv64

riscv64-test:
	packaging/cross/unit-tests riscv64
	$(CARGO) test -p sigward --test riscv64

# Also fetches a kernel (110 MB) and busybox.
riscv64-vm:
	integration/vm/riscv64.sh

# Nothing that we wrote is this large: a download was committed once.
lint:
	@large=$$(git ls-files -z | xargs -0 sh -c 'find "$$@" -size +100k' sh) && [ -z "$$large" ] || \
		{ echo "too large for the repository: $$large" >&2; exit 1; }
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --exclude sigward-preload --all-targets -- -D warnings
	$(CARGO) clippy --release -p sigward-preload -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --quiet --no-deps --lib -p sigward

# The benchmark program measures other programs and needs no optimization itself.
bench: build
	$(CARGO) bench --profile dev -p sigward --bench performance

plots:
	$(CARGO) bench --quiet --profile dev -p sigward --bench performance -- plots

performance-gate: build
	$(CARGO) bench --quiet --profile dev -p sigward --bench performance -- gate

faults: build
	$(CARGO) run --quiet -p sigward-harness --bin fault-table

fleet: build arm64
	python3 -m venv $(target)/fleet
	$(target)/fleet/bin/pip install --quiet 'ansible-core>=2.14' ansible-lint 'helm-python-sdk==0.2.2' kubernetes-validate PyYAML
	promtool test rules packaging/fleet/prometheus/alerts-test.yaml
	$(target)/fleet/bin/python packaging/fleet/validate.py
	PATH="$(abspath $(target))/fleet/bin:$$PATH" ansible-lint --offline packaging/fleet/ansible/roles packaging/fleet/ansible/example.yaml
	PATH="$(abspath $(target))/fleet/bin:$$PATH" packaging/fleet/ansible/test $(command)
	packaging/fleet/image/check amd64=$(command) arm64=$(cross)/aarch64-unknown-linux-gnu/release/sigward

# No build here: `make && sudo make install` must not leave files of root in target/.
install:
	@test -x $(command) -a -e $(library) || { echo "nothing to install: run make build first" >&2; exit 1; }
	tree=$$(mktemp -d) && trap 'rm -rf "$$tree"' EXIT && \
		packaging/tree $(command) $(library) "$$(ls $(library32) 2>/dev/null)" "$$tree" && \
		TREE="$$tree" packaging/install.sh "$(DESTDIR)$(PREFIX)"

uninstall:
	rm -f $(bindir)/sigward $(foreach folder,. i386 lib/x86_64-linux-gnu lib/i386-linux-gnu lib32 lib64 '$$LIB', \
		$(libdir)/$(folder)/libsigward.so) $(pages)
	rm -rf $(docdir)
	[ ! -d $(libdir) ] || find $(libdir) -depth -type d -exec rmdir --ignore-fail-on-non-empty {} +

tools:
	packaging/tools

dist:
	packaging/dist

dist-check:
	packaging/dist-check

packages:
	packaging/packages

packages-check:
	packaging/packages-check
	packaging/packages-check-arm64

rpms:
	packaging/rpms

rpms-check:
	packaging/rpms-check

audit:
	PATH="$(abspath $(target))/tools/bin:$$PATH" packaging/audit

sign:
	packaging/sign '$(KEY)'

fuzz-coverage:
	fuzz/run $(FUZZ_SECONDS)

clean:
	$(CARGO) clean
