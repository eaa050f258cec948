//! Which library a program gets: 32-bit programs need one of their own.

use std::path::{Path, PathBuf};

use object::elf::{ELFCLASS32, ELFCLASS64, EM_386, EM_X86_64};

use super::embedded::{Embedded, LIBRARY, LIBRARY_32};
use super::{Library, NAME, SYSTEM_PRELOAD, both_classes, is_usable, own_copy, places, system};
use crate::environment::ProgramEnvironment;
use crate::failure::Failure;
use crate::program::machine::Machine;

/// What is said of 32-bit programs if the command has no library for them.
pub const NONE_FOR_32_BIT: &str = "this sigward was built without the library for 32-bit programs";
/// What to do then.
pub const REMEDY: &str = "build it with `make i686`, and sigward again with `make build`";

/// The libraries inside the command, by the class of the programs that they are for.
pub fn inside(bits: u8) -> Option<&'static Embedded<'static>> {
    match bits {
        32 => LIBRARY_32.as_ref(),
        _ => LIBRARY.as_ref(),
    }
}

/// The classes for which there is one.
pub fn all() -> Vec<u8> {
    [64, 32].into_iter().filter(|bits| inside(*bits).is_some()).collect()
}

/// Whether there is a library for programs of this class and machine. That for 64-bit ones is
/// spoken of also where it must be given.
pub fn serves(bits: u8, machine: u16) -> bool {
    match bits {
        32 => is_x86() && machine == EM_386.0 && inside(32).is_some(),
        _ => machine == own_machine(),
    }
}

/// The machine of 64-bit programs that the command is for.
pub fn own_machine() -> u16 {
    LIBRARY.as_ref().map_or(Machine::HERE.0, Embedded::machine)
}

/// Whether 32-bit programs on x86 are programs of this machine.
pub fn is_x86() -> bool {
    own_machine() == EM_X86_64.0
}

fn two_copies(path: &Path) -> Failure {
    Failure::new(format!(
        "32-bit programs get another {NAME} by {SYSTEM_PRELOAD} already: {}",
        path.display()
    ))
    .remedy("run `sigward install --system` again: two copies undo each other's work")
}

/// The path in the installed folder that leads every loader of this system to its library.
fn for_both(folder: &Path, library: &Embedded<'_>) -> Option<PathBuf> {
    let [wide, narrow] = both_classes::words()?;
    let leads = |word: &str, library: &Embedded<'_>| {
        let path = folder.join(word).join(NAME);
        path.canonicalize().is_ok_and(|path| is_usable(&path, library))
    };
    let both = leads(wide, library)
        && leads(both_classes::VARIABLE, library)
        && leads(narrow, inside(32)?);
    both.then(|| folder.join(both_classes::VARIABLE).join(NAME))
}

impl Library {
    /// Whether a program gets it, or the one that stands beside it: by `EM_*` and the file's class.
    pub fn takes(&self, machine: u16, class: u8) -> bool {
        let is_32_bit = machine == EM_386.0 && class == ELFCLASS32.0;
        if is_32_bit && (self.is_own && is_x86()) {
            return inside(32).is_some();
        }
        machine == self.machine && (is_32_bit || class == ELFCLASS64.0)
    }

    /// The library to preload into a program of this class, which `loader` starts.
    ///
    /// # Errors
    /// If a copy of the one for 32-bit programs is needed, and there is no place for it.
    pub fn for_program(
        self,
        bits: u8,
        loader: Option<&Path>,
        environment: &ProgramEnvironment,
    ) -> Result<Self, Failure> {
        let Some(library) = inside(32).filter(|_| bits == 32 && self.is_own) else {
            return Ok(self);
        };
        let everywhere = system::narrow_in_force();
        let is_there = everywhere.as_ref().map(|path| is_usable(path, library));
        if is_there != Some(false)
            && both_classes::serves(&self.path)
            && loader.is_some_and(both_classes::is_their_loader)
        {
            return Ok(self);
        }
        match everywhere {
            Some(path) if is_there == Some(true) => {
                Ok(Self { path, machine: library.machine(), is_own: true })
            }
            // One without code is in nobody's way.
            Some(path) if !is_usable(&path, &both_classes::EMPTY) => Err(two_copies(&path)),
            _ => Self::of_class(library, environment),
        }
    }

    /// A copy of one class, by its full path: musl's loader replaces nothing in one, and what other
    /// loaders put for `$LIB` is not known.
    pub fn of_class(
        library: &Embedded<'_>,
        environment: &ProgramEnvironment,
    ) -> Result<Self, Failure> {
        let path = own_copy(library, false, &[], environment)?;
        Ok(Self { path, machine: library.machine(), is_own: true })
    }

    /// The installed copy, for what outlives a boot; for both classes by a path with `$LIB`, where the
    /// loaders of this system find them so.
    pub fn installed(&self) -> Option<Self> {
        let library = LIBRARY.as_ref().filter(|_| self.is_own)?;
        let path = places(false).into_iter().find(|path| is_usable(path, library))?;
        let path = path.parent().and_then(|folder| for_both(folder, library)).unwrap_or(path);
        Some(Self { path, machine: self.machine, is_own: true })
    }

    /// What 32-bit programs get, in words. `None` for a library of which nothing is said.
    pub fn for_32_bit(&self) -> Option<String> {
        if self.machine == EM_386.0 {
            return Some(self.path.display().to_string());
        }
        if !self.is_own || !is_x86() {
            return None;
        }
        let Some(library) = inside(32) else { return Some(format!("none: {NONE_FOR_32_BIT}")) };
        let there = both_classes::serves(&self.path).then(|| self.beside(library)).flatten();
        Some(there.map_or_else(
            || "inside sigward, for programs that it starts".to_owned(),
            |path| path.display().to_string(),
        ))
    }

    /// The copy for 32-bit programs to which a path with `$LIB` leads them.
    fn beside(&self, library: &Embedded<'_>) -> Option<PathBuf> {
        let folder = self.path.parent()?.parent()?;
        let made = Some(super::place::copy_of(folder, library)).filter(|path| path.exists());
        made.or_else(|| {
            let everywhere =
                system::narrow_in_force().filter(|_| self.path == Path::new(system::ENTRY));
            everywhere.filter(|path| is_usable(path, library))
        })
    }
}
