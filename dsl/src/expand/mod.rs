//! What scaled protocols say beyond plain rules, put into plain rules.
//!
//! [`expand`] is to be called before plans, code and interpretation; it is the identity on protocols that say nothing of
//! the kind. So far it knows `ordered` messages ([`ordered`]) between nodes that share fate and are not partitioned. What
//! the language can say and nothing carries out yet (`held`, `logged`, `sealed`, `replicated`, other streams) is refused
//! here: to run it as if it were not said would be wrong without a word.

pub mod ordered;

use crate::diag::Diagnostic;
use crate::ir::{Place, Protocol};

/// The same protocol in plain rules. Places are those of the generated text.
///
/// # Errors
/// What does not run yet, each with its place.
pub fn expand(p: &Protocol) -> Result<Protocol, Vec<Diagnostic>> {
    let unknown = unknown(p);
    if !unknown.is_empty() {
        return Err(unknown);
    }
    if p.relations.iter().any(|r| r.delivery.ordered) { ordered::expand(p) } else { Ok(p.clone()) }
}

/// Words that can be written, and that nothing carries out yet.
fn unknown(p: &Protocol) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut refuse = |word: &'static str, place: Place, name: &str, help: &str| {
        let message = format!("`{name}` is {word}, which does not run yet");
        found.push(Diagnostic::error("does-not-run", place.0, message).help(help));
    };
    for role in &p.roles {
        if role.held {
            refuse(
                "held",
                role.place,
                &role.name,
                "it can be written, checked and rewritten, but not compiled",
            );
        }
        if role.sequencer {
            refuse(
                "a sequencer",
                role.place,
                &role.name,
                "partial partitioning writes its sequencer as plain rules",
            );
        }
    }
    for relation in &p.relations {
        if relation.delivery.logged {
            let help = "keep it in a durable table until it is acknowledged, and send it again by a timer";
            refuse("logged", relation.place, &relation.name, help);
        }
        if relation.delivery.sealed {
            refuse(
                "sealed",
                relation.place,
                &relation.name,
                "count the parts, and take them when all are here",
            );
        }
        if relation.replicated {
            refuse(
                "replicated",
                relation.place,
                &relation.name,
                "send its rows to all partitions: `routed to all`",
            );
        }
    }
    found
}

#[cfg(test)]
mod tests {
    /// What would run as if a word had not been said is refused, by that word.
    #[track_caller]
    fn refused(program: &str, words: &[&str]) {
        let outcome = crate::parse_str(program);
        let p = outcome.protocol.unwrap_or_else(|| panic!("{:?}", outcome.diagnostics));
        let errors = super::expand(&p).expect_err("it does not run");
        assert_eq!(errors.len(), words.len(), "{errors:?}");
        for (error, word) in errors.iter().zip(words) {
            assert!(error.message.contains(word), "{} is not about {word}", error.message);
        }
    }

    #[test]
    fn words_that_nothing_carries_out() {
        let rules = "at a { tell(me, x) @ me <~ go(x); } at b { table t(x: u64); t(x) <= tell(_, x); }";
        let program = |role: &str, delivery: &str| {
            format!(
                "protocol p; role a, shares fate; role b of a, shares fate{role}; message go(x: u64) to a; \
                 message tell(from: a, x: u64) to b{delivery}; {rules}"
            )
        };
        refused(&program("", " logged"), &["logged"]);
        refused(&program("", " sealed"), &["sealed"]);
        refused(&program(", sequencer", ""), &["sequencer"]);
        let plain = crate::parse_str(&program("", "")).protocol.expect("a protocol");
        assert_eq!(super::expand(&plain).expect("plain rules run"), plain);
    }
}
