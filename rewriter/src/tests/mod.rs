//! Rewrites on whole programs: what fires, what is refused where, what comes out.

mod asymmetric;
mod cuts;
mod echo;
mod functional;
mod independent;
mod monotone;
mod naming;
mod state_machine;
mod two_pc;

use crate::{Outcome, Rewritten};
use anabranch_dsl::ir::Protocol;
use anabranch_dsl::print::print;

/// The checked protocol of a text.
pub(crate) fn parse(text: &str) -> Protocol {
    let outcome = anabranch_dsl::parse_str(text);
    let errors: Vec<String> = outcome.diagnostics.iter().map(|d| d.to_string()).collect();
    outcome.protocol.unwrap_or_else(|| panic!("{}", errors.join("\n")))
}

/// A protocol of the library.
pub(crate) fn shipped(name: &str) -> Protocol {
    let path = format!("{}/../protocols/src/{name}/mod.rs", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("a protocol of the library");
    let found = anabranch_dsl::parse_file(&text);
    found.into_iter().next().expect("a protocol").outcome.protocol.expect("a right one")
}

/// The rewritten protocol; what comes out must be a protocol whose text says all of it.
#[track_caller]
pub(crate) fn fires(outcome: Outcome) -> Rewritten {
    let rewritten = outcome.unwrap_or_else(|r| panic!("refused: {}\n{}", r.item, r.diagnostic));
    let again = parse(&print(&rewritten.protocol));
    assert_eq!(again, rewritten.protocol, "printing loses something");
    rewritten
}

/// The text of one part of a protocol: its `at` block.
pub(crate) fn block(rewritten: &Rewritten, role: &str) -> String {
    let text = print(&rewritten.protocol);
    let start = text.find(&format!("at {role} {{")).unwrap_or_else(|| panic!("no block of {role}:\n{text}"));
    let end = text[start..].find("\n}\n").expect("a block ends");
    text[start..start + end + 2].to_string()
}

/// Refuses, for an item, at a place of the text.
#[track_caller]
pub(crate) fn refuses(text: &str, outcome: Outcome, item: &str, at: &str) {
    let refusal = match outcome {
        Ok(rewritten) => panic!("not refused:\n{}", print(&rewritten.protocol)),
        Err(refusal) => refusal,
    };
    let start = refusal.diagnostic.primary.0.start();
    let line = text.lines().nth(start.line - 1).expect("a line of the text");
    let found: String = line.chars().skip(start.column).collect();
    let right = refusal.item.to_string() == item && found.starts_with(at);
    assert!(right, "expected {item} at `{at}`, found {} at `{found}`\n{}", refusal.item, refusal.diagnostic);
    assert!(
        !refusal.diagnostic.message.is_empty() && refusal.diagnostic.help.is_some(),
        "{}",
        refusal.diagnostic
    );
}

/// What was assumed, line by line.
pub(crate) fn assumed(rewritten: &Rewritten) -> Vec<String> {
    rewritten.justification.assumptions.iter().map(|a| a.to_string()).collect()
}
