//! What views must store: counts of derivations, rows, or nothing of their own.

use super::closure::{Body, visible};
use crate::ir::AggregateFn as F;
use crate::plan::lower::logical::{Lit, Pat, Rule};
use crate::plan::pipeline::*;
use crate::plan::step::RolePlan;
use crate::plan::types::*;

/// Sets [`ViewStorage`], [`AggregateColumn::each_once`] and [`AggregateColumn::retracts`].
pub(crate) fn decide(plan: &mut RolePlan, rules: &[Rule]) {
    for i in 0..plan.relations.len() {
        let view = RelIx(i as u32);
        let Class::View { kind, .. } = &plan.relations[i].class else { continue };
        let own: Vec<&Rule> = rules.iter().filter(|r| r.state && r.emit.now() == Some(view)).collect();
        let mut kind = kind.clone();
        let storage = match &mut kind {
            ViewKind::Recursive(_) => ViewStorage::Set,
            ViewKind::Counted => counted(plan, view, &own),
            ViewKind::Aggregate(spec) => {
                let [rule] = own[..] else { panic!("an aggregated view has one rule") };
                columns(plan, spec, rule);
                match group_size(plan, view, spec, rule) {
                    Some(storage) => storage,
                    None if spec.merges => ViewStorage::Counts,
                    None => ViewStorage::Set,
                }
            }
        };
        plan.relations[i].class = Class::View { kind, storage };
    }
}

fn counted(plan: &mut RolePlan, view: RelIx, own: &[&Rule]) -> ViewStorage {
    let [rule] = own else {
        return if own.is_empty() { ViewStorage::Set } else { ViewStorage::Counts };
    };
    let known: Vec<Slot> = rule.emit.exprs().into_iter().flat_map(visible).collect();
    let single = Body::of_rule(&plan.relations, rule).determined_by(known);
    let relation = plan.relation(view);
    if single && !relation.probed {
        return ViewStorage::Nothing;
    }
    let direct = !relation.probed_by_deltas && !relation.track.old;
    if let Some(storage) = direct.then(|| projection(plan, rule)).flatten() {
        return storage;
    }
    if single { ViewStorage::Set } else { ViewStorage::Counts }
}

/// The only atom of a body, if it is over a table and has different variables or `_` in all columns.
fn single_atom<'r>(plan: &RolePlan, rule: &'r Rule) -> Option<(RelIx, &'r [Pat])> {
    let [Lit::Atom(atom)] = &rule.body[..] else { return None };
    let mut seen = vec![];
    let plain = atom.cols.iter().all(|p| match p {
        Pat::Wild => true,
        Pat::Var(s) => {
            let first = !seen.contains(s);
            seen.push(*s);
            first
        }
        _ => false,
    });
    let table = matches!(plan.relation(atom.rel).class, Class::Table);
    (plain && table && !atom.negated).then_some((atom.rel, &atom.cols[..]))
}

/// The column that binds a variable.
fn column_of(cols: &[Pat], slot: Slot) -> Option<usize> {
    cols.iter().position(|p| matches!(p, Pat::Var(s) if *s == slot))
}

fn projection(plan: &mut RolePlan, rule: &Rule) -> Option<ViewStorage> {
    let (rel, cols) = single_atom(plan, rule)?;
    let Emit::Row { args, .. } = &rule.emit else { return None };
    let columns: Vec<usize> = (args.iter())
        .map(|e| match e {
            PExpr::Var(s) => column_of(cols, *s),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let index = exact_index(plan, rel, &columns)?;
    Some(ViewStorage::Projection { rel, index, columns })
}

fn columns(plan: &RolePlan, spec: &mut AggregateSpec, rule: &Rule) {
    let Emit::Contribute { group, args, .. } = &rule.emit else { panic!("an aggregate") };
    let retracts = rule.body.iter().any(|lit| match lit {
        Lit::Atom(a) => a.negated || plan.relation(a.rel).removable,
        Lit::Lookup { .. } => true,
        _ => false,
    });
    let body = Body::of_rule(&plan.relations, rule);
    for (f, args) in spec.functions.iter_mut().zip(args) {
        f.retracts = retracts;
        let known = group.iter().copied().chain(args.iter().flat_map(visible));
        f.each_once = f.function == F::CountDistinct && body.determined_by(known);
    }
}

fn group_size(plan: &mut RolePlan, view: RelIx, spec: &AggregateSpec, rule: &Rule) -> Option<ViewStorage> {
    let [function] = &spec.functions[..] else { return None };
    let plain = spec.plain.as_ref()?;
    if spec.merges || !(function.function == F::Count || function.each_once) {
        return None;
    }
    let (rel, cols) = single_atom(plan, rule)?;
    let Emit::Contribute { group, .. } = &rule.emit else { return None };
    let of_group: Vec<usize> = group.iter().map(|s| column_of(cols, *s)).collect::<Option<_>>()?;
    let index = exact_index(plan, rel, &of_group)?;
    let columns = plain.iter().map(|slot| of_group.get(*slot).copied()).collect();
    let relation = plan.relation(view);
    let lags = relation.probed_by_deltas || relation.track.old;
    Some(ViewStorage::GroupSize { rel, index, columns, lags })
}

/// The index on exactly some columns, made if need be; `None` if they are more than the key.
fn exact_index(plan: &mut RolePlan, rel: RelIx, columns: &[usize]) -> Option<IndexIx> {
    let mut sorted = columns.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let relation = &mut plan.relations[rel.index()];
    if sorted.len() != columns.len() {
        return None;
    }
    if let Some(k) = relation.key {
        let has_key = (0..k).all(|c| sorted.contains(&c));
        if has_key && sorted.len() > k {
            return None;
        }
    }
    Some(crate::plan::lower::index_of(relation, sorted))
}
