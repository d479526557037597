//! Every item of every precondition, with a program that satisfies the others and not this one: it is refused there, and if
//! the rewrite is forced the verifier finds the difference, or the entry says why it cannot be seen.
//!
//! `tests/items.rs` judges all entries, and compares the items that they name with those in the rewriter's source.

mod decouple;
mod partition;

use anabranch_core::value::Value;
use anabranch_dsl::diag::Severity;
use anabranch_dsl::ir::{Protocol, RelId, RoleId, Routing};
use anabranch_rewriter::cohash::{cohash, cohash_by, force, force_by};
use anabranch_rewriter::partial::{force_partial, partial};
use anabranch_rewriter::routing::Routings;
use anabranch_rewriter::{Cut, Refusal, cuts};
use anabranch_verifier::equivalence::sample::{Runs, sampled};
use anabranch_verifier::equivalence::{Budget, Compared, Pair, Verdict, exhaustive};
use anabranch_verifier::world::{Call, Scope, System};
use std::sync::Arc;

/// A rewrite of the role `node`.
#[derive(Clone, Copy, Debug)]
pub enum How {
    /// A decoupling: its name, and the heads that move.
    Split(&'static str, &'static [&'static str]),
    /// Co-hashing by a key.
    Cohash(&'static str),
    /// Co-hashing by routings that no key gives: a relation, and the column that it is routed by, or `*` for all.
    Routed(&'static str, &'static str),
    /// Partial partitioning by a key.
    Partial(&'static str),
}

/// What comes of forcing the rewrite.
#[derive(Clone, Copy, Debug)]
pub enum Forced {
    /// The verifier finds the difference within this scope.
    Differs(Small),
    /// It finds none: the item is cautious here, or this world cannot tell; the reason.
    Same(Small, &'static str),
    /// There is nothing to run: why.
    Unbuilt(&'static str),
}

/// A small scope.
#[derive(Clone, Copy, Debug)]
pub struct Small {
    /// What each client asks: request and argument.
    pub clients: &'static [&'static [(&'static str, u64)]],
    /// Crashes.
    pub crashes: u32,
    /// Timer rows that fire while anything else is under way.
    pub timers: u32,
}

/// One entry.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The item: `functional.one-atom`.
    pub item: &'static str,
    /// Declarations and rules of `node`, in the frame of [`Entry::text`]; what comes before a `|||` stands before
    /// the roles' rules.
    pub rules: &'static str,
    /// The rewrite.
    pub how: How,
    /// Where the refusal points.
    pub at: &'static str,
    /// And if it is forced.
    pub forced: Forced,
}

/// Items without an entry, and why.
pub const WITHOUT: &[(&str, &str)] = &[
    ("cut", "says what is no cut: there is nothing to carry out"),
    ("alike", "naming: rules that cannot feed one event; naming changes nothing"),
    ("sends", "naming: heads that no event can stand for"),
    ("grows", "named under the item of the rule that asks"),
    ("event-driven", "the language's checks refuse such programs before any rewrite"),
    ("old", "a rule with `old` and without an event of its own is no program"),
    ("general", "a flag of the plan, which the list of decouplings sets; random programs are split with it"),
    ("held", "partial: a part that waits is split already"),
    ("once", "says that the role is divided already"),
    (
        "column",
        "a fact for the explorer, no rewrite: searches with and without it are compared in `tests/apart.rs`",
    ),
    ("carried", "the same"),
    ("asked", "the same"),
    ("checks", "a fault of the rewriter, reported instead of a panic"),
];

/// All of them.
pub fn all() -> Vec<Entry> {
    decouple::ALL.iter().chain(partition::ALL).copied().collect()
}

/// A scope without faults.
pub(crate) const fn asks(clients: &'static [&'static [(&'static str, u64)]]) -> Small {
    Small { clients, crashes: 0, timers: 0 }
}

impl Small {
    /// The same with crashes.
    pub(crate) const fn crashes(self, crashes: u32) -> Small {
        Small { crashes, ..self }
    }
    /// The same with timer rows that fire early.
    pub(crate) const fn timers(self, timers: u32) -> Small {
        Small { timers, ..self }
    }
}

fn role(p: &Protocol) -> RoleId {
    RoleId(p.roles.iter().position(|r| r.name == "node").expect("a role `node`") as u32)
}

fn routed(p: &Protocol, relation: &str, column: &str) -> Routings {
    if column != "*" {
        return Routings::default().by(p, role(p), relation, column).expect("a relation with such a column");
    }
    let found = p.relations.iter().position(|r| r.name == relation).expect("such a relation");
    Routings([(RelId(found as u32), Routing::All)].into())
}

impl Entry {
    /// The whole program.
    pub fn text(&self) -> String {
        let (before, rules) = self.rules.split_once("|||").unwrap_or(("", self.rules));
        format!(
            "protocol p;\nrole node;\nrole peer;\nrequest a(k: u64) -> (n: u64) at node;\n\
             request b(k: u64) -> (n: u64) at node;\nmessage ping(k: u64) to peer;\nmessage pong(k: u64) to node;\n\
             {before}\nat peer {{ pong(k) @ p <~ ping(k), node(p); }}\nat node {{\n{rules}\n}}\n"
        )
    }

    fn rewrite(&self, p: &Protocol, forced: bool) -> Result<Protocol, Box<Refusal>> {
        match self.how {
            How::Split(name, heads) => {
                let found = cuts::DECOUPLINGS.iter().find(|(n, ..)| *n == name).expect("a decoupling");
                let cut = Cut::new("node", "part", heads);
                (found.1)(p, &if forced { cut.forced() } else { cut }).map(|r| r.protocol)
            }
            How::Cohash(key) if forced => force_by(p, role(p), key),
            How::Cohash(key) => cohash_by(p, role(p), key).map(|r| r.protocol),
            How::Routed(relation, column) => {
                let given = routed(p, relation, column);
                if forced {
                    return Ok(force(p, role(p), &given));
                }
                cohash(p, role(p), &given).map(|r| r.protocol)
            }
            How::Partial(key) if forced => force_partial(p, role(p), key, "order"),
            How::Partial(key) => partial(p, role(p), key, "order").map(|r| r.protocol),
        }
    }

    /// What is wrong with the entry, if anything.
    pub fn judge(&self) -> Result<(), String> {
        let text = self.text();
        let parsed = anabranch_dsl::parse_str(&text);
        if let Some(error) = parsed.diagnostics.iter().find(|d| d.severity == Severity::Error) {
            return Err(format!("is no program: {error}"));
        }
        let p = parsed.protocol.ok_or("is no program")?;
        match self.rewrite(&p, false) {
            Ok(_) => return Err("is not refused".into()),
            Err(refusal) => {
                let start = refusal.diagnostic.primary.0.start();
                let line = text.lines().nth(start.line - 1).unwrap_or_default();
                let found: String = line.chars().skip(start.column).collect();
                if refusal.item.to_string() != self.item || !found.starts_with(self.at) {
                    return Err(format!(
                        "is refused for {} at `{found}`: {}",
                        refusal.item, refusal.diagnostic
                    ));
                }
            }
        }
        match self.forced {
            Forced::Unbuilt(_) => match self.rewrite(&p, true) {
                Ok(derived)
                    if System::of_protocol(Arc::new(derived.clone()), &ones(&derived), true).is_ok() =>
                {
                    Err("can be built and run when forced".into())
                }
                _ => Ok(()),
            },
            Forced::Differs(small) => {
                let compared = self.compare(&p, small)?;
                if compared.verdict.refuted() { Ok(()) } else { Err(format!("no difference: {compared}")) }
            }
            Forced::Same(small, _) => {
                let compared = self.compare(&p, small)?;
                if compared.verdict.matched() { Ok(()) } else { Err(format!("not the same: {compared}")) }
            }
        }
    }

    fn compare(&self, p: &Protocol, small: Small) -> Result<Compared, String> {
        let derived = self.rewrite(p, true).map_err(|r| format!("cannot be forced: {}", r.diagnostic))?;
        let base = System::of_protocol(Arc::new(p.clone()), &ones(p), true)?;
        let mut parts = System::of_protocol(Arc::new(derived.clone()), &ones(&derived), true)?;
        for role in derived.roles.iter().filter(|r| r.partitioned) {
            parts = parts.partitioned(&role.name, 2)?;
        }
        let call = |(request, k): &(&str, u64)| Call {
            request: request.to_string(),
            at: 0,
            args: vec![Value::Int(i128::from(*k))],
        };
        let scope = Scope {
            clients: small.clients.iter().map(|script| script.iter().map(call).collect()).collect(),
            crashes: small.crashes,
            timers: small.timers,
            ..Scope::default()
        };
        let (pair, budget) =
            (Pair { base, derived: parts, scope }, Budget { derived: 100_000, base: 300_000 });
        let compared = exhaustive(&pair, budget)?;
        match compared.verdict {
            // Sequencers come with many states: random runs see further.
            Verdict::NotMatched { .. } => sampled(&pair, Runs { count: 400, ..Runs::default() }, budget),
            _ => Ok(compared),
        }
    }
}

fn ones(p: &Protocol) -> Vec<u32> {
    vec![1; p.roles.len()]
}
