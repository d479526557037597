//! Which state relations can ever lose a row.
//!
//! A table can if a rule deletes from it, if `<+` replaces (keyed), or if a column merges. A view can if
//! something that it reads can, or if it reads an absence, a look-up or an aggregate.

use crate::ir::RuleId;
use crate::plan::lower::logical::{Lit, Rule};
use crate::plan::pipeline::Emit;
use crate::plan::types::{Class, RelIx, Relation};

/// Sets [`Relation::removable`].
pub(crate) fn decide(relations: &mut [Relation], rules: &[Rule], standing: &[(RuleId, RelIx, RelIx)]) {
    for rule in rules {
        match &rule.emit {
            Emit::Delete { rel, .. } => relations[rel.index()].removable = true,
            Emit::Next { rel, .. } => {
                let relation = &mut relations[rel.index()];
                relation.removable |= relation.key.is_some();
            }
            Emit::Row { rel, .. } => {
                let relation = &mut relations[rel.index()];
                relation.removable |= relation.columns.iter().any(|c| c.lattice.is_some());
            }
            Emit::Contribute { rel, .. } => relations[rel.index()].removable = true,
            _ => {}
        }
    }
    for (_, table, _) in standing {
        let relation = &mut relations[table.index()];
        relation.removable |= relation.columns.iter().any(|c| c.lattice.is_some());
    }
    for relation in relations.iter_mut() {
        relation.removable |= matches!(relation.class, Class::MachineNext(_));
    }
    loop {
        let mut changed = false;
        for rule in rules.iter().filter(|r| r.state) {
            let Some(view) = rule.emit.now() else { continue };
            let retracts = rule.body.iter().any(|lit| match lit {
                Lit::Atom(a) if a.negated => !matches!(relations[a.rel.index()].class, Class::Instances(_)),
                Lit::Atom(a) => relations[a.rel.index()].removable,
                Lit::Lookup { .. } => true,
                _ => false,
            });
            if retracts && !relations[view.index()].removable {
                relations[view.index()].removable = true;
                changed = true;
            }
        }
        if !changed {
            return;
        }
    }
}
