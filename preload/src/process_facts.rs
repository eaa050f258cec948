//! The facts about this process that the plan needs. For use at load only.

use sigward_core::arch;
use sigward_core::config::{self, Config};
use sigward_core::os::errno::Errno;
use sigward_core::os::page;
use sigward_core::os::startup::Startup;
use sigward_core::os::trials;
use sigward_core::plan::{Bad, Environment, Obstacle, Process};
use sigward_core::residency::frame;
use sigward_core::standdown;

use crate::{originals, weak_symbols};

/// This process.
pub struct ThisProcess {
    /// What the kernel put on the stack, if libc lets us find it.
    pub startup: Option<Startup>,
    environment: Environment,
}

impl ThisProcess {
    pub fn read() -> Self {
        let startup = match weak_symbols::libc_stack_end() {
            // SAFETY: glibc's variable points at the kernel's block.
            Some(argc) => Some(unsafe { Startup::from_stack(*(argc as *const *const usize)) }),
            None => weak_symbols::environ().map(|environ| {
                // SAFETY: while constructors run, musl's `environ` points into
                // that block.
                unsafe { Startup::from_environ(environ) }
            }),
        };
        if let (Some(startup), None) = (startup, arch::PAGE) {
            page::learn(startup.auxiliary(libc::AT_PAGESZ).unwrap_or(0) as usize);
        }
        if let (Some(startup), false) = (startup, arch::FRAME_IS_FIXED) {
            frame::tell(|kind| startup.auxiliary(kind));
        }
        let secure = |startup: Startup| startup.auxiliary(libc::AT_SECURE).unwrap_or(0) != 0;
        let environment = match startup.map(secure) {
            Some(false) => Environment::Trusted,
            Some(true) => Environment::Secure,
            None => Environment::Missing,
        };
        ThisProcess { startup, environment }
    }

    /// What the user has set, and which of it is not obeyed.
    pub fn settings(&self) -> (Config, Bad<'static>) {
        let mut bad = Bad::default();
        let config = match self.startup {
            Some(startup) if self.environment == Environment::Trusted => {
                let environ = startup.environment(config::PREFIX);
                config::parse(environ, startup.executed(), |found| bad.note(found))
            }
            _ => Config::DEFAULT,
        };
        (config, bad)
    }
}

impl Process for ThisProcess {
    fn environment(&mut self) -> Environment {
        self.environment
    }

    /// Such tools preload a library of their own beside valgrind's. A search
    /// for the names that it defines would cost more, and show when we are
    /// measured under another tool.
    fn runs_under_valgrind_tool(&mut self) -> bool {
        const NAME: &[u8] = b"/vgpreload_";
        let names = |list: &[u8]| list.windows(NAME.len()).filter(|part| *part == NAME).count();
        arch::is_under_valgrind()
            && self.startup.is_some_and(|startup| {
                startup.environment(b"LD_PRELOAD=").any(|list| names(list) > 1)
            })
    }

    fn kernel_frame(&mut self) -> Option<usize> {
        self.startup?.auxiliary(libc::AT_MINSIGSTKSZ).and_then(frame::told)
    }

    fn cpu_frame(&mut self) -> usize {
        arch::largest_frame()
    }

    fn is_filtered(&mut self) -> bool {
        !trials::unfiltered()
    }

    fn sanitizer(&mut self) -> Option<&'static str> {
        originals::first_defined(&standdown::SANITIZERS, true)
    }

    fn has_valgrind_tool(&mut self) -> bool {
        originals::first_defined(&standdown::VALGRIND, true).is_some()
    }

    fn overridden(&mut self) -> Option<&'static str> {
        originals::first_defined(&standdown::OVERRIDES, false)
    }

    /// If there is no `__errno_location`, the libc is unknown.
    fn is_libc_known(&mut self) -> bool {
        originals::get(originals::Id::__errno_location).is_some()
    }

    fn relies_on_place(&mut self) -> bool {
        originals::first_defined(&standdown::COLLECTORS, true).is_some()
            || self.startup.is_some_and(|it| standdown::finds_data_by_stack(it.executed()))
    }

    fn filter(&mut self) -> Option<Obstacle> {
        standdown::filter()
    }

    fn may_write(&mut self) -> Result<bool, Errno> {
        standdown::may_write()
    }
}
