//! `anabranch graph`: draws a protocol.

use crate::args::{Graph, Picture};
use crate::exit::{CommandError, Exit, Result};
use crate::source;
use std::io::Write;

/// Runs the command.
pub fn run(args: &Graph) -> Result {
    let text = source::read(&args.file)?;
    let protocol = &source::one(&args.file, &text, args.protocol.as_deref())?;
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
