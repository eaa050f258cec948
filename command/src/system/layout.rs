//! Where each class of programs finds its library: below the folder that glibc's loader puts for
//! `$LIB` in an entry. It is a word that was fixed when the loader was built, and differs between
//! the classes. glibc expands it in `/etc/ld.so.preload` for setuid programs too.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use object::elf::{EM_386, EM_X86_64};

use super::found::Found;
use super::plan::remove;
use super::step::Step;
use super::{place, trial};
use crate::inspect::closure::Rules;
use crate::inspect::elf::Elf;
use crate::inspect::libc::rules;
use crate::library::both_classes::{OTHER_STORES, VARIABLE, WORDS_32, WORDS_64, word};
use crate::library::classes;

/// What may stand in both classes' words: it is for 32-bit programs only where their loader says so.
const SHARED: &str = "lib";

/// The folders of each class, relative to that of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// For 64-bit programs. One is called `$LIB`, for what does not expand it.
    pub wide: BTreeSet<String>,
    pub narrow: BTreeSet<String>,
    /// Whether 32-bit programs of glibc start here.
    pub has_narrow: bool,
}

/// A loader of glibc, and its word for `$LIB` if it says one.
struct Asked {
    is_narrow: bool,
    word: Option<String>,
}

impl Layout {
    /// That of this host. `None`: an entry with `$LIB` would not serve all loaders here.
    pub fn look() -> Option<Self> {
        if !classes::is_x86() {
            return None;
        }
        let asked = trial::loaders().into_iter().filter_map(|path| {
            let is_narrow = bits(&path)? == 32;
            Some(Asked { is_narrow, word: word_of(&path, is_narrow) })
        });
        let has_other_stores = OTHER_STORES.iter().any(|store| Path::new(store).exists());
        Self::of(&asked.collect::<Vec<_>>(), has_other_stores)
    }

    fn of(asked: &[Asked], has_other_stores: bool) -> Option<Self> {
        let words = |is_narrow| -> Option<BTreeSet<String>> {
            asked
                .iter()
                .filter(|asked| asked.is_narrow == is_narrow)
                .map(|asked| asked.word.clone())
                .collect()
        };
        let (mut wide, mut narrow) = (words(false)?, words(true)?);
        let has_narrow = !narrow.is_empty();
        let shared_is_wide = !narrow.contains(SHARED);
        if !shared_is_wide && has_other_stores {
            return None;
        }
        // And those of loaders that may come later.
        let known = |words: &[&str], with_shared: bool| {
            let words = words.iter().filter(move |word| **word != SHARED || with_shared);
            words.map(|word| (*word).to_owned()).collect::<Vec<_>>()
        };
        wide.extend(known(&WORDS_64, shared_is_wide));
        narrow.extend(known(&WORDS_32, !shared_is_wide));
        wide.insert(VARIABLE.to_owned());
        wide.is_disjoint(&narrow).then_some(Self { wide, narrow, has_narrow })
    }

    /// Each folder, with whether it is for 32-bit programs.
    pub fn folders(&self) -> impl Iterator<Item = (&str, bool)> {
        let wide = self.wide.iter().map(|word| (word.as_str(), false));
        wide.chain(self.narrow.iter().map(|word| (word.as_str(), true)))
    }

    /// Makes the links through which each loader finds its library.
    pub fn links(&self, steps: &mut Vec<Step>, found: &Found) {
        for (word, is_narrow) in self.folders() {
            let mut folder = place::FOLDER.to_owned();
            let mut target = String::new();
            for part in word.split('/') {
                folder = format!("{folder}/{part}");
                target.push_str("../");
                let step = Step::Folder(folder.clone());
                if !found.folders.contains(&folder) && !steps.contains(&step) {
                    steps.push(step);
                }
            }
            let file = if is_narrow { place::NARROW } else { place::LIBRARY };
            target.push_str(file.rsplit('/').next().unwrap_or(file));
            let at = format!("{folder}/{}", place::NAME);
            if found.links.get(&at).is_none_or(|there| there != Path::new(&target)) {
                steps.push(Step::Link { to: target, at });
            }
        }
    }
}

/// Takes out the links, their folders, and what only they lead to.
pub fn unlink(steps: &mut Vec<Step>, found: &Found) {
    for folder in found.folders.iter().rev() {
        remove(steps, &format!("{folder}/{}", place::NAME));
        steps.push(Step::RemoveFolder(folder.clone()));
    }
    remove(steps, place::NARROW);
}

