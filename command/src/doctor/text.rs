//! The report for people.

use std::fmt::Write;

use super::kernel_view::signal_name;
use super::library_row::{DeepestRow, LibraryRow};
use super::machine::{Disturber, Machine, Memlock};
use super::process::ProcessReport;
use super::stacks::StackRow;
use super::standing::Standing;
use super::{ProgramReport, Report};
use crate::library::classes;
use crate::system::Served;

/// The whole report.
pub fn of(report: &Report) -> String {
    let mut text = String::new();
    machine(&mut text, &report.machine);
    if report.meta.all {
        all(&mut text, report);
    } else {
        report.processes.iter().for_each(|report| process(&mut text, report));
    }
    report.programs.iter().for_each(|report| program(&mut text, report));
    for what in &report.meta.not_seen {
        line(&mut text, 0, &format!("not seen: {what}"));
    }
    if report.meta.reduced_accuracy {
        line(&mut text, 0, "This report is of reduced accuracy: something was not seen.");
    }
    text
}

fn line(text: &mut String, indent: usize, words: &str) {
    let _ = writeln!(text, "{:indent$}{words}", "", indent = indent * 2);
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0 => "0".to_owned(),
        whole if whole.is_multiple_of(1 << 20) => format!("{} MiB", whole >> 20),
        whole if whole.is_multiple_of(1 << 10) => format!("{} KiB", whole >> 10),
        other => format!("{other} bytes"),
    }
}

fn limit(limit: Option<u64>) -> String {
    limit.map_or("unlimited".to_owned(), bytes)
}

fn machine(text: &mut String, machine: &Machine) {
    let kernel = &machine.kernel;
    let pretended = if kernel.pretended { ", as given" } else { "" };
    line(
        text,
        0,
        &format!("kernel{pretended}: {} ({} confidence)", kernel.standing, kernel.confidence),
    );
    for reason in &kernel.reasons {
        line(text, 1, &format!("- {reason}"));
    }
    if kernel.only_reduces {
        line(text, 1, "the library reduces the risk here and does not remove it");
    }
    let frame = &machine.frame;
    let (least, usual) = (frame.minsigstksz, frame.sigstksz);
    let too_large = match (frame.fits_minsigstksz, frame.fits_sigstksz) {
        (true, _) => format!("fits into MINSIGSTKSZ ({least})"),
        (false, true) => {
            format!("fits into SIGSTKSZ ({usual}), and not into MINSIGSTKSZ ({least})")
        }
        (false, false) => {
            format!("does not fit into SIGSTKSZ ({usual}): stacks of that size cannot hold it")
        }
    };
    line(text, 0, &format!("signal frame: {} bytes ({}), {too_large}", frame.bytes, frame.from));
    memlock(text, &machine.memlock);
    line(text, 0, &format!("library inside sigward: {}", libraries(&machine.library_for_bits)));
    if let Some(path) = &machine.preloaded_everywhere {
        line(text, 0, &format!("/etc/ld.so.preload: {path}"));
    }
    for served in &machine.preloaded_for {
        let library = served.library.as_deref().unwrap_or("none");
        let Served { bits, loader, .. } = served;
        line(text, 1, &format!("{bits}-bit programs ({loader}): {library}"));
    }
    for note in &machine.preload_notes {
        line(text, 0, &format!("/etc/ld.so.preload: {note}"));
    }
    if !machine.disturbers.is_empty() {
        line(text, 0, "moves pages although they are held:");
        for Disturber { what, setting, effect } in &machine.disturbers {
            line(text, 1, &format!("{what} ({setting}): {effect}"));
        }
    }
}

fn libraries(bits: &[u8]) -> String {
    if !classes::is_x86() || bits.is_empty() {
        return if bits.is_empty() { "none" } else { "for 64-bit programs" }.to_owned();
    }
    let all: Vec<_> = bits.iter().map(|bits| format!("for {bits}-bit programs")).collect();
    let none = if bits.contains(&32) { "" } else { "; none for 32-bit ones (`make i686`)" };
    format!("{}{none}", all.join(", "))
}

