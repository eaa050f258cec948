//! Whatever the environment contains, there are settings, and each is in its range.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sigward::config::{Config, parse};

// The program's path and the variables, with a zero byte after each.
fuzz_target!(|data: &[u8]| {
    let mut parts = data.split(|byte| *byte == 0);
    let program = parts.next().unwrap_or(b"");
    let mut complaints = Vec::new();
    let config = parse(parts.clone(), program, |bad| complaints.push(bad.to_string()));
    let shown = |config: Config| -> Vec<String> {
        config.describe().map(|(name, value)| format!("{name}={value}")).collect()
    };
    let words = shown(config);
    // What is not ours changes nothing.
    let ours = parts.filter(|variable| variable.starts_with(b"SIGWARD"));
    let again = parse(ours, program, |bad| assert_eq!(complaints.remove(0), bad.to_string()));
    assert_eq!(words, shown(again));
});
