# make build    the library and the command
# make demo     what the library does to four real programs
# make test     all tests; for other software's tests a short selection
# make suites   all tests of other software; installs what they need; writes docs/suites.md
# make vm       the defects in virtual machines; writes docs/proof.md
#               (KERNEL_SOURCE=FOLDER: on genuine kernels of that source)
# make soak     ten minutes (SECONDS_LONG=600) of random operations
# make fuzz     the model and property tests, with many more cases (CASES=20000)
# make freebsd  libsigward.so for FreeBSD, and its test under a supervisor that imitates that kernel
# make i686     libsigward.so for 32-bit programs; `make i686-test` runs many of the tests with it
# make lint     formatting, clippy, the links of the documentation
# make bench    the benches; writes docs/performance.md
# make faults   page faults per delivery for every scenario; writes docs/faults.md
# make install  into $(DESTDIR)$(PREFIX)

PREFIX  ?= /usr/local
DESTDIR ?=
CARGO   ?= cargo
INSTALL ?= install

# Where cargo puts them.
target  = $(or $(CARGO_TARGET_DIR),target)
library = $(target)/release/libsigward.so
command = $(target)/x86_64-unknown-linux-gnu/release/sigward

bindir = $(DESTDIR)$(PREFIX)/bin
libdir = $(DESTDIR)$(PREFIX)/lib/sigward
docdir = $(DESTDIR)$(PREFIX)/share/doc/sigward
# What `sigward pages` writes.
pages = $(addprefix $(DESTDIR)$(PREFIX)/share/,man/man1/sigward.1 man/man1/sigward-*.1 \
	bash-completion/completions/sigward zsh/site-functions/_sigward fish/vendor_completions.d/sigward.fish)

SECONDS_LONG ?= 600
CASES ?= 20000

.PHONY: build demo test soak fuzz suites vm freebsd i686 i686-test lint bench faults install uninstall clean

# The library is built by a cargo call of its own: see the workspace's Cargo.toml. First, because
# the command contains it: see command/build.rs.
build:
	$(CARGO) build --release -p sigward-preload
	$(CARGO) static-command

demo: build
	$(CARGO) run --quiet -p sigward-harness --bin demo

test: build
	$(CARGO) test --workspace --exclude sigward-preload --no-fail-fast

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
tests_of_any_width = altstack altstack_size environment fork limits memory_calls messages ordinary_stacks \
	originals published_block registration residency signal_safety stack_room threads threads_many
i686-test: build i686
	integration/harness/fetch-old-glibc --32 || echo "continuing without glibc 2.31 for them" >&2
	integration/harness/fetch-musl32 || echo "continuing without musl for them" >&2
	WIDTH=32 $(CARGO) test -p sigward --no-fail-fast $(addprefix --test ,$(tests_of_any_width))

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --exclude sigward-preload --all-targets -- -D warnings
	$(CARGO) clippy --release -p sigward-preload -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --quiet --no-deps --lib -p sigward

# The benchmark program measures other programs and needs no optimization itself.
bench: build
	$(CARGO) bench --profile dev -p sigward --bench performance

faults: build
	$(CARGO) run --quiet -p sigward-harness --bin fault-table

# No build here: `make && sudo make install` must not leave files of root in target/.
install:
	@test -x $(command) -a -e $(library) || { echo "nothing to install: run make build first" >&2; exit 1; }
	$(INSTALL) -d $(bindir) $(libdir) $(docdir)/docs
	$(INSTALL) -m 755 $(command) $(bindir)/sigward
# By rename: a program that starts meanwhile would load a part of a file that is written in place.
	$(INSTALL) -m 755 $(library) $(libdir)/.libsigward.so.new
	mv -f $(libdir)/.libsigward.so.new $(libdir)/libsigward.so
	$(INSTALL) -m 644 LICENSE-MIT LICENSE-APACHE README.md $(docdir)
	$(INSTALL) -m 644 docs/*.md docs/*.svg $(docdir)/docs
	$(command) pages $(DESTDIR)$(PREFIX)

uninstall:
	rm -f $(bindir)/sigward $(libdir)/libsigward.so $(pages)
	rm -rf $(docdir)
	[ ! -d $(libdir) ] || rmdir --ignore-fail-on-non-empty $(libdir)

clean:
	$(CARGO) clean
