use proptest::prelude::*;

use super::values::bytes;
use super::*;

fn parsed(environ: &[&str], program: &str) -> (Config, Vec<String>) {
    let mut warned = Vec::new();
    let environ = environ.iter().map(|variable| variable.as_bytes());
    let config = parse(environ, program.as_bytes(), |bad| {
        warned.push(String::from_utf8_lossy(bad.name).into_owned());
    });
    (config, warned)
}

#[test]
fn rows_are_unique_in_name_and_field_and_defaults_parse() {
    for (at, row) in TABLE.iter().enumerate() {
        assert!(
            TABLE
                .iter()
                .skip(at + 1)
                .all(|other| { other.name != row.name && other.field as u32 != row.field as u32 }),
            "{}",
            row.name
        );
        assert!(row.name.starts_with("SIGWARD"), "{}", row.name);
        let variable = format!("{}={}", row.name, row.default());
        assert_eq!(parsed(&[&variable], "p"), (Config::DEFAULT, vec![]), "{variable}");
    }
}

#[test]
fn every_accepted_word_is_taken_and_shown_again() {
    for row in TABLE {
        let (Accepted::Words(words) | Accepted::WordsOrSize(words)) = row.accepted() else {
            continue;
        };
        for word in words.split(", ") {
            let (config, warned) = parsed(&[&format!("{}={word}", row.name)], "p");
            assert!(warned.is_empty(), "{} {word}", row.name);
            let shown = config.describe().find(|(name, _)| *name == row.name);
            assert_eq!(shown.map(|(_, shown)| shown.to_string()).as_deref(), Some(word));
        }
        let (config, warned) = parsed(&[&format!("{}=bogus", row.name)], "p");
        assert_eq!(warned, [row.name]);
        assert_eq!(config, Config::DEFAULT);
    }
}

/// There never were any messages of these two levels, which older versions
/// accepted.
#[test]
fn older_levels_are_taken_for_the_next_quieter_one() {
    for (old, log) in [("error", Log::Off), ("trace", Log::Debug)] {
        let (config, warned) = parsed(&[&format!("SIGWARD_LOG={old}")], "p");
        assert_eq!((config.log, warned), (log, vec![]), "{old}");
        assert!(!Log::WORDS.contains(&old));
    }
}

#[test]
fn values() {
    let (config, warned) = parsed(
        &["PATH=/bin", "SIGWARD=on", "SIGWARD_STACK=64K", "SIGWARD_FRAME=12000"],
        "/usr/bin/p",
    );
    assert_eq!(warned, [""; 0]);
    assert_eq!(
        config,
        Config {
            mode: Mode::On,
            stack: Stack::Bytes(65536),
            frame: Some(12000),
            ..Config::DEFAULT
        }
    );
}

#[test]
fn first_of_several_counts_and_empty_is_the_default() {
    assert_eq!(parsed(&["SIGWARD=off", "SIGWARD=on"], "p").0.mode, Mode::Off);
    assert_eq!(parsed(&["SIGWARD=", "SIGWARD=on"], "p"), (Config::DEFAULT, vec![]));
    assert_eq!(parsed(&["SIGWARD=x", "SIGWARD=on"], "p").0.mode, Mode::Auto);
}

#[test]
fn names_that_are_nearly_ours() {
    assert_eq!(parsed(&["SIGWARD_ALTSTAK=lock"], "p").1, ["SIGWARD_ALTSTAK"]);
    assert_eq!(parsed(&["SIGWARDEN=1", "SIGWARD", "XSIGWARD=on"], "p").1, [""; 0]);
}

#[test]
fn variables_of_kubernetes_services_are_passed_over() {
    for link in [
        "SIGWARD_SERVICE_HOST=10.0.0.1",
        "SIGWARD_SERVICE_PORT=80",
        "SIGWARD_SERVICE_PORT_HTTP=80",
        "SIGWARD_DEMO_SERVICE_HOST=10.0.0.1",
        "SIGWARD_DEMO_SERVICE_PORT_DNS_TCP=53",
        "SIGWARD_PORT=tcp://10.0.0.1:80",
        "SIGWARD_DEMO_PORT=udp://[fd00::1]:53",
        "SIGWARD_PORT_80_TCP=tcp://10.0.0.1:80",
        "SIGWARD_PORT_80_TCP_PROTO=tcp",
        "SIGWARD_PORT_53_UDP_ADDR=10.0.0.1",
        "SIGWARD_DEMO_PORT_9_SCTP_PORT=9",
    ] {
        assert_eq!(parsed(&[link], "p"), (Config::DEFAULT, vec![]), "{link}");
    }
    for (name, other) in [
        ("SIGWARD_PORT", "SIGWARD_PORT=80"),
        ("SIGWARD_PORT", "SIGWARD_PORT="),
        ("SIGWARD_HOST", "SIGWARD_HOST=tcp://10.0.0.1:80"),
        ("SIGWARD_SERVICE", "SIGWARD_SERVICE=1"),
        ("SIGWARD_XSERVICE_PORT", "SIGWARD_XSERVICE_PORT=1"),
        ("SIGWARD_SERVICE_HOSTS", "SIGWARD_SERVICE_HOSTS=1"),
        ("SIGWARD_PORT_TCP", "SIGWARD_PORT_TCP=1"),
        ("SIGWARD_PORT_X_TCP", "SIGWARD_PORT_X_TCP=1"),
        ("SIGWARD_PORT__TCP", "SIGWARD_PORT__TCP=1"),
        ("SIGWARD_PORT_80_HTTP", "SIGWARD_PORT_80_HTTP=1"),
    ] {
        assert_eq!(parsed(&[other], "p").1, [name], "{other}");
    }
}

