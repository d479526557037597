//! What a role has to do for a request, as far as the rules tell: messages that it sends and takes, and calls of the
//! user's functions, each counted as one. By that [`auto`](super::auto) chooses among cuts.
//!
//! Only what requests lead to counts: what timers alone set off is rare. How often a rule fires, how large a message is
//! and what a function costs are not known here; measuring is left to an optimizer with costs.

use super::auto::INSTANCES;
use crate::Cut;
use crate::analysis::{local_head, sides, walk};
use anabranch_dsl::ir::{Expr, Head, Literal, Pattern, Protocol, RelId, RelationKind, RoleId, Rule, RuleId};
use std::collections::BTreeSet;

/// The relations of a protocol that requests lead to.
pub struct Traffic<'p> {
    p: &'p Protocol,
    live: BTreeSet<RelId>,
    statics: BTreeSet<RelId>,
}

impl<'p> Traffic<'p> {
    /// Follows requests through all rules.
    pub fn of(p: &'p Protocol) -> Traffic<'p> {
        let request = |r: &RelId| matches!(p.relation(*r).kind, RelationKind::Request(_));
        let all = (0..p.relations.len() as u32).map(RelId);
        let mut traffic = Traffic {
            p,
            live: all.filter(request).collect(),
            statics: sides::statics(p).into_iter().collect(),
        };
        loop {
            let before = traffic.live.len();
            for rule in &p.rules {
                let adds = !matches!(rule.head, Head::Delete { .. });
                if let (Some(rel), true) = (rule.head.relation(), adds && traffic.fires(rule)) {
                    traffic.live.insert(rel);
                }
            }
            if traffic.live.len() == before {
                return traffic;
            }
        }
    }

    /// Whether requests lead to a rule: to an event of it, or, if it has none, to anything that it reads.
    fn fires(&self, rule: &Rule) -> bool {
        let all = walk::mentions(rule);
        let driven = all.iter().any(|m| m.drives(self.p));
        all.iter().any(|m| (!driven || m.drives(self.p)) && self.live.contains(&m.rel))
    }

    /// How much a cut takes off its role, less what must cross.
    pub fn saving(&self, cut: &Cut) -> i64 {
        let Some(role) = self.p.roles.iter().position(|r| r.name == cut.role) else { return 0 };
        let role = RoleId(role as u32);
        let moved = self.moved(role, cut);
        let (mut here, mut there) = (BTreeSet::new(), BTreeSet::new());
        let (mut written, mut saving) = (BTreeSet::new(), 0);
        for (id, rule) in self.p.rules_of(role) {
            let side = if moved.contains(&id) { &mut there } else { &mut here };
            side.extend(walk::mentions(rule).iter().map(|m| m.rel));
            if moved.contains(&id) {
                written.extend(local_head(self.p, rule));
                saving += self.work(rule);
            }
        }
        for rel in there.into_iter().filter(|r| self.live.contains(r) && !self.statics.contains(r)) {
            let own = self.p.relation(rel).role == Some(role);
            let input = matches!(self.p.relation(rel).kind, RelationKind::Message | RelationKind::Request(_));
            if input && own && !here.contains(&rel) {
                saving += self.arriving(rel);
            } else if !written.contains(&rel) && own {
                saving -= 1;
            }
        }
        saving
    }

    /// The rules that a cut names.
    fn moved(&self, role: RoleId, cut: &Cut) -> BTreeSet<RuleId> {
        let mut counts = std::collections::BTreeMap::<&str, usize>::new();
        let mut out = BTreeSet::new();
        for (id, rule) in self.p.rules_of(role) {
            let Some(rel) = rule.head.relation() else { continue };
            let full = self.p.relation(rel).name.as_str();
            let name = full.split('.').next().unwrap_or(full);
            let n = counts.entry(name).or_default();
            if cut.heads.iter().any(|m| m.head == name && m.rule.is_none_or(|r| r == *n)) {
                out.insert(id);
            }
            *n += 1;
        }
        out
    }

    fn work(&self, rule: &Rule) -> i64 {
        if !self.fires(rule) {
            return 0;
        }
        let sent = match &rule.head {
            Head::Send { .. } if broadcasts(self.p, rule) => i64::from(INSTANCES),
            Head::Send { .. } | Head::Reply { .. } | Head::Refuse { .. } | Head::Redirect { .. } => 1,
            _ => 0,
        };
        sent + walk::exprs(rule).into_iter().map(calls).sum::<i64>()
    }

    /// How often a message arrives, if every instance that may send it does.
    fn arriving(&self, rel: RelId) -> i64 {
        let several = |id: &RuleId| {
            let rule = &self.p.rules[id.index()];
            self.fires(rule) && !asked(self.p, self.p.family(rule.role))
        };
        if walk::writers(self.p, rel).iter().any(several) { i64::from(INSTANCES) } else { 1 }
    }
}

/// Whether clients call a role or a part of it.
pub fn asked(p: &Protocol, whole: RoleId) -> bool {
    p.relations
        .iter()
        .any(|r| matches!(r.kind, RelationKind::Request(_)) && r.role.is_some_and(|to| p.family(to) == whole))
}

/// Whether a rule sends to all instances of a role.
pub fn broadcasts(p: &Protocol, rule: &Rule) -> bool {
    let Head::Send { to: Expr { var: Some(to), .. }, .. } = &rule.head else { return false };
    rule.body.iter().any(|literal| match literal {
        Literal::Atom(atom) => {
            matches!(p.relation(atom.rel).kind, RelationKind::Instances(_))
                && matches!(&atom.args[..], [Pattern::Var(v)] if v.name == *to)
        }
        _ => false,
    })
}

/// Calls of functions that the user wrote: constructors and associated functions cost next to nothing.
fn calls(e: &Expr) -> i64 {
    crate::cohash::functions(e)
        .iter()
        .filter(|name| !name.contains("::") && !name.starts_with(char::is_uppercase))
        .count() as i64
}