fn memlock(text: &mut String, memlock: &Memlock) {
    let (soft, hard) = (limit(memlock.soft), limit(memlock.hard));
    if memlock.privileged {
        let words = "does not count for you (CAP_IPC_LOCK)";
        return line(text, 0, &format!("memlock: {soft} (hard limit {hard}), which {words}"));
    }
    line(text, 0, &format!("memlock: {soft} (hard limit {hard})"));
    let buys = &memlock.buys;
    if let (Some(large), Some(small), Some(frames)) =
        (buys.stacks_of_64_kib, buys.stacks_of_8_kib, buys.stacks_by_frame)
    {
        line(
            text,
            1,
            &format!(
                "locks {large} stacks of 64 KiB or {small} of 8 KiB whole (rung lock), or room \
                 for frames in {frames} (rung frame); what does not fit is touched"
            ),
        );
    }
    for remedy in &memlock.remedies {
        line(text, 1, &format!("more, {remedy}"));
    }
}

fn all(text: &mut String, report: &Report) {
    let _ = writeln!(text, "{:>8}  {:<16} {:<17} because", "PID", "COMMAND", "STANDING");
    for process in &report.processes {
        let standing = process.standing.as_str();
        let because = process.because.join("; ");
        let _ =
            writeln!(text, "{:>8}  {:<16} {standing:<17} {because}", process.pid, process.command);
    }
    if report.meta.ended > 0 {
        line(text, 0, &format!("{} processes ended while they were looked at", report.meta.ended));
    }
}

fn process(text: &mut String, report: &ProcessReport) {
    let standing = report.standing.as_str();
    line(text, 0, &format!("process {} ({}): {standing}", report.pid, report.command));
    for reason in &report.because {
        line(text, 1, &format!("- {reason}"));
    }
    report.libraries.iter().for_each(|row| library(text, row));
    kernel_word(text, report);
    if !report.stacks.is_empty() {
        line(text, 1, "stacks, by its word and by the kernel's:");
        stacks(text, &report.stacks);
    }
    if !report.libraries.is_empty() {
        line(text, 1, &format!("threads: {}", report.threads.len()));
    }
    for note in &report.notes {
        line(text, 1, &format!("note: {note}"));
    }
    for what in &report.not_seen {
        line(text, 1, &format!("not seen: {what}"));
    }
}

fn library(text: &mut String, row: &LibraryRow) {
    let deleted = if row.deleted { " (deleted)" } else { "" };
    line(text, 1, &format!("library: {}{deleted}", row.path));
    if let Some(newer) = row.newer {
        line(text, 2, &format!("its block has version {newer}: a newer sigward sees more"));
    }
    if let Some(plan) = &row.plan {
        let forks = if plan.forks_copy { "copied" } else { "wiped" };
        line(
            text,
            2,
            &format!(
                "plan: duty {} ({}), rung {}, small stacks {}, wait {}, ordinary stacks {}, \
                 other stacks {forks} at forks, frame {}, window {}",
                plan.duty,
                plan.reason,
                plan.rung,
                plan.small_stacks,
                plan.wait,
                plan.ordinary_stacks,
                plan.frame,
                plan.window
            ),
        );
    }
    if let Some(force) = &row.in_force {
        let owner = force.owner.map_or(String::new(), |owner| format!(", owner {owner}"));
        line(
            text,
            2,
            &format!(
                "in force: duty {}, small stacks {}, wait {}{owner}",
                force.duty, force.small_stacks, force.wait
            ),
        );
    }
    if let Some(counters) = &row.counters {
        let shown = [
            ("stacks", counters.stacks),
            ("too small", counters.small),
            ("refused locks", counters.refused_locks),
            ("windows", counters.windows),
            ("pinned pages", counters.pinned_pages),
            ("by lock", counters.by_lock),
            ("by frame", counters.by_frame),
            ("by touch", counters.by_touch),
            ("only reported", counters.only_reported),
        ];
        let shown = shown.iter().filter_map(|(name, count)| Some(format!("{name} {}", (*count)?)));
        line(text, 2, &format!("counted: {}", shown.collect::<Vec<_>>().join(", ")));
        if let Some(DeepestRow { used, bytes, thread, signal, only_signal }) = counters.deepest {
            let how = if only_signal { "by" } else { "last by" };
            let by = signal.map(|signal| format!(" {how} {}", signal_name(signal)));
            let by = by.unwrap_or_default();
            line(text, 2, &format!("deepest: thread {thread} used {used} of {bytes} bytes{by}"));
        }
    }
}