#[test]
fn bad_value_says_what_is_accepted() {
    let mut said = String::new();
    let environ = [&b"SIGWARD_STACK=huge"[..]];
    parse(environ.into_iter(), b"p", |bad| {
        said = bad.accepted.map_or(String::new(), |accepted| accepted.to_string());
    });
    assert_eq!(said, "auto, off, full, a number of bytes (suffix K, M or G)");
}

#[test]
fn only_and_except_choose_by_base_name() {
    let off = |environ: &[&str], program| {
        let (config, warned) = parsed(environ, program);
        assert!(warned.is_empty());
        assert_eq!(config.excluded, config.mode == Mode::Off);
        config.excluded
    };
    assert!(!off(&["SIGWARD_ONLY=python*,java"], "/usr/bin/python3.11"));
    assert!(!off(&["SIGWARD_ONLY= python* , java"], "java"));
    assert!(off(&["SIGWARD_ONLY=python*,java"], "/opt/python/bin/perl"));
    assert!(off(&["SIGWARD_EXCEPT=p?rl"], "/usr/bin/perl"));
    assert!(!off(&["SIGWARD_EXCEPT=p?rl"], "/usr/bin/pearl"));
    assert!(off(&["SIGWARD_ONLY=*", "SIGWARD_EXCEPT=bash"], "/bin/bash"));
    assert!(!off(&["SIGWARD_ONLY=,"], "anything"));
}

#[test]
fn sizes() {
    for (text, size) in [("0", 0), ("8192", 8192), ("64K", 65536), ("2m", 2 << 20)] {
        assert_eq!(bytes(text.as_bytes()), Some(size), "{text}");
    }
    for text in
        ["", "K", "-1", "1.5K", "1 K", "0x10", "1KK", "99999999999999999999", "99999999999999999G"]
    {
        assert_eq!(bytes(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn a_glob_full_of_stars_ends() {
    let pattern = b"*a".repeat(2000);
    assert!(!glob_matches(&pattern, &[b'a'; 1999]));
    assert!(glob_matches(&pattern, &[b'a'; 2000]));
}

/// The obvious matcher, which is exponential, for comparison.
fn by_recursion(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', behind)) => (0..=name.len()).any(|at| by_recursion(behind, &name[at..])),
        Some((wanted, behind)) => name.split_first().is_some_and(|(byte, rest)| {
            (*wanted == b'?' || wanted == byte) && by_recursion(behind, rest)
        }),
    }
}

proptest! {
    #[test]
    fn globs_match_as_the_obvious_matcher_does(pattern in "[ab*?]{0,8}", name in "[ab]{0,8}") {
        let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
        prop_assert_eq!(glob_matches(pattern, name), by_recursion(pattern, name));
    }

    #[test]
    fn any_environment_is_read(
        values in proptest::collection::vec((0..TABLE.len(), any::<Vec<u8>>()), 0..12),
        program in any::<Vec<u8>>(),
    ) {
        let environ: Vec<Vec<u8>> = values
            .iter()
            .map(|(row, value)| [TABLE[*row].name.as_bytes(), b"=", value].concat())
            .collect();
        let mut warned = 0;
        let config = parse(environ.iter().map(Vec::as_slice), &program, |_| warned += 1);
        prop_assert!(warned <= environ.len());
        prop_assert!(!config.excluded || config.mode == Mode::Off);
        prop_assert_eq!(config.describe().count(), TABLE.len() - 2);
    }

    #[test]
    fn sizes_are_what_they_say(number in 0_usize..1 << 30, unit in 0_usize..4) {
        let suffix = ["", "K", "M", "G"][unit];
        let text = format!("{number}{suffix}");
        prop_assert_eq!(bytes(text.as_bytes()), number.checked_shl(10 * unit as u32));
    }
}
