//! Plans: an ordered list of rewrites with their arguments, and what comes of it.
//!
//! [`file`](mod@file) reads `plan.toml`, [`apply`] carries a plan out step by step, [`emit`](mod@emit) writes the result
//! as Rust and as a deployment, [`auto`](mod@auto) finds a plan where none is given. A cost-based optimizer would stand beside `auto`:
//! it too makes a [`Plan`], which is all that the rest needs.

mod apply;
pub mod auto;
pub mod diff;
pub mod emit;
pub mod file;
#[cfg(test)]
mod tests;
mod traffic;

pub use apply::{Applied, Derivation, Stuck, apply, carry_out};
pub use file::{PlanError, parse};

use std::collections::BTreeMap;
use std::ops::Range;

/// A plan.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// Which protocol it is for; any if absent.
    pub protocol: Option<String>,
    /// The scaled protocol's name.
    pub name: String,
    /// The rewrites, in order.
    pub steps: Vec<Step>,
    /// Sizes of roles in the deployment that is emitted.
    pub roles: BTreeMap<String, Size>,
}

/// How many nodes a role has in the emitted deployment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Size {
    /// Instances; parts have those of their whole.
    pub instances: Option<u32>,
    /// Partitions of each instance.
    pub partitions: Option<u32>,
}

/// One rewrite with its arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// What to do.
    pub rewrite: Rewrite,
    /// Where in the plan's text it stands, in bytes.
    pub place: Range<usize>,
}

/// A rewrite with its arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rewrite {
    /// Gives what rules send an event of its own.
    Naming(crate::Naming),
    /// Moves rules that share nothing with the rest.
    Independent(crate::Cut),
    /// Moves rules that map one fact at a time.
    Functional(crate::Cut),
    /// Moves rules that only accumulate what crosses to them.
    Monotone(crate::Cut),
    /// Moves rules that hear, besides what crosses, only answers to it.
    Echo(crate::Cut),
    /// Moves rules that see whole ticks, in order, and nothing else.
    StateMachine(crate::Cut),
    /// Moves rules, and lets the half that feeds the other wait for it.
    Asymmetric {
        /// What moves.
        cut: crate::Cut,
        /// Admits a feeding half that is neither monotone nor functional.
        general: bool,
    },
    /// Partitions a role by a key.
    Cohash {
        /// The role.
        role: String,
        /// The key, as [`crate::routing::Key`] reads it.
        key: String,
    },
    /// Partitions a role by a key, with a sequencer for what has no key.
    Partial {
        /// The role.
        role: String,
        /// The key, as [`crate::routing::Key`] reads it.
        key: String,
        /// The name of the new part.
        sequencer: String,
    },
}

impl Rewrite {
    /// The rewrite's name, as plans write it.
    pub fn name(&self) -> &'static str {
        match self {
            Rewrite::Naming(_) => "naming",
            Rewrite::Independent(_) => "independent",
            Rewrite::Functional(_) => "functional",
            Rewrite::Monotone(_) => "monotone",
            Rewrite::Echo(_) => "echo",
            Rewrite::StateMachine(_) => "state_machine",
            Rewrite::Asymmetric { .. } => "asymmetric",
            Rewrite::Cohash { .. } => "cohash",
            Rewrite::Partial { .. } => "partial",
        }
    }
    /// The role that it changes.
    pub fn role(&self) -> &str {
        match self {
            Rewrite::Naming(naming) => &naming.role,
            Rewrite::Independent(cut)
            | Rewrite::Functional(cut)
            | Rewrite::Monotone(cut)
            | Rewrite::Echo(cut)
            | Rewrite::StateMachine(cut)
            | Rewrite::Asymmetric { cut, .. } => &cut.role,
            Rewrite::Cohash { role, .. } | Rewrite::Partial { role, .. } => role,
        }
    }
}