fn kernel_word(text: &mut String, report: &ProcessReport) {
    let kernel = &report.kernel;
    let mut words = Vec::new();
    words.extend(kernel.locked_bytes.map(|locked| format!("locked {}", bytes(locked))));
    words.extend(kernel.swapped_bytes.map(|swapped| format!("swapped out {}", bytes(swapped))));
    let privileged = kernel.memlock_privileged == Some(true);
    words.extend(
        kernel
            .memlock_soft
            .filter(|_| !privileged)
            .map(|soft| format!("memlock {} (hard {})", bytes(soft), limit(kernel.memlock_hard))),
    );
    words.extend(kernel.seccomp.filter(|is| *is).map(|_| "seccomp filter".to_owned()));
    words.extend(kernel.caught_signals.as_ref().map(|signals| {
        let all = if signals.is_empty() { "no signal" } else { &signals.join(" ") };
        format!("catches {all}")
    }));
    if !words.is_empty() {
        line(text, 1, &format!("kernel: {}", words.join(", ")));
    }
    let is_held = report.stacks.iter().any(|row| row.is_ordinary() && row.held > 0);
    let catches = kernel.caught_signals.as_ref().is_some_and(|signals| !signals.is_empty());
    let uncovered = report.threads.iter().any(|thread| thread.uncovered);
    if report.libraries.iter().any(|row| row.duty() == "act") && catches && !uncovered {
        line(
            text,
            2,
            if is_held {
                "a handler may run on an ordinary stack; those are held"
            } else {
                "no handler that the library saw runs on an ordinary stack"
            },
        );
    }
}

fn stacks(text: &mut String, rows: &[StackRow]) {
    let _ = writeln!(
        text,
        "    {:>7} {:<9} {:<18} {:>9} {:<6} {:>9} {:>19} {:>9}  usable/needed/deepest",
        "thread", "role", "address", "bytes", "rung", "held", "locked (kernel's)", "present"
    );
    let word = |count: Option<u64>| count.map_or("?".to_owned(), |count| count.to_string());
    let or_dash = |count: Option<u64>| count.map_or("-".to_owned(), |count| count.to_string());
    for row in rows {
        let thread = if row.thread > 0 { row.thread.to_string() } else { "?".to_owned() };
        let locked = format!("{} ({})", row.locked, word(row.kernel_locked));
        let mark = if row.problems.is_empty() { "" } else { "  !" };
        let _ = writeln!(
            text,
            "    {:>7} {:<9} {:<#18x} {:>9} {:<6} {:>9} {locked:>19} {:>9}  {}/{}/{}{mark}",
            thread,
            row.role,
            row.base,
            row.bytes,
            if row.held > 0 { &row.rung } else { "-" },
            row.held,
            word(row.kernel_present),
            or_dash(row.usable),
            or_dash(row.needed),
            or_dash(row.deepest),
        );
    }
}

fn program(text: &mut String, report: &ProgramReport) {
    let seen = &report.inspection;
    let mut standing = report.standing.as_str().to_owned();
    // The reasons are those for what it would be there.
    if report.standing == Standing::NothingToCover {
        let there = Standing::where_affected(seen.coverage).as_str();
        standing = format!("{standing} on this kernel; on an affected one: {there}");
    }
    line(text, 0, &format!("program {}: {standing}", report.name));
    for reason in &seen.because {
        line(text, 1, &format!("- {reason}"));
    }
    let via: Vec<&str> = seen.scripts.iter().chain([&seen.path]).map(String::as_str).collect();
    let via = via.join(" -> ");
    line(text, 1, &format!("file: {via}, {}, {}-bit, {}", seen.machine, seen.bits, seen.linkage));
    if let Some(loader) = &seen.interpreter {
        let libc = seen.libc.as_ref().map_or(String::new(), |libc| {
            let version = libc.version.as_deref().unwrap_or("of unknown version");
            let needs = libc.needs.as_ref().map(|needs| format!(", needs {needs}"));
            format!(", {} {version}{}", libc.name, needs.unwrap_or_default())
        });
        line(text, 1, &format!("loader: {loader}{libc}"));
    }
    match seen.go.as_deref() {
        Some("") => line(text, 1, "built by Go"),
        Some(version) => line(text, 1, &format!("built by {version}")),
        None => {}
    }
    for (group, names) in &seen.hooked_imports {
        line(text, 1, &format!("uses, {group}: {}", names.join(" ")));
    }
    for oddity in &seen.odd_search_paths {
        line(text, 1, &format!("odd search path: {oddity}"));
    }
    for note in &seen.notes {
        line(text, 1, &format!("note: {note}"));
    }
}
