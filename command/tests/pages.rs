//! `sigward pages`: a manual page for each command, completions for each shell; and what all
//! helps have.

use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use assert_cmd::prelude::*;
use predicates::prelude::*;
use predicates::str::contains;
use tempfile::TempDir;

const COMMANDS: [&str; 9] =
    ["run", "check", "probe", "bench", "library", "install", "uninstall", "unit", "watch"];

fn sigward() -> Command {
    Command::new(cargo_bin!("sigward"))
}

#[test]
fn every_command_has_a_manual_page() {
    let made = TempDir::new().expect("a folder");
    sigward().arg("pages").arg(made.path()).assert().success().stdout("").stderr("");
    let read = |name: &str| std::fs::read_to_string(made.path().join("share").join(name)).unwrap();
    let page = |name: &str| read(&format!("man/man1/{name}.1")).replace("\\-", "-");
    let whole = page("sigward");
    for command in COMMANDS {
        assert!(whole.contains(&format!("sigward-{command}(1)")), "{command}");
        assert!(page(&format!("sigward-{command}")).contains(".SH NAME"), "{command}");
    }
    for option in ["--library", "--init", "--memlock", "--dry-run", "Examples:"] {
        assert!(page("sigward-run").contains(option), "{option}");
    }
    let bash = made.path().join("share/bash-completion/completions/sigward");
    Command::new("bash").arg("-n").arg(bash).assert().success().stderr("");
    for shell in ["bash-completion/completions/sigward", "zsh/site-functions/_sigward"] {
        assert!(read(shell).contains("--clear-preload"), "{shell}");
    }
    assert!(read("fish/vendor_completions.d/sigward.fish").contains("clear-preload"));
}

#[test]
fn the_commands_name_is_sigward() {
    sigward().arg("--version").assert().success().stdout(predicates::str::starts_with("sigward "));
    let hidden = contains("pages").not();
    sigward().arg("--help").assert().success().stdout(contains("Usage: sigward").and(hidden));
}

#[test]
fn help_has_examples() {
    for command in ["run", "check", "probe", "library", "install", "uninstall", "unit", "watch"] {
        for help in ["-h", "--help"] {
            sigward()
                .args([command, help])
                .assert()
                .success()
                .stdout(contains("Examples:").and(contains(format!("\n  sigward {command}"))));
        }
    }
}
