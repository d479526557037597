//! Lowering: from the checked rules of a role to its plan.
//!
//! In this order: rules become logical rules (`logical`) (`translate`, `heads`), what needs it gets hidden
//! relations (`hidden`); it is decided which relations can lose rows ([`super::facts::removable`]); rules over state become
//! delta pipelines (`views`), rules driven by events steps (`steps`); then the analyses in [`super::facts`] fill in what makes
//! the plan cheap to carry out.
//!
//! The program must have passed all checks: what they exclude (unbound variables, unstratified programs) is
//! an assertion here.

mod builder;
mod fuse;
mod graph;
mod heads;
mod hidden;
pub(crate) mod inline;
pub(crate) mod logical;
mod order;
mod slots;
mod steps;
pub(crate) mod translate;
mod views;

pub(crate) use builder::{index_of, is_event};
pub(crate) use steps::aggregate;

use super::facts;
use super::step::RolePlan;
use crate::ir;
use builder::Builder;
use logical::Lit;
use std::collections::BTreeMap;

/// The plan of a role.
///
/// # Panics
/// If the protocol did not pass the checks.
pub fn lower(protocol: &ir::Protocol, role: ir::RoleId) -> RolePlan {
    let mut b = Builder::new(protocol, role);
    b.timers();
    for (id, rule) in protocol.rules_of(role) {
        b.rule(id, rule);
    }
    for rule in b.rules.clone() {
        for lit in &rule.body {
            if let Lit::Atom(a) = lit {
                let track = &mut b.relations[a.rel.index()].track;
                track.new |= a.version == super::Version::New;
                track.old |= a.version == super::Version::Old;
            }
        }
    }
    facts::removable::decide(&mut b.relations, &b.rules, &b.standing);
    let views = views::views(&mut b);
    let steps = steps::steps(&mut b, &views);
    let mut plan = RolePlan {
        role,
        relations: b.relations,
        of: b.of,
        init: views.init,
        units: views.units,
        recursive: views.recursive,
        standing: views.standing,
        steps,
        sends: BTreeMap::new(),
        answers: BTreeMap::new(),
    };
    facts::decide(&mut plan, &b.rules);
    builder::primaries(&mut plan.relations);
    plan
}
