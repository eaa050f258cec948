//! `sigward library`: the library inside the command, as a file.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::embedded::{Embedded, LIBRARY, LIBRARY_32};
use super::{Library, NAME, classes, place};
use crate::environment::ProgramEnvironment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;

/// Write the library to a file, or say where it is
///
/// The command contains the library. `sigward run` uses an installed copy if that is the same
/// file, or else makes one: in /run/sigward, in $XDG_RUNTIME_DIR/sigward, or in a folder of its
/// own in /dev/shm or the temporary folder. Without options, prints the path of the copy that
/// `sigward run` would preload, for use in LD_PRELOAD. Where 32-bit programs of glibc run too, that
/// path contains $LIB, and leads each program to the library of its class.
#[derive(Args)]
#[command(after_help = "Examples:
  sigward library --extract /usr/lib/sigward    in a Dockerfile
  LD_PRELOAD=$(sigward library) ./program       without `sigward run`
  sigward library --bits 32                     the full path of that for 32-bit programs")]
pub struct LibraryCommand {
    /// Print the path of the copy that `sigward run` would preload (the default)
    #[arg(long)]
    print: bool,
    /// Write libsigward.so into this folder, and print its path
    ///
    /// A file of that name is replaced by rename(2), so programs that start meanwhile find a
    /// whole library. For /etc/ld.so.preload, see `sigward install --system`.
    #[arg(long, value_name = "DIR", conflicts_with = "print")]
    extract: Option<PathBuf>,
    /// The library for programs of this class alone
    ///
    /// Without this option, --extract writes that for 64-bit programs.
    #[arg(long, value_name = "BITS", value_parser = ["64", "32"])]
    bits: Option<String>,
}

impl LibraryCommand {
    pub fn execute(&self) -> Result<Exit, Failure> {
        let is_32_bit = self.bits.as_deref() == Some("32");
        let inside = if is_32_bit {
            LIBRARY_32.as_ref().ok_or((classes::NONE_FOR_32_BIT, classes::REMEDY))
        } else {
            let none = "this sigward was built without the library";
            LIBRARY.as_ref().ok_or((none, "build it with `make build`"))
        };
        let inside = inside.map_err(|(none, remedy)| Failure::new(none).remedy(remedy));
        let environment = ProgramEnvironment::inherited();
        let path = match (&self.extract, &self.bits) {
            (Some(folder), _) => extract(inside?, folder)?,
            (None, Some(_)) => Library::of_class(inside?, &environment)?.path,
            (None, None) => Library::find(None, &environment)?.path,
        };
        output::line(path.as_os_str())?;
        Ok(Exit::Success)
    }
}

fn extract(library: &Embedded<'_>, folder: &Path) -> Result<PathBuf, Failure> {
    let write = || {
        fs::create_dir_all(folder)?;
        let path = std::path::absolute(folder)?.join(NAME);
        place::write_copy(folder, &path, library)?;
        Ok(path)
    };
    write().map_err(|error: std::io::Error| {
        Failure::new(format!("--extract {}: {error}", folder.display()))
            .remedy("give a folder in which you can write")
    })
}
