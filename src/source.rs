//! Reading protocols from files: `protocol!` blocks of Rust files, or the bare text of one protocol.

use crate::exit::{CommandError, Result};
use anabranch_dsl::Outcome;
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
