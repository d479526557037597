//! Facts about a plan that make it cheap to carry out. Each is decided by an analysis of its own; all err on the
//! side of "not known". The executor in the verifier asserts them while it runs.

pub mod closure;
pub mod removable;

use super::pipeline::Emit;
use super::step::RolePlan;
use super::types::Dedup;
use crate::plan::lower::logical::Rule;

/// Decides all facts but `removable`, which lowering itself needs.
pub(crate) fn decide(plan: &mut RolePlan, rules: &[Rule]) {
    for rule in rules {
        match &rule.emit {
            Emit::Send { rel, .. } => {
                plan.sends.insert(*rel, Dedup::Always);
            }
            Emit::Reply { rel, .. } | Emit::Refuse { rel, .. } | Emit::Redirect { rel, .. } => {
                plan.answers.insert(*rel, Dedup::Always);
            }
            _ => {}
        }
    }
}
