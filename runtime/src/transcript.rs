//! Tests of protocols as transcripts: a commented script of requests, deliveries, losses, timers and crashes,
//! with the recorded behaviour below each step, for a reviewer to read.
//!
//! ```text
//! # One participant never hears of the transaction.
//! > deploy coordinator=1 participant=2 patience=500ms
//!
//! > request commit("pay") at coordinator.0
//! coordinator.0
//!   m1 prepare(coordinator.0, id1, b"pay") to participant.0
//!   m2 prepare(coordinator.0, id1, b"pay") to participant.1
//!
//! > drop m2
//! > deliver
//! …
//! ```
//!
//! Lines that begin with `> ` are steps, with `#` comments; what stands below a step is what the nodes did.
//! [`check`] runs the steps and compares; with `ANABRANCH_UPDATE=1` in the environment it records instead.
//! Compiled nodes run without network, disk or clock, so a transcript is the same on every machine. Ids,
//! requests and messages are named by order of appearance (`id1`, `r1`, `m1`), and what one tick sends is
//! sorted, since its order means nothing.
//!
//! | step | what it does |
//! |---|---|
//! | `deploy role=3 … param=value …` | begins: makes all nodes; parameters in the notation of deployment files |
//! | `request name(args) at node` | a client's request |
//! | `request r1 at node` | the first request once more |
//! | `deliver` | all messages under way, one at a time and oldest first, until there are none |
//! | `deliver m1 m2 …` | these, one at a time |
//! | `deliver name`, `deliver to node`, `deliver from node` | those under way now that fit, one at a time |
//! | `together …` | the same, but what goes to one node is taken in one tick |
//! | `drop …` | loses messages, chosen as for `deliver` (all, if nothing is said) |
//! | `pass 500ms` | time passes; whatever timer rows are due fire, node by node |
//! | `fire node timer` | all waiting rows of one timer fire, due or not |
//! | `crash node`, `restart node` | the node loses all that is not durable; what is under way stays so |
//! | `show node table` | a table or view |
//! | `waiting node` | timer rows that wait |
//! | `pending` | messages under way |

mod script;
mod text;
mod world;

use anabranch_core::node::Protocol;
use script::{Line, split};
use std::fmt;
use std::path::Path;
use world::World;

/// A step that cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscriptError {
    /// Its line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for TranscriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}
impl std::error::Error for TranscriptError {}

/// Runs a script and gives it back with what the nodes did below each step. What stood there is replaced.
pub fn run(protocol: &'static dyn Protocol, script: &str) -> Result<String, TranscriptError> {
    let mut world = World::new(protocol);
    let mut out = String::new();
    for (number, line) in split(script) {
        match line {
            Line::Keep(text) => out += text,
            Line::Step(text) => {
                let lines = world.step(text).map_err(|message| TranscriptError { line: number, message })?;
                out += &format!("> {text}\n");
                out.extend(lines.into_iter().map(|l| l + "\n"));
                continue;
            }
        }
        out.push('\n');
    }
    Ok(out)
}

/// Runs the script in a file (relative to the package) and panics if the nodes do something else than it
/// says. With `ANABRANCH_UPDATE` set, writes down what they do.
pub fn check(protocol: &'static dyn Protocol, path: impl AsRef<Path>) {
    let path = path.as_ref();
    let shown = path.display();
    let expected = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => panic!("{shown} cannot be read: {error}"),
    };
    let got = match run(protocol, &expected) {
        Ok(text) => text,
        Err(error) => panic!("{shown}: {error}"),
    };
    if got == expected {
        return;
    }
    if std::env::var_os("ANABRANCH_UPDATE").is_some_and(|v| !v.is_empty()) {
        if let Err(error) = std::fs::write(path, got) {
            panic!("{shown} cannot be written: {error}");
        }
        return;
    }
    panic!(
        "{shown} says something else than the nodes do:\n{}\nIf this is as it should be, record it: ANABRANCH_UPDATE=1 cargo test",
        difference(&expected, &got)
    );
}

/// The first lines that differ, with those around them.
fn difference(expected: &str, got: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), got.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[same..], &new[same..]);
    let tail = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let mut out = format!("line {}:\n", same + 1);
    let mut list = |sign: &str, lines: &[&str]| {
        for line in lines.iter().take(12) {
            out += &format!("{sign} {line}\n");
        }
        if lines.len() > 12 {
            out += &format!("{sign} … {} more lines\n", lines.len() - 12);
        }
    };
    list(" ", &old[same.saturating_sub(3)..same]);
    list("-", &old_rest[..old_rest.len() - tail]);
    list("+", &new_rest[..new_rest.len() - tail]);
    out
}
