//! Which steps are done, in which order. Pure.
//!
//! The order is what keeps programs starting at any time: an entry is written after all that it
//! needs, by one rename; and it is taken out before anything that it needs.

use super::except;
use super::found::{Found, Preload};
use super::layout::unlink;
use super::place::{self, fresh};
use super::preload;
use super::step::{Like, Step};
use crate::failure::Failure;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Install,
    Uninstall,
    /// The unit starts: our link gets what it leads to.
    Boot,
    /// The unit stops.
    Stop,
}

/// What is installed.
pub struct Files {
    pub library: Vec<u8>,
    /// The library for 32-bit programs.
    pub narrow: &'static [u8],
    /// What they get where none were seen: a library without code.
    pub empty: &'static [u8],
    pub command: Vec<u8>,
}

/// The steps for `purpose`.
///
/// # Errors
/// Says why an install would not be safe.
pub fn steps(purpose: Purpose, found: &Found, files: &Files) -> Result<Vec<Step>, Failure> {
    match purpose {
        Purpose::Install => install(found, files),
        Purpose::Uninstall => Ok(uninstall(found)),
        Purpose::Boot => boot(found),
        Purpose::Stop => Ok(stop()),
    }
}

/// What holds now, in words.
pub fn outcome(found: &Found) -> String {
    let ours = found.is_installed();
    match &found.preload {
        Preload::Link(Some(_)) if ours => {
            format!("{} is a link to {}: in force", place::PRELOAD, place::RUN_PRELOAD)
        }
        Preload::Link(_) => format!(
            "{} is a link to {}: in force once the unit has made that",
            place::PRELOAD,
            place::RUN_PRELOAD
        ),
        Preload::File(_) if ours => {
            let entry = found.entry().unwrap_or(place::LIBRARY);
            format!("{} names {entry}: in force", place::PRELOAD)
        }
        Preload::Absent => format!("there is no {}", place::PRELOAD),
        _ => format!("{} does not name our library", place::PRELOAD),
    }
}

fn replace(steps: &mut Vec<Step>, path: &str, bytes: &[u8], mode: u32, like: Like) {
    let new = fresh(path);
    steps.push(Step::Write { path: new.clone(), bytes: bytes.to_vec(), mode, like });
    steps.push(Step::Rename { from: new, to: path.to_owned() });
}

fn install(found: &Found, files: &Files) -> Result<Vec<Step>, Failure> {
    if let Preload::Other(what) = &found.preload {
        return Err(Failure::new(format!("{} is {what}", place::PRELOAD))
            .remedy("make it a plain file, or remove it"));
    }
    if let Some(other) =
        preload::entries(found.text()).into_iter().find(|name| is_another_of_ours(name))
    {
        let other = String::from_utf8_lossy(other);
        return Err(Failure::new(format!("{} already names {other}", place::PRELOAD))
            .remedy("remove it: two copies undo each other's work"));
    }
    if let Some(fault) = &found.except_fault {
        return Err(Failure::new(format!("{}: {fault}", place::EXCEPT))
            .remedy("make it a file that only root can change"));
    }
    let mut steps = Vec::new();
    folder(&mut steps, "/usr/lib/sigward");
    folder(&mut steps, place::FOLDER);
    libraries(&mut steps, found, files);
    let entry = match &found.layout {
        Some(layout) => {
            layout.links(&mut steps, found);
            steps.push(Step::Find(place::BY_CLASS));
            place::BY_CLASS
        }
        None => place::LIBRARY,
    };
    if found.command.as_ref() != Some(&files.command) {
        replace(&mut steps, place::COMMAND, &files.command, 0o755, Like::Ours);
    }
    folder(&mut steps, place::SETTINGS);
    let list = found.except.as_deref().unwrap_or(except::DEFAULT.as_bytes());
    if found.except.is_none() {
        replace(&mut steps, place::EXCEPT, list, 0o644, Like::Ours);
    }
    if found.has_systemd {
        exceptions(&mut steps, found, list)?;
    }
    if !found.is_installed() {
        // Whatever an install left that was killed, or whose entry somebody took out.
        steps.push(Step::Remove(place::BEFORE.to_owned()));
        if let Preload::File(_) = found.preload {
            steps
                .push(Step::Keep { path: place::PRELOAD.to_owned(), at: place::BEFORE.to_owned() });
        }
    }
    if by_link(found) {
        unit(&mut steps, found);
    }
    if !found.is_installed() {
        let ours = preload::with(entry, found.text());
        enter(&mut steps, found, &ours.ok_or_else(no_place)?);
    } else if let (Preload::Link(_), true) = (&found.preload, found.is_live) {
        run_file(&mut steps, &text_with(found, entry)?);
    } else if let Preload::File(_) = found.preload
        && found.entry() != Some(entry)
    {
        replace(&mut steps, place::PRELOAD, &text_with(found, entry)?, 0o644, Like::Preload);
    }
    if found.layout.is_none() && !found.folders.is_empty() {
        unlink(&mut steps, found);
    }
    steps.push(Step::Verify);
    if found.runs_systemd {
        steps.push(Step::Reload);
        if by_link(found) {
            steps.push(Step::Start);
        }
    }
    Ok(steps)
}

