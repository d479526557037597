//! `anabranch replay`: a counterexample, step by step.

use crate::Protocols;
use crate::args::{Format, Replay};
use crate::deployment::named;
use crate::exit::{CommandError, Exit, Result};
use crate::verify::usual_checks;
use anabranch_verifier::diagram;
use anabranch_verifier::sim::Tester;
use anabranch_verifier::sim::file::Counterexample;
use anabranch_verifier::trace::Detail;
use std::path::Path;

/// Runs the command.
pub fn run(args: &Replay, protocols: &Protocols) -> Result {
    let text = crate::source::read(&args.file)?;
    let wrong = |message: String| CommandError::usage(format!("{}: {message}", args.file.display()));
    let file = Counterexample::parse(&text).map_err(|e| wrong(e.to_string()))?;
    let protocol = named(protocols, &file.protocol)?;
    let (layout, params) = file.deployment(protocol).map_err(|e| wrong(e.to_string()))?;
    let plan = file.plan(protocol).map_err(|e| wrong(e.to_string()))?;
    let tester = Tester::new(protocol, layout, params).map_err(|e| wrong(e.join("\n")))?;
    let tester = usual_checks(protocol).into_iter().fold(tester, Tester::with_check);
    if file.fingerprint != format!("{:016x}", protocol.fingerprint()) {
        eprintln!("note: `{}` has changed since this run was found", file.protocol);
    }
    let (outcome, mut trace) = tester.replay(&plan);
    trace.about.push(format!("found: {}: {}", file.property, file.says.lines().next().unwrap_or_default()));
    if let Some(path) = &args.diagram {
        let html = path.extension().is_some_and(|e| e == "html" || e == "htm");
        let picture = if html { diagram::html(&trace) } else { diagram::svg(&trace) };
        write(path, &picture)?;
        eprintln!("drawn: {}", path.display());
    }
    if let Some(path) = &args.test {
        let protocol = format!("crate::{0}::protocol()", file.protocol);
        write(path, &file.as_test(&protocol, &args.file.display().to_string()))?;
        eprintln!("written: {}", path.display());
    }
    match args.format {
        Format::Json => print!("{}", trace.to_json()),
        Format::Text => {
            let detail = if args.verbose { Detail::Everything } else { Detail::Changes };
            print!("{}", trace.tell(detail));
        }
    }
    match &outcome.violation {
        Some(violation) => {
            eprintln!("\nviolated: {violation}");
            Ok(Exit::Violation)
        }
        None => {
            eprintln!("\nnothing goes wrong in this run any more");
            Ok(Exit::Ok)
        }
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text)
        .map_err(|e| CommandError::failure(format!("{} cannot be written: {e}", path.display())))
}
