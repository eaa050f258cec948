//! What a preload adds to an exec.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use sigward_harness::counter::Counter;

use crate::document::{Section, grouped, ratio};
use crate::subject::Libraries;

/// The most that we may add, relative to an empty preload.
const TARGET: f64 = 2.2;

pub fn run(counter: Counter, libraries: &Libraries) -> io::Result<Section> {
    let count = |library: &Path| {
        let environment = [("LD_PRELOAD", library.as_os_str()), ("SIGWARD", OsStr::new("auto"))];
        counter.count(&[OsStr::new("/bin/true")], &environment)
    };
    let bare = count(Path::new(""))?;
    let empty = count(&libraries.empty)? - bare;
    let ours = count(&libraries.sigward)? - bare;
    let redhook = count(&libraries.redhook)? - bare;
    let row = |what: &str, added: f64| {
        vec![what.to_owned(), grouped(bare + added), grouped(added), ratio(added, empty)]
    };
    Ok(Section {
        title: "Starting a program",
        text: format!(
            "User instructions of `/bin/true` from exec to exit, and what a preload adds. The\n\
             target is at most {TARGET} times what an empty library adds."
        ),
        header: vec!["preload", "instructions", "added", "ratio to empty"],
        rows: vec![
            row("none", 0.0),
            row("an empty C library", empty),
            row("`libsigward.so`, `SIGWARD=auto`", ours),
            row("two hooks made by redhook", redhook),
        ],
        missed: (ours > TARGET * empty).then(|| {
            format!("an exec costs {} times an empty preload's instructions", ratio(ours, empty))
        }),
    })
}
