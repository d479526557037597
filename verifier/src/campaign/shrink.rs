//! Makes a failing program small: takes away rules, literals, declarations and inputs as long as it fails.

use super::run::{Inputs, Maker, Program, Ran, run};
use super::script::Script;
use crate::random::Source;

/// A failing program with its inputs.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The program.
    pub source: Source,
    /// The inputs.
    pub script: Script,
    /// The difference.
    pub difference: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n{}{}\n", self.source, self.script, self.difference)
    }
}

/// The first part of a difference: what kind it is. While shrinking, it may not turn into another kind.
fn kind(difference: &str) -> bool {
    difference.contains("panicked")
}

fn fails(source: &Source, script: &Script, maker: &Maker<'_>, panics: bool) -> Option<Failure> {
    let program = Program::new(&source.to_string()).ok()?;
    let ran: Ran =
        super::run::caught(|| run(&program, Inputs::Script(script), Some(maker), &mut |_, _, _| {})).ok()?;
    let difference = ran.difference?;
    (kind(&difference) == panics).then(|| Failure { source: source.clone(), script: ran.script, difference })
}

/// The smallest failure that taking away one part at a time leads to; at most `attempts` runs.
pub fn shrink(mut failure: Failure, maker: &Maker<'_>, mut attempts: usize) -> Failure {
    let panics = kind(&failure.difference);
    loop {
        let mut better = None;
        // Inputs first: they are cheap, and fewer of them make every later attempt faster.
        'search: {
            for script in failure.script.smaller() {
                if attempts == 0 {
                    return failure;
                }
                attempts -= 1;
                better = fails(&failure.source, &script, maker, panics);
                if better.is_some() {
                    break 'search;
                }
            }
            for source in failure.source.smaller() {
                if attempts == 0 {
                    return failure;
                }
                attempts -= 1;
                better = fails(&source, &failure.script, maker, panics);
                if better.is_some() {
                    break 'search;
                }
            }
        }
        match better {
            Some(smaller) => failure = smaller,
            None => return failure,
        }
    }
}
