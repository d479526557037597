//! Keys of derived events and views: columns that determine the row within a tick.
//!
//! An event that one rule derives inherits functional dependencies from its body: within a tick, every keyed
//! relation is in one state. A table inherits one that outlasts the tick: a `Req` that may not be resent is taken once in
//! an incarnation.

use super::closure::{Body, visible};
use crate::plan::lower::logical::Rule;
use crate::plan::pipeline::*;
use crate::plan::step::{RolePlan, Step};
use crate::plan::types::*;

/// Adds to [`Relation::keys`] of events.
pub(crate) fn decide(plan: &mut RolePlan) {
    let steps = std::mem::take(&mut plan.steps);
    let scheduled: Vec<RelIx> = tails(&steps)
        .filter_map(|(_, t)| match &t.emit {
            Emit::Next { rel, .. } => Some(*rel),
            _ => None,
        })
        .collect();
    for step in &steps {
        // In the order of a tick, so that what a rule reads has its keys already.
        let Step::Run(pipelines) = step else { continue };
        for p in pipelines {
            for tail in &p.tails {
                let Some(rel) = tail.emit.now() else { continue };
                let writers = tails(&steps).filter(|(_, t)| t.emit.now() == Some(rel)).count();
                if writers != 1 || scheduled.contains(&rel) {
                    continue;
                }
                let found = match (&plan.relation(rel).class, &tail.emit) {
                    (Class::Event { aggregate: None }, Emit::Row { args, .. }) => {
                        of_row(&Body::of_tail(&plan.relations, p, tail), args)
                    }
                    (
                        Class::Event { aggregate: Some(spec) },
                        Emit::Contribute { group, args, binding, .. },
                    ) => of_aggregate(spec, group, args, binding),
                    _ => continue,
                };
                add(&mut plan.relations, rel, found);
            }
        }
    }
    plan.steps = steps;
}

/// Adds to [`Relation::keys`] of views that one rule derives. A view over variables has at most one row: its key is empty.
///
/// They hold once the view is up to date, which is when events read it; while changes go through, a row may be there
/// beside the one that it replaces.
pub(crate) fn of_views(plan: &mut RolePlan, rules: &[Rule]) {
    let mut more = true;
    while std::mem::take(&mut more) {
        for i in 0..plan.relations.len() {
            let rel = RelIx(i as u32);
            if !matches!(plan.relation(rel).class, Class::View { .. }) {
                continue;
            }
            let mut writers = rules.iter().filter(|r| r.emit.now() == Some(rel));
            let (Some(rule), None) = (writers.next(), writers.next()) else { continue };
            let Emit::Row { args, .. } = &rule.emit else { continue };
            let mut found = of_row(&Body::of_rule(&plan.relations, rule), args);
            // That all columns determine the row goes without saying.
            found.retain(|key| key.len() < args.len());
            more |= add(&mut plan.relations, rel, found);
        }
    }
}

/// Adds to [`Relation::keys`] of tables with one row per request.
///
/// Only where requests drive the one rule that writes the table, which is not durable: its rows are of one incarnation.
/// One that is redirected, or resent, may come again.
pub(crate) fn of_requests(plan: &mut RolePlan) {
    if tails(&plan.steps).any(|(_, t)| matches!(t.emit, Emit::Redirect { .. })) {
        return;
    }
    for i in 0..plan.relations.len() {
        let rel = RelIx(i as u32);
        let relation = plan.relation(rel);
        let standing = plan.standing.iter().any(|s| s.table == rel);
        if !matches!(relation.class, Class::Table) || relation.durable || standing {
            continue;
        }
        let writes = |t: &Tail| match &t.emit {
            Emit::Row { rel: r, .. } | Emit::Next { rel: r, .. } => *r == rel,
            _ => false,
        };
        let mut writers = tails(&plan.steps).filter(|(_, t)| writes(t));
        let (Some((p, tail)), None) = (writers.next(), writers.next()) else { continue };
        let (Start::Rows { rel: start, source: Source::All, cols }, Emit::Row { args, .. }) =
            (&p.start, &tail.emit)
        else {
            continue;
        };
        let (Class::Input(InputKind::Request { resend: false }), Some(Col::Bind(req))) =
            (&plan.relation(*start).class, cols.first())
        else {
            continue;
        };
        let column = args.iter().position(|a| matches!(a, PExpr::Var(s) if s == req));
        let once = Body::of_tail(&plan.relations, p, tail).determined_by([*req]);
        if let (Some(column), true) = (column, once) {
            add(&mut plan.relations, rel, vec![vec![column]]);
        }
    }
}

