//! `anabranch graph`: draws a protocol.

use crate::args::{Graph, Picture};
use crate::exit::{CommandError, Exit, Result};
use crate::source;
use std::io::Write;

/// Runs the command.
pub fn run(args: &Graph) -> Result {
    let text = source::read(&args.file)?;
    let file = args.file.display();
    let outcomes = source::protocols(&text);
    let mut found = Vec::new();
    for outcome in &outcomes {
        match &outcome.protocol {
            Some(protocol) => found.push(protocol),
            None => {
                let message =
                    format!("a protocol in {file} has errors\n  help: see `anabranch check {file}`");
                return Err(CommandError { exit: Exit::Violation, message });
            }
        }
    }
    let names: Vec<&str> = found.iter().map(|p| p.name.as_str()).collect();
    let protocol = match (&args.protocol, &found[..]) {
        (_, []) => return Err(CommandError::usage(format!("{file} holds no `protocol!` block"))),
        (None, [one]) => *one,
        (None, _) => {
            let message = format!(
                "{file} holds several protocols\n  help: choose one with --protocol: {}",
                names.join(", ")
            );
            return Err(CommandError::usage(message));
        }
        (Some(name), all) => *all.iter().find(|p| p.name == *name).ok_or_else(|| {
            CommandError::usage(format!(
                "{file} holds no protocol `{name}`\n  help: there is {}",
                names.join(", ")
            ))
        })?,
    };
    let name = args.file.file_name().unwrap_or_default().to_string_lossy();
    let graph = anabranch_dsl::graph::Graph::new(protocol, &name);
    let picture = match args.format {
        Picture::Svg => graph.svg(),
        Picture::Dot => graph.dot(),
        Picture::Mermaid => graph.mermaid(),
    };
    let written = match &args.output {
        Some(path) => {
            std::fs::write(path, picture).map_err(|e| format!("{} cannot be written: {e}", path.display()))
        }
        None => std::io::stdout().write_all(picture.as_bytes()).map_err(|e| format!("standard output: {e}")),
    };
    written.map_err(CommandError::failure).map(|()| Exit::Ok)
}
