//! Programs that are started through their loader, as bundles with a libc of their own are.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use object::Endianness;
use object::elf::{DF_1_PIE, DT_FLAGS_1, ET_DYN, FileHeader32, FileHeader64, SHN_UNDEF};
use object::read::ReadRef;
use object::read::elf::{Dyn, ElfFile, FileHeader, Sym as _};

/// A name that the loaders of glibc and musl define, and static programs do not.
const DEFINED: &[u8] = b"__tls_get_addr";

/// Options of the loaders with a value of their own. All others stand alone, or hold it
/// after a `=`.
const WITH_VALUE: [&str; 8] = [
    "--library-path",
    "--glibc-hwcaps-prepend",
    "--glibc-hwcaps-mask",
    "--inhibit-rpath",
    "--audit",
    "--preload",
    "--argv0",
    "--glibc-tunables",
];

/// Whether a file without an interpreter is a loader itself.
pub fn is_loader<'data>(data: impl ReadRef<'data>) -> bool {
    is_one::<FileHeader64<Endianness>, _>(data) || is_one::<FileHeader32<Endianness>, _>(data)
}

fn is_one<'data, H: FileHeader<Endian = Endianness>, R: ReadRef<'data>>(data: R) -> bool {
    let Ok(elf) = ElfFile::<'data, H, R>::parse(data) else { return false };
    let endian = elf.endian();
    if elf.elf_header().e_type(endian) != ET_DYN || is_static_pie(&elf) == Some(true) {
        return false;
    }
    let symbols = elf.elf_dynamic_symbol_table();
    symbols.iter().any(|symbol| {
        symbol.st_shndx(endian) != SHN_UNDEF
            && symbol.name(endian, symbols.strings()) == Ok(DEFINED)
    })
}

fn is_static_pie<'data, H, R>(elf: &ElfFile<'data, H, R>) -> Option<bool>
where
    H: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let endian = elf.endian();
    let (entries, _) = elf.elf_section_table().dynamic(endian, elf.data()).ok()??;
    let flags = entries.iter().find(|entry| entry.tag(endian) == DT_FLAGS_1)?;
    Some(flags.val(endian) & DF_1_PIE.0 != 0)
}

/// The file that a loader with these arguments starts. `None` if it starts none, or searches
/// for it.
pub fn started(arguments: &[OsString]) -> Option<PathBuf> {
    let mut arguments = arguments.iter().map(OsString::as_os_str);
    loop {
        let argument = arguments.next()?;
        if argument == "--" {
            return arguments.next().and_then(given);
        }
        if !argument.as_bytes().starts_with(b"--") {
            return given(argument);
        }
        if WITH_VALUE.iter().any(|option| argument == *option) {
            arguments.next()?;
        }
    }
}

fn given(name: &OsStr) -> Option<PathBuf> {
    name.as_bytes().contains(&b'/').then(|| PathBuf::from(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_follows_the_options() {
        for (arguments, program) in [
            (&["/bin/true"][..], Some("/bin/true")),
            (&["--library-path", "/lib", "--inhibit-cache", "./x", "y"], Some("./x")),
            (&["--argv0=/a/b", "--", "/bin/true"], Some("/bin/true")),
            (&["true"], None),
            (&["--list"], None),
            (&["--preload"], None),
            (&[], None),
        ] {
            let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            assert_eq!(started(&arguments), program.map(PathBuf::from), "{arguments:?}");
        }
    }
}
