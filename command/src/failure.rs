//! The command's error type, and how it is written to stderr.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::io::{self, Write};

use super::exit::Exit;

/// Names what is wrong, its value, and what to do about it.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: String,
    remedy: Option<Cow<'static, str>>,
}

impl Failure {
    /// A failure or refusal by sigward itself: exit code 125.
    pub fn new(message: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, message: message.into(), remedy: None }
    }

    /// Sets another exit code.
    pub fn exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// Adds what the user can do about it.
    pub fn remedy(self, remedy: impl Into<Cow<'static, str>>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// What is wrong, without the remedy.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Writes it to stderr and returns the exit code.
    pub fn report(&self) -> Exit {
        remark(self);
        self.exit
    }

    /// Writes it to stderr as a warning that the user asked to ignore: one line, without
    /// the remedy.
    pub fn warn(&self) {
        remark(format_args!("warning: {}", self.message));
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

/// Writes a line to stderr. Not by eprintln!, which panics if nobody reads it.
///
/// Control characters are escaped: a name that contains some, from a file with the line ends of
/// another system for example, would change what a terminal shows, or make two lines.
pub fn remark(text: impl Display) {
    let mut line = String::from("sigward: ");
    for character in text.to_string().chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line.push('\n');
    let _ = io::stderr().write_all(line.as_bytes());
}
