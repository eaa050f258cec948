//! The error of the command.

use std::borrow::Cow;

use super::exit::Exit;
use super::output;

/// Names the thing that is wrong, its value, and what to do about it.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: String,
    remedy: Option<Cow<'static, str>>,
}

impl Failure {
    /// sigward's own failure or refusal, exit code 125.
    pub fn new(message: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, message: message.into(), remedy: None }
    }

    /// With another exit code.
    pub fn exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// With what the user can do.
    pub fn remedy(self, remedy: impl Into<Cow<'static, str>>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// Writes it to stderr and gives the exit code.
    pub fn report(&self) -> Exit {
        output::remark(self);
        self.exit
    }

    /// Writes it to stderr as what the user has asked to put up with: in one
    /// line, without the remedy.
    pub fn warn(&self) {
        output::remark(format_args!("warning: {}", self.message));
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}