/// The files, which are tried before they replace others.
fn libraries(steps: &mut Vec<Step>, found: &Found, files: &Files) {
    let narrow = found
        .layout
        .as_ref()
        .map(|layout| if layout.has_narrow { files.narrow } else { files.empty });
    let mut renames = Vec::new();
    let mut new = |path: &str, bytes: &[u8], there: &Option<Vec<u8>>| {
        if there.as_deref() == Some(bytes) {
            return path.to_owned();
        }
        let new = fresh(path);
        let write =
            Step::Write { path: new.clone(), bytes: bytes.to_vec(), mode: 0o644, like: Like::Ours };
        steps.push(write);
        renames.push(Step::Rename { from: new.clone(), to: path.to_owned() });
        new
    };
    let wide = new(place::LIBRARY, &files.library, &found.library);
    let narrow = narrow.map(|bytes| new(place::NARROW, bytes, &found.narrow));
    steps.push(Step::Try { wide, narrow });
    steps.append(&mut renames);
}

/// The text in force, with `entry` for any of ours.
fn text_with(found: &Found, entry: &str) -> Result<Vec<u8>, Failure> {
    if found.is_untouched() {
        return found.ours(entry).ok_or_else(no_place);
    }
    match found.entry() {
        Some(old) => preload::exchanged(old, entry, found.text()).ok_or_else(no_place),
        None => preload::with(entry, found.text()).ok_or_else(no_place),
    }
}

/// Whether the entry is, or becomes, a link into /run: only where a unit can make what it leads
/// to, and no other library needs the file.
fn by_link(found: &Found) -> bool {
    match &found.preload {
        Preload::Link(_) => true,
        _ => {
            found.has_systemd && !found.is_installed() && preload::entries(found.text()).is_empty()
        }
    }
}

fn no_place() -> Failure {
    Failure::new(format!("an entry more would make glibc read {} differently", place::PRELOAD))
        .remedy("remove its comments and zero bytes: glibc misses some comments")
}

fn enter(steps: &mut Vec<Step>, found: &Found, ours: &[u8]) {
    let new = fresh(place::PRELOAD);
    if by_link(found) {
        if found.is_live {
            run_file(steps, ours);
        }
        steps.push(Step::Symlink { to: place::RUN_PRELOAD.to_owned(), at: new.clone() });
        steps.push(Step::Rename { from: new, to: place::PRELOAD.to_owned() });
    } else {
        replace(steps, place::PRELOAD, ours, 0o644, Like::Preload);
    }
}

fn run_file(steps: &mut Vec<Step>, text: &[u8]) {
    folder(steps, place::RUN_FOLDER);
    replace(steps, place::RUN_PRELOAD, text, 0o644, Like::Ours);
}

fn exceptions(steps: &mut Vec<Step>, found: &Found, list: &[u8]) -> Result<(), Failure> {
    let list = String::from_utf8_lossy(list);
    let patterns = except::patterns(&list).map_err(Failure::new)?;
    let text = except::defaults(&patterns).into_bytes();
    if found.defaults.as_ref() != Some(&text) {
        folder(steps, place::DEFAULTS_FOLDER);
        replace(steps, place::DEFAULTS, &text, 0o644, Like::Ours);
    }
    Ok(())
}

fn unit(steps: &mut Vec<Step>, found: &Found) {
    let text = unit_text().into_bytes();
    if found.unit.as_ref() != Some(&text) {
        replace(steps, place::UNIT, &text, 0o644, Like::Ours);
    }
    if !found.is_wanted {
        folder(steps, place::WANTS);
        let new = fresh(place::WANTED);
        steps.push(Step::Symlink { to: place::UNIT.to_owned(), at: new.clone() });
        steps.push(Step::Rename { from: new, to: place::WANTED.to_owned() });
    }
}

