//! The file with all tables. Tables of genuine kernels, whose source a user brought, stay
//! until the same kernel is measured again.

use crate::report::GENUINE;

/// The new text, from the old text and the sections just measured: either all those of
/// the test kernels or some of genuine ones.
pub fn update(before: &str, head: &str, measured: &[String]) -> String {
    let is_genuine = |section: &&str| section.starts_with(&format!("## {GENUINE}"));
    let heading = |section: &str| section.lines().next().unwrap_or_default().to_owned();
    let old = sections(before);
    let new: Vec<&str> = measured.iter().map(String::as_str).collect();

    let (mut genuine, mut plain): (Vec<&str>, Vec<&str>) = new.into_iter().partition(is_genuine);
    if plain.is_empty() {
        plain = old.iter().copied().filter(|section| !is_genuine(section)).collect();
    }
    let again: Vec<_> = genuine.iter().map(|section| heading(section)).collect();
    genuine.extend(
        old.iter().copied().filter(|old| is_genuine(old) && !again.contains(&heading(old))),
    );
    genuine.sort_by_key(|section| heading(section));

    let all = [head].into_iter().chain(plain).chain(genuine);
    all.map(|section| section.trim_end().to_owned() + "\n").collect::<Vec<_>>().join("\n")
}

/// The text of each second-level section, including its heading.
fn sections(text: &str) -> Vec<&str> {
    let starts: Vec<_> = text.match_indices("\n## ").map(|(newline, _)| newline + 1).collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().zip(ends).map(|(start, end)| &text[*start..end]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "# Proof\n\nWords.\n";

    fn section(heading: &str, text: &str) -> String {
        format!("## {heading}\n\n{text}\n")
    }

    #[test]
    fn keeps_what_was_not_measured_again() {
        let first = update("", HEAD, &[section("One", "1"), section("Two", "2")]);
        assert_eq!(first, "# Proof\n\nWords.\n\n## One\n\n1\n\n## Two\n\n2\n");

        let genuine = [
            section("Genuine Linux 5.4.1, with preemption", "3"),
            section("Genuine Linux 5.3.1, with preemption", "4"),
        ];
        let second = update(&first, HEAD, &genuine);
        assert_eq!(second, format!("{first}\n{}\n{}", genuine[1], genuine[0]));

        let third = update(&second, HEAD, &[section("One", "5")]);
        assert_eq!(third, format!("{HEAD}\n## One\n\n5\n\n{}\n{}", genuine[1], genuine[0]));

        let again = section("Genuine Linux 5.4.1, with preemption", "6");
        let fourth = update(&third, HEAD, std::slice::from_ref(&again));
        assert_eq!(fourth, format!("{HEAD}\n## One\n\n5\n\n{}\n{again}", genuine[1]));
    }
}
