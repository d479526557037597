//! `anabranch fmt`: lays out `protocol!` blocks.

use crate::args::Fmt;
use crate::exit::{CommandError, Exit, Result};
use crate::source;
use std::io::{Read, Write};
use std::path::Path;

/// Runs the command. Files are written only when all of them can be formatted.
pub fn run(args: &Fmt) -> Result {
    if args.files.iter().any(|f| f == Path::new("-")) {
        return standard_input(args);
    }
    let mut changed = Vec::new();
    let mut wrong = false;
    for file in &args.files {
        let text = source::read(file)?;
        match format(&text) {
            Ok(new) if new != text => changed.push((file, new)),
            Ok(_) => {}
            Err(error) => {
                eprintln!("error: {}: {error}", file.display());
                wrong = true;
            }
        }
    }
    for (file, text) in &changed {
        if args.check {
            println!("{}", file.display());
        } else if !wrong {
            std::fs::write(file, text)
                .map_err(|e| CommandError::failure(format!("{} cannot be written: {e}", file.display())))?;
        }
    }
    Ok(if wrong || (args.check && !changed.is_empty()) { Exit::Violation } else { Exit::Ok })
}

fn standard_input(args: &Fmt) -> Result {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|e| CommandError::failure(format!("standard input cannot be read: {e}")))?;
    match format(&text) {
        Ok(new) if args.check => Ok(if new == text { Exit::Ok } else { Exit::Violation }),
        Ok(new) => {
            std::io::stdout()
                .write_all(new.as_bytes())
                .map_err(|e| CommandError::failure(format!("standard output cannot be written: {e}")))?;
            Ok(Exit::Ok)
        }
        Err(error) => {
            eprintln!("error: standard input: {error}");
            Ok(Exit::Violation)
        }
    }
}

fn format(text: &str) -> std::result::Result<String, anabranch_dsl::fmt::FormatError> {
    if source::is_bare(text) {
        anabranch_dsl::fmt::format_body(text)
    } else {
        anabranch_dsl::fmt::format_file(text)
    }
}