/// The class of the loader at `path`, if it is one of glibc on x86. One for another machine, or for
/// x32, is judged by the trial alone.
pub fn bits(path: &Path) -> Option<u8> {
    if rules(path.as_os_str().as_bytes()) != Some(Rules::Glibc) {
        return None;
    }
    let elf = File::open(path).map_err(|error| error.to_string()).and_then(Elf::read).ok()?;
    let is_x86 = [(64, EM_X86_64.0), (32, EM_386.0)].contains(&(elf.bits, elf.machine));
    is_x86.then_some(elf.bits)
}

/// What the loader puts for `$LIB`: glibc 2.33 and later say it; in older ones it is one of the
/// known words, and the trial shows whether it is right.
fn word_of(loader: &Path, is_narrow: bool) -> Option<String> {
    let asked = trial::run(Command::new(loader).arg("--list-diagnostics").env_clear()).ok();
    let said = asked.filter(|seen| seen.status.success());
    said.and_then(|seen| said_word(&String::from_utf8_lossy(&seen.output))).or_else(|| {
        let known = if is_narrow { &WORDS_32 } else { &WORDS_64 };
        word(&fs::read(loader).ok()?, known).map(str::to_owned)
    })
}

/// The word in what `--list-diagnostics` prints, if it can be a folder of ours.
fn said_word(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("dl_dst_lib=\""))?;
    let word = line.strip_suffix('"')?;
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "._+-/".contains(letter);
    let is_name = |part: &str| !part.is_empty() && part != "." && part != "..";
    let is_folder = word.chars().all(fits) && word.split('/').all(is_name);
    is_folder.then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Asked, Layout, said_word};

    fn of(wide: &[&str], narrow: &[&str], has_other_stores: bool) -> Option<Layout> {
        let asked = |is_narrow| {
            move |word: &&str| Asked {
                is_narrow,
                word: Some((*word).to_owned()).filter(|word| !word.is_empty()),
            }
        };
        let all: Vec<_> =
            wide.iter().map(asked(false)).chain(narrow.iter().map(asked(true))).collect();
        Layout::of(&all, has_other_stores)
    }

    #[test]
    fn each_class_has_the_words_of_its_loaders_and_of_those_to_come() {
        let all = |words: &std::collections::BTreeSet<String>| {
            words.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
        };
        let usual = "$LIB lib lib/x86_64-linux-gnu lib64";
        let debian = of(&["lib/x86_64-linux-gnu"], &["lib32"], true).unwrap();
        assert_eq!(all(&debian.wide), usual);
        assert_eq!(all(&debian.narrow), "lib/i386-linux-gnu lib32");
        assert!(debian.has_narrow);
        let fedora = of(&["lib64"], &["lib"], false).unwrap();
        assert_eq!(all(&fedora.wide), "$LIB lib/x86_64-linux-gnu lib64");
        assert_eq!(all(&fedora.narrow), "lib lib/i386-linux-gnu lib32");
        let alone = of(&["lib"], &[], false).unwrap();
        assert_eq!((all(&alone.wide).as_str(), alone.has_narrow), (usual, false));
        let own = of(&["lib64", "own/lib"], &["libx86"], false).unwrap();
        assert!(own.wide.contains("own/lib") && own.narrow.contains("libx86"));
    }

    #[test]
    fn where_a_word_is_not_known_or_means_both_there_is_none() {
        assert_eq!(of(&["lib64", ""], &[], false), None);
        assert_eq!(of(&["lib64"], &[""], false), None);
        assert_eq!(of(&["lib"], &["lib"], false), None);
        assert_eq!(of(&["lib64"], &["lib"], true), None);
        assert_eq!(of(&["lib64"], &["lib64"], false), None);
    }

    #[test]
    fn only_a_folder_is_taken_for_a_word() {
        let of = |word: &str| said_word(&format!("a=1\ndl_dst_lib=\"{word}\"\nb=2\n"));
        assert_eq!(of("lib/x86_64-linux-gnu").as_deref(), Some("lib/x86_64-linux-gnu"));
        for wrong in ["", "/lib", "lib/", "a//b", "../lib", "a/..", "a b", "a\\x20", "$LIB", "é"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        assert_eq!(said_word("dl_dst_lib=lib\n"), None);
    }
}
