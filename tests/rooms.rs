//! The map in `src/lib.rs`: data flows down it, so a module of the core uses only what stands
//! above it. No file is so long that nobody reads it whole.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push(path);
        }
    }
}

fn core() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The first word of `text`.
fn word(text: &str) -> &str {
    text.split(|at: char| !at.is_alphanumeric() && at != '_').next().unwrap_or("")
}

/// The modules in the table of `src/lib.rs`, from top to bottom.
fn map() -> Vec<String> {
    let text = fs::read_to_string(core().join("lib.rs")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("//! | ["));
    rows.flat_map(|row| row.split("[`").skip(1).map(|name| word(name).to_owned())).collect()
}

/// The modules of the core that code, without its comments and unit tests, uses.
fn uses(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
    let code: Vec<&str> = code.lines().filter(|line| !line.trim().starts_with("//")).collect();
    let code = code.join("\n");
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(list) => {
                let list = list.split('}').next().unwrap_or("");
                found.extend(list.split(',').map(|item| word(item.trim()).to_owned()));
            }
            None => drop(found.insert(word(rest).to_owned())),
        }
    }
    found
}

#[test]
fn modules_use_only_what_stands_above_them() {
    let map = map();
    let place = |name: &str| map.iter().position(|known| known == name);
    let (mut files, mut wrong, mut seen) = (Vec::new(), Vec::new(), 0);
    sources(&core(), &mut files);
    for file in files {
        let within = file.strip_prefix(core()).unwrap();
        let room = within.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if room == "lib" || within.to_str().unwrap().contains("tests") {
            continue;
        }
        let own = place(room).unwrap_or_else(|| panic!("{room} is missing in the map of lib.rs"));
        for used in uses(&fs::read_to_string(&file).unwrap()) {
            let Some(other) = place(&used) else { continue };
            seen += 1;
            if other > own {
                wrong.push(format!("{}: {used}", within.display()));
            }
        }
    }
    assert!(seen > 100, "only {seen} uses were found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_fit_on_a_few_screens() {
    /// Tables, which are looked up in rather than read.
    const TABLES: [&str; 3] = ["os/call.rs", "plan/tests.rs", "verdict/tests.rs"];
    let root = core();
    let root = root.parent().unwrap();
    let mut files = Vec::new();
    for folder in ["src", "preload/src", "command/src", "reader/src"] {
        sources(&root.join(folder), &mut files);
    }
    let lines = |path: &PathBuf| fs::read_to_string(path).unwrap().lines().count();
    let table = |path: &PathBuf| TABLES.iter().any(|table| path.ends_with(table));
    let long: Vec<_> = files.iter().filter(|path| !table(path) && lines(path) > 400).collect();
    assert!(files.len() > 100 && long.is_empty(), "{long:#?}");
}
