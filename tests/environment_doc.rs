//! `docs/environment.md` is generated from the table of variables, and README.md lists them
//! all.
//!
//! To generate it: `BLESS=1 cargo test --test environment_doc`.

use std::fmt::Write;

use sigward::config::TABLE;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/environment.md");

const HEAD: &str = "\
# SIGWARD(7): environment

<!-- Made from src/config/table.rs. To write it again: BLESS=1 cargo test --test environment_doc -->

These variables are read once, when a program starts with `libsigward.so`
preloaded. An unset or empty variable means its default.

`sigward run` refuses (exit code 125) a value that is not accepted, and a
`SIGWARD_` name that is not in this table. The library itself warns once and
uses the default; it warns about an unknown name only where it acts. Its line
never harms the program: where it might, the library drops it. Both ignore the
names that Kubernetes creates for a Service called `sigward`
(`SIGWARD_SERVICE_HOST`, `SIGWARD_PORT=tcp://10.0.0.1:80` and so on).

Patterns match the program's name without its folders; `*` matches any run of
characters, `?` any single one. `SIGWARD_EXCEPT` takes precedence over
`SIGWARD_ONLY`.

`SIGWARD_LOG` takes two older words, too: `error` is `off`, and `trace` is
`debug`.

| variable | default | accepted | meaning |
| --- | --- | --- | --- |
";

fn document() -> String {
    let mut text = HEAD.to_owned();
    for row in TABLE {
        let default = match row.default() {
            "" => "none".to_owned(),
            word => format!("`{word}`"),
        };
        let (name, accepted, meaning) = (row.name, row.accepted(), row.meaning());
        writeln!(text, "| `{name}` | {default} | {accepted} | {meaning} |").expect("a String");
    }
    text
}

#[test]
fn environment_md_is_up_to_date() {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(PATH, document()).expect("docs/environment.md is writable");
    }
    let found = std::fs::read_to_string(PATH).unwrap_or_default();
    assert!(
        found == document(),
        "docs/environment.md differs from config::TABLE; write it again by \
         BLESS=1 cargo test --test environment_doc"
    );
}

#[test]
fn the_readme_knows_every_variable_and_no_other() {
    let readme = include_str!("../README.md");
    let missing: Vec<_> =
        TABLE.iter().filter(|row| !readme.contains(&format!("`{}`", row.name))).collect();
    assert!(missing.is_empty(), "{missing:?}");

    let word = |c: char| !c.is_ascii_uppercase() && c != '_';
    let unknown = readme
        .split(word)
        .find(|word| word.starts_with("SIGWARD_") && TABLE.iter().all(|row| row.name != *word));
    assert_eq!(unknown, None);
}