/// The unit that makes what our link leads to.
pub fn unit_text() -> String {
    format!(
        "\
# Made by `sigward install --system`, removed by `sigward uninstall --system`.
# To start the host without the library, add systemd.mask=sigward-preload.service to the kernel's
# command line; to take it out now, `systemctl stop sigward-preload`.
[Unit]
Description=sigward's library in every program
Documentation=man:sigward-install(1)
# Early, as every program that starts before it runs without the library.
DefaultDependencies=no
After=local-fs.target
Before=sysinit.target shutdown.target
Conflicts=shutdown.target
RequiresMountsFor={folder} {settings} /run
ConditionFileIsExecutable={command}

[Service]
Type=oneshot
RemainAfterExit=yes
# Starts trial programs first. If one fails, the link leads nowhere, and nothing is preloaded.
ExecStart={command} install --system --boot
ExecStop={command} uninstall --system --boot
TimeoutStartSec=3min

[Install]
WantedBy=sysinit.target
",
        folder = place::FOLDER,
        settings = place::SETTINGS,
        command = place::COMMAND,
    )
}

fn boot(found: &Found) -> Result<Vec<Step>, Failure> {
    if !matches!(found.preload, Preload::Link(_)) {
        return Err(Failure::new(format!("{} is not our link", place::PRELOAD))
            .remedy("run `sigward install --system` again, or `sigward uninstall --system`"));
    }
    if found.library.is_none() {
        return Err(Failure::new(format!("{} is missing", place::LIBRARY))
            .remedy("run `sigward install --system` again"));
    }
    let entry = found.installed_entry();
    let narrow = (entry == place::BY_CLASS).then(|| place::NARROW.to_owned());
    let mut steps = vec![Step::Try { wide: place::LIBRARY.to_owned(), narrow }];
    if entry == place::BY_CLASS {
        steps.push(Step::Find(entry));
    }
    run_file(&mut steps, &found.ours(entry).ok_or_else(no_place)?);
    steps.push(Step::Verify);
    Ok(steps)
}

fn stop() -> Vec<Step> {
    let mut steps = Vec::new();
    remove(&mut steps, place::RUN_PRELOAD);
    steps
}

fn uninstall(found: &Found) -> Vec<Step> {
    let mut steps = Vec::new();
    if found.is_installed() {
        leave(&mut steps, found);
    }
    steps.push(Step::Remove(fresh(place::PRELOAD)));
    steps.push(Step::Remove(place::BEFORE.to_owned()));
    steps.push(Step::Remove(fresh(place::BEFORE)));
    steps.extend(stop());
    if found.is_installed() && found.is_live {
        steps.push(Step::Pause);
    }
    if found.runs_systemd && found.unit.is_some() {
        steps.push(Step::Stop);
    }
    for path in [place::WANTED, place::UNIT, place::DEFAULTS] {
        remove(&mut steps, path);
    }
    if found.runs_systemd {
        steps.push(Step::Reload);
    }
    unlink(&mut steps, found);
    for path in [place::LIBRARY, place::COMMAND] {
        remove(&mut steps, path);
    }
    let is_default = found.except.as_deref() == Some(except::DEFAULT.as_bytes());
    steps.push(Step::Remove(fresh(place::EXCEPT)));
    if is_default {
        steps.push(Step::Remove(place::EXCEPT.to_owned()));
    }
    for path in [
        place::WANTS,
        place::DEFAULTS_FOLDER,
        place::RUN_FOLDER,
        place::FOLDER,
        "/usr/lib/sigward",
        place::SETTINGS,
    ] {
        steps.push(Step::RemoveFolder(path.to_owned()));
    }
    steps
}

/// Takes our entry out.
fn leave(steps: &mut Vec<Step>, found: &Found) {
    if found.is_untouched() {
        steps.push(match found.before {
            Some(_) => {
                Step::Rename { from: place::BEFORE.to_owned(), to: place::PRELOAD.to_owned() }
            }
            None => Step::Remove(place::PRELOAD.to_owned()),
        });
        return;
    }
    let mut rest = found.text().to_vec();
    for entry in place::ENTRIES {
        rest = preload::without(entry, &rest);
    }
    if rest.is_empty() && found.before.is_none() {
        steps.push(Step::Remove(place::PRELOAD.to_owned()));
    } else {
        replace(steps, place::PRELOAD, &rest, 0o644, Like::Preload);
    }
}

fn folder(steps: &mut Vec<Step>, path: &str) {
    steps.push(Step::Folder(path.to_owned()));
}

/// A file, and what a kill may have left beside it.
pub(super) fn remove(steps: &mut Vec<Step>, path: &str) {
    steps.push(Step::Remove(path.to_owned()));
    steps.push(Step::Remove(fresh(path)));
}

/// Whether `name` is a copy of our library at another place.
fn is_another_of_ours(name: &[u8]) -> bool {
    !place::ENTRIES.iter().any(|entry| name == entry.as_bytes())
        && sigward::config::preload::is_ours(name)
}