/// Adds keys to those of a relation; whether one was not known.
fn add(relations: &mut [Relation], rel: RelIx, found: Vec<Vec<usize>>) -> bool {
    let keys = &mut relations[rel.index()].keys;
    let known = keys.len();
    for key in found {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys.len() > known
}

/// Keys of a head with these columns, over a body.
fn of_row(body: &Body, args: &[PExpr]) -> Vec<Vec<usize>> {
    smallest(args.len(), |columns| body.determined_by(columns.iter().flat_map(|c| visible(&args[*c]))))
}

/// Up to two minimal sets of columns: one that prefers columns to the left, one that prefers those to the right.
fn smallest(width: usize, determines: impl Fn(&[usize]) -> bool) -> Vec<Vec<usize>> {
    let all: Vec<usize> = (0..width).collect();
    if !determines(&all) {
        return vec![];
    }
    let shrink = |order: Vec<usize>| {
        let mut key = all.clone();
        for c in order {
            let without: Vec<usize> = key.iter().copied().filter(|k| *k != c).collect();
            if determines(&without) {
                key = without;
            }
        }
        key
    };
    vec![shrink((0..width).rev().collect()), shrink((0..width).collect())]
}

fn of_aggregate(
    spec: &AggregateSpec,
    group: &[Slot],
    args: &[Vec<PExpr>],
    binding: &[Slot],
) -> Vec<Vec<usize>> {
    let Some(plain) = &spec.plain else { return vec![] };
    if spec.merges {
        return vec![];
    }
    let column = |slot: usize| plain.iter().position(|s| *s == slot);
    let groups: Option<Vec<usize>> = (0..group.len()).map(column).collect();
    if !spec.enumerates {
        return groups.into_iter().collect();
    }
    // `index(x)` gives a group one row for each x: a single one if the group determines x.
    let numbers = || spec.functions.iter().zip(args);
    if numbers().all(|(f, _)| f.function == crate::ir::AggregateFn::IndexBy) {
        let given = numbers().flat_map(|(_, args)| args).flat_map(PExpr::slots).all(|s| group.contains(&s));
        return if given { groups.into_iter().collect() } else { vec![] };
    }
    // `index()` numbers bindings, so the number determines the row; and so does the binding, where it is shown.
    let numbered = spec.functions.iter().position(|f| f.function == crate::ir::AggregateFn::Index);
    let Some(number) = numbered.and_then(|f| column(group.len() + f)) else { return vec![] };
    let mut keys = vec![vec![number]];
    if binding.iter().all(|s| group.contains(s)) && spec.functions.len() == 1 {
        keys.extend(groups);
    }
    keys
}

fn tails(steps: &[Step]) -> impl Iterator<Item = (&Pipeline, &Tail)> {
    let pipelines = steps.iter().flat_map(|step| -> Vec<&Pipeline> {
        match step {
            Step::Run(all) => all.iter().collect(),
            Step::Fixpoint(fix) => fix.seeds.iter().chain(fix.deltas.iter().map(|d| &d.pipeline)).collect(),
            _ => vec![],
        }
    });
    pipelines.flat_map(|p| p.tails.iter().map(move |t| (p, t)))
}
