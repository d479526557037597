//! Exit codes: they tell a violation, a usage error and a failure apart.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Done, nothing to object to.
    Ok,
    /// The command worked and found something wrong: errors in a protocol, text that is not formatted, a
    /// request that was refused, a violated invariant.
    Violation,
    /// The command line, or a file that it names, asks for something impossible.
    Usage,
    /// The world stood in the way: a file that cannot be written, a node that died, no answer.
    Failure,
    /// Nothing wrong was found, but something that was to be tried never happened.
    Vacuous,
    /// A search was stopped by a bound: what it did not see may be wrong.
    Incomplete,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Violation => 1,
            Exit::Usage => 2,
            Exit::Failure => 3,
            Exit::Vacuous => 4,
            Exit::Incomplete => 5,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// Why a command did not do its work. Printed as `error: …`.
#[derive(Debug)]
pub struct CommandError {
    /// Which code to exit with.
    pub exit: Exit,
    /// What to tell the user; further lines are indented help.
    pub message: String,
}

impl CommandError {
    /// The user asked for something impossible.
    pub fn usage(message: impl Into<String>) -> CommandError {
        CommandError { exit: Exit::Usage, message: message.into() }
    }
    /// The world stood in the way.
    pub fn failure(message: impl Into<String>) -> CommandError {
        CommandError { exit: Exit::Failure, message: message.into() }
    }
}

/// What commands return.
pub type Result<T = Exit> = std::result::Result<T, CommandError>;
