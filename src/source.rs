//! Reading protocols from files: `protocol!` blocks of Rust files, or the bare text of one protocol.

use crate::exit::{CommandError, Exit, Result};
use anabranch_dsl::Outcome;
use anabranch_dsl::ir::Protocol;
use std::path::Path;

/// The text of a file.
pub fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|e| CommandError::failure(format!("{} cannot be read: {e}", path.display())))
}

/// Whether a file holds a protocol's text itself, as the printer writes it, rather than Rust.
pub fn is_bare(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with("//"));
    lines.next().is_some_and(|l| l.starts_with("protocol "))
}

/// All protocols in a file, checked; spans count from the beginning of the file.
pub fn protocols(text: &str) -> Vec<Outcome> {
    if is_bare(text) {
        vec![anabranch_dsl::parse_str(text)]
    } else {
        anabranch_dsl::parse_file(text).into_iter().map(|found| found.outcome).collect()
    }
}

/// The protocol that a command is about: the only one in a file, or the one of that name.
pub fn one(path: &Path, text: &str, name: Option<&str>) -> Result<Protocol> {
    let file = path.display();
    let mut found = Vec::new();
    for outcome in protocols(text) {
        match outcome.protocol {
            Some(protocol) => found.push(protocol),
            None => {
                let message =
                    format!("a protocol in {file} has errors\n  help: see `anabranch check {file}`");
                return Err(CommandError { exit: Exit::Violation, message });
            }
        }
    }
    let names = found.iter().map(|p| p.name.clone()).collect::<Vec<_>>().join(", ");
    match (name, found.len()) {
        (_, 0) => Err(CommandError::usage(format!("{file} holds no `protocol!` block"))),
        (None, 1) => Ok(found.remove(0)),
        (None, _) => Err(CommandError::usage(format!(
            "{file} holds several protocols\n  help: choose one with --protocol: {names}"
        ))),
        (Some(name), _) => found.into_iter().find(|p| p.name == name).ok_or_else(|| {
            CommandError::usage(format!("{file} holds no protocol `{name}`\n  help: there is {names}"))
        }),
    }
}
