//! Facts about a plan that make it cheap to carry out. Each is decided by an analysis of its own; all err on the
//! side of "not known". The executor in the verifier asserts them while it runs.

pub mod closure;
pub mod distinct;
pub mod keys;
pub mod removable;
pub mod storage;

use super::step::RolePlan;
use crate::plan::lower::logical::Rule;

/// Decides all facts but `removable`, which lowering itself needs.
pub(crate) fn decide(plan: &mut RolePlan, rules: &[Rule]) {
    storage::decide(plan, rules);
    keys::of_views(plan, rules);
    keys::decide(plan);
    crate::plan::lower::inline::events(plan);
    keys::of_requests(plan);
    distinct::decide(plan);
}
