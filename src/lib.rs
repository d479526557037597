//! The `anabranch` command as a library, so that a user's crate gets the same verbs for its own protocols
//! with one line in its `main.rs`:
//!
//! ```ignore
//! anabranch_cli::main!(my_protocol::protocol());
//! ```
//!
//! One file per verb. Read [`args`] for what there is, [`exit`] for exit codes.

pub mod args;
mod bench;
mod call;
mod check;
mod deploy;
mod deployment;
pub mod exit;
mod explain;
mod fmt;
mod graph;

mod inspect;
mod new;
mod node;
mod replay;
mod rescale;
mod rewrite;
mod source;
mod value;
mod verify;

use anabranch::core::node::Protocol;
use args::{Arguments, Command};
use clap::Parser;
use exit::{CommandError, Result};
use std::ffi::OsString;
use std::process::ExitCode;

/// Protocols as the command line knows them.
pub type Protocols = [&'static dyn Protocol];

/// The main function of a program that runs protocols: `anabranch_cli::main!(a::protocol(), b::protocol());`.
#[macro_export]
macro_rules! main {
    ($($protocol:expr),* $(,)?) => {
        fn main() -> ::std::process::ExitCode {
            $crate::run(&[$($protocol),*])
        }
    };
}

/// Carries out the command line of this process.
pub fn run(protocols: &Protocols) -> ExitCode {
    run_with(protocols, std::env::args_os())
}

/// Carries out a command line, whose first word is the program's name.
pub fn run_with(protocols: &Protocols, line: impl IntoIterator<Item = OsString>) -> ExitCode {
    // A reader that went away (`anabranch … | head`) is no fault worth a message.
    let arguments = Arguments::parse_from(line);
    match dispatch(arguments.command, protocols) {
        Ok(exit) => exit.into(),
        Err(CommandError { exit, message }) => {
            eprintln!("error: {message}");
            exit.into()
        }
    }
}

fn dispatch(command: Command, protocols: &Protocols) -> Result {
    match command {
        Command::New(args) => new::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Fmt(args) => fmt::run(&args),
        Command::Graph(args) => graph::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Rewrite(args) => rewrite::run(&args),
        Command::Node(args) => node::run(&args, protocols),
        Command::Deploy(args) => deploy::run(&args, protocols),
        Command::Rescale(args) => rescale::run(&args, protocols),
        Command::Call(args) => call::run(&args, protocols),
        Command::Inspect(args) => inspect::run(&args, protocols),
        Command::Bench(args) => bench::run(&args, protocols),
        Command::Verify(args) => verify::run(&args, protocols),
        Command::Replay(args) => replay::run(&args, protocols),
    }
}
