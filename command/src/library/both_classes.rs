//! One value of `LD_PRELOAD` for 64-bit and 32-bit programs.
//!
//! glibc's loader writes a line at each exec of a 32-bit program if a preload is 64-bit, or
//! missing. But it expands `$LIB` in the path to a word that was fixed when it was built, and
//! that differs between the two. So the library stands in a folder for each word of a 64-bit
//! loader, and that for 32-bit programs in the folder for the word of their loader; one without
//! code, where the command contains none. musl's loader expands nothing: it finds the 64-bit library
//! in a folder that is called `$LIB`.

use std::fs;
use std::path::Path;

use super::embedded::{Embedded, LIBRARY_32};

/// The variable, and the name of the folder for loaders that do not know it.
pub const VARIABLE: &str = "$LIB";

/// Where a program of each class names its loader.
const LOADER_64: &str = "/lib64/ld-linux-x86-64.so.2";
const LOADER_32: &str = "/lib/ld-linux.so.2";

/// What the loaders of distributions expand it to. `lib` last: others may contain it as well.
pub const WORDS_64: [&str; 3] = ["lib/x86_64-linux-gnu", "lib64", "lib"];
pub const WORDS_32: [&str; 3] = ["lib/i386-linux-gnu", "lib32", "lib"];

/// Distributions beside the system's own, whose 64-bit loaders say `lib`.
pub const OTHER_STORES: [&str; 2] = ["/nix/store", "/gnu/store"];

/// A library without code.
pub const EMPTY: Embedded<'static> = include!(concat!(env!("OUT_DIR"), "/empty_i386.rs"));

/// What 32-bit programs get.
pub const OF_32_BIT: Embedded<'static> = match LIBRARY_32 {
    Some(library) => library,
    None => EMPTY,
};

/// Which folder is for which class.
#[derive(Debug, PartialEq, Eq)]
pub struct Folders {
    /// The word of the 32-bit loader.
    pub of_32_bit: &'static str,
}

impl Folders {
    /// Those of a place that was made before, where `made` finds them. Without reading loaders,
    /// which takes as long as all else that `sigward run` does.
    pub fn of_before(made: impl Fn(&Self) -> bool) -> Option<Self> {
        WORDS_32.into_iter().map(|of_32_bit| Self { of_32_bit }).find(made)
    }

    /// `None` if nothing is known about the loaders.
    pub fn of_loaders() -> Option<Self> {
        let of_32_bit = word(&fs::read(LOADER_32).ok()?, &WORDS_32)?;
        let lib_is_32_bit = || {
            fs::read(LOADER_64).is_ok_and(|loader| word(&loader, &WORDS_64) == Some("lib64"))
                && !OTHER_STORES.iter().any(|store| Path::new(store).exists())
        };
        (of_32_bit != "lib" || lib_is_32_bit()).then_some(Self { of_32_bit })
    }

    /// The folders for the library.
    pub fn of_64_bit(&self) -> impl Iterator<Item = &'static str> {
        let of_32_bit = self.of_32_bit;
        [VARIABLE].into_iter().chain(WORDS_64).filter(move |word| *word != of_32_bit)
    }

    /// What stands between name and digest. Systems on which `lib` is for 32-bit programs have file
    /// names of their own: elsewhere it leads to the library.
    pub fn mark(&self) -> &'static str {
        if self.of_32_bit == "lib" { "-lib64-" } else { "-" }
    }
}

/// What the 64-bit and the 32-bit loader of this system put for `$LIB`.
pub fn words() -> Option<[&'static str; 2]> {
    let wide = word(&fs::read(LOADER_64).ok()?, &WORDS_64)?;
    Some([wide, word(&fs::read(LOADER_32).ok()?, &WORDS_32)?])
}

/// Whether 32-bit programs run here: with glibc, as they are on machines of both classes.
pub fn are_here() -> bool {
    fs::metadata(LOADER_32).is_ok_and(|loader| loader.is_file())
}

/// Whether this is the loader for which 32-bit programs are served by `$LIB`.
pub fn is_their_loader(loader: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    loader == Path::new(LOADER_32)
        || real(loader).is_some_and(|it| Some(it) == real(LOADER_32.as_ref()))
}

/// Whether the path is one for both classes.
pub fn serves(path: &Path) -> bool {
    path.iter().any(|part| part == VARIABLE)
}

/// Which of `words` is a string of the loader.
pub fn word<'it>(loader: &[u8], words: &[&'it str]) -> Option<&'it str> {
    let has = |word: &&&'it str| loader.split(|byte| *byte == 0).any(|it| it == word.as_bytes());
    words.iter().find(has).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole_strings() {
        assert_eq!(word(b"\0/lib32/\0lib32\0", &WORDS_32), Some("lib32"));
        assert_eq!(word(b"x\0lib\0lib64\0", &WORDS_64), Some("lib64"));
        assert_eq!(word(b"\0libs\0/usr/lib\0/lib64/\0", &WORDS_64), None);
    }

    #[test]
    fn the_word_of_the_32_bit_loader_is_not_for_the_library() {
        let folders = |of_32_bit| Folders { of_32_bit }.of_64_bit().collect::<Vec<_>>();
        assert_eq!(folders("lib32"), ["$LIB", "lib/x86_64-linux-gnu", "lib64", "lib"]);
        assert_eq!(folders("lib"), ["$LIB", "lib/x86_64-linux-gnu", "lib64"]);
    }
}
