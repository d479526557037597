//! Which tails give distinct rows, and where equal facts must be looked for.
//!
//! A repeated event does harm only where it shows: a message or answer would leave twice, an aggregate that goes by
//! combinations would count twice. Everything else (tables, deletions) takes repetitions as they come. So the
//! question goes backwards: what must not repeat needs rules that give distinct rows from starts that do not repeat,
//! or else is looked after.

use super::closure::{Body, visible};
use crate::ir;
use crate::plan::lower::aggregate;
use crate::plan::pipeline::*;
use crate::plan::step::{RolePlan, Step};
use crate::plan::types::*;
use std::collections::{BTreeMap, BTreeSet};

/// Something that must or need not be free of repetitions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Target {
    Event(RelIx),
    Send(ir::RelId),
    Answer(ir::RelId),
    /// Contributions that go by combinations.
    Sum(RelIx),
    /// Ids: one per binding, also if an event is there twice.
    Draw,
}

/// A tail that writes a target.
struct Writer {
    distinct: bool,
    /// Events that it starts from or probes.
    reads: Vec<RelIx>,
}

/// Sets [`Tail::distinct`], [`Relation::dedup`], [`RolePlan::sends`] and [`RolePlan::answers`].
pub(crate) fn decide(plan: &mut RolePlan) {
    let relations = std::mem::take(&mut plan.relations);
    for p in pipelines_mut(&mut plan.steps) {
        for t in 0..p.tails.len() {
            let tail = &p.tails[t];
            let known: Vec<Slot> = tail.emit.exprs().into_iter().flat_map(visible).collect();
            let sets = !matches!(tail.emit, Emit::Contribute { .. });
            let distinct = sets && Body::of_tail(&relations, p, tail).determined_by(known);
            p.tails[t].distinct = distinct;
        }
        fresh(&relations, p);
    }
    plan.relations = relations;

    let mut writers: BTreeMap<Target, Vec<Writer>> = BTreeMap::new();
    let mut recursive: BTreeSet<RelIx> = BTreeSet::new();
    for step in &plan.steps {
        let pipelines: Vec<&Pipeline> = match step {
            Step::Run(all) => all.iter().collect(),
            Step::Fixpoint(fix) => {
                recursive.extend(&fix.members);
                vec![]
            }
            _ => vec![],
        };
        for p in pipelines {
            for tail in &p.tails {
                if let Some(target) = target(plan, &tail.emit) {
                    let writer = Writer { distinct: tail.distinct, reads: events(plan, p, tail) };
                    writers.entry(target).or_default().push(writer);
                }
                if tail_exprs(p, tail).into_iter().any(draws) {
                    let writer = Writer { distinct: true, reads: events(plan, p, tail) };
                    writers.entry(Target::Draw).or_default().push(writer);
                }
                // Rows scheduled for the next tick are a set.
                if let Emit::Next { rel, .. } = &tail.emit
                    && matches!(plan.relation(*rel).class, Class::Event { .. })
                {
                    let writer = Writer { distinct: true, reads: vec![] };
                    writers.entry(Target::Event(*rel)).or_default().push(writer);
                }
            }
        }
    }

    // What must not repeat, from the outside inwards.
    let mut needed: BTreeSet<Target> =
        writers.keys().filter(|t| !matches!(t, Target::Event(_))).copied().collect();
    let mut open: Vec<Target> = needed.iter().copied().collect();
    let mut dedup: BTreeMap<Target, Dedup> = BTreeMap::new();
    while let Some(target) = open.pop() {
        let own = writers.get(&target).map_or(&[][..], Vec::as_slice);
        let (how, passes_on) = match target {
            // Contributions are not looked at: what they come from must not repeat.
            Target::Sum(_) | Target::Draw => (Dedup::Never, true),
            Target::Event(rel) => match &plan.relation(rel).class {
                Class::Input(InputKind::Message) => (Dedup::Always, false),
                Class::Input(_) | Class::MachineOutput(_) => (Dedup::Never, false),
                _ if recursive.contains(&rel) => (Dedup::Always, false),
                class => {
                    let spec = aggregate(class);
                    let apart = spec.is_none_or(|s| !s.merges);
                    let sources = own.len() + usize::from(spec.is_some());
                    by_writers(own, sources, apart)
                }
            },
            _ => by_writers(own, own.len(), true),
        };
        dedup.insert(target, how);
        if passes_on {
            for rel in own.iter().flat_map(|w| &w.reads) {
                if needed.insert(Target::Event(*rel)) {
                    open.push(Target::Event(*rel));
                }
            }
        }
    }

    for i in 0..plan.relations.len() {
        let rel = RelIx(i as u32);
        let how = dedup.get(&Target::Event(rel)).copied().unwrap_or(Dedup::Never);
        let event = crate::plan::lower::is_event(&plan.relations[i].class);
        plan.relations[i].dedup = if event && recursive.contains(&rel) { Dedup::Always } else { how };
    }
    for (target, how) in dedup {
        match target {
            Target::Send(rel) => {
                plan.sends.insert(rel, how);
            }
            Target::Answer(rel) => {
                plan.answers.insert(rel, how);
            }
            _ => {}
        }
    }
}

fn by_writers(own: &[Writer], sources: usize, apart: bool) -> (Dedup, bool) {
    match own.iter().all(|w| w.distinct) && apart {
        false => (Dedup::Always, false),
        true if sources > 1 => (Dedup::BetweenRules, true),
        true => (Dedup::Never, true),
    }
}

fn target(plan: &RolePlan, emit: &Emit) -> Option<Target> {
    use ir::AggregateFn as F;
    Some(match emit {
        Emit::Row { rel, .. } if matches!(plan.relation(*rel).class, Class::Event { .. }) => {
            Target::Event(*rel)
        }
        Emit::Contribute { rel, .. } => {
            let spec = aggregate(&plan.relation(*rel).class)?;
            let by_combination = |f: &AggregateColumn| matches!(f.function, F::Count | F::Sum | F::Collect);
            spec.functions.iter().any(by_combination).then_some(Target::Sum(*rel))?
        }
        Emit::Send { rel, .. } => Target::Send(*rel),
        Emit::Reply { rel, .. } | Emit::Refuse { rel, .. } | Emit::Redirect { rel, .. } => {
            Target::Answer(*rel)
        }
        _ => return None,
    })
}

/// The events that a tail's rows come from.
fn events(plan: &RolePlan, p: &Pipeline, tail: &Tail) -> Vec<RelIx> {
    let mut out = vec![];
    if let Start::Rows { rel, source: Source::All, .. } = &p.start {
        out.push(*rel);
    }
    for op in p.ops.iter().chain(&tail.ops) {
        if let Op::Probe(a) = op
            && !a.once
            && a.version == Version::Now
            && crate::plan::lower::is_event(&plan.relation(a.rel).class)
        {
            out.push(a.rel);
        }
    }
    out
}

/// Marks ids that are drawn once per binding anyway.
fn fresh(relations: &[Relation], p: &mut Pipeline) {
    let decide = |e: &mut PExpr, body: &Body| {
        if let PExpr::Rust(e) = e {
            for hole in &mut e.holes {
                if let Hole::Unique { binding, fresh, .. } = hole {
                    *fresh = body.determined_by(binding.iter().copied());
                }
            }
        }
    };
    // What is drawn on the way is drawn once for all that follows.
    let mut ops = std::mem::take(&mut p.ops);
    for i in 0..ops.len() {
        let body = Body::of_ops(relations, p, &ops[..i], &[]);
        if let Op::If(e) | Op::Let(_, e) | Op::For(_, e) = &mut ops[i] {
            decide(e, &body);
        }
    }
    let mut tails = std::mem::take(&mut p.tails);
    for tail in &mut tails {
        for i in 0..tail.ops.len() {
            let body = Body::of_ops(relations, p, &ops, &tail.ops[..i]);
            if let Op::If(e) | Op::Let(_, e) | Op::For(_, e) = &mut tail.ops[i] {
                decide(e, &body);
            }
        }
        let body = Body::of_ops(relations, p, &ops, &tail.ops);
        tail.emit.exprs_mut().into_iter().for_each(|e| decide(e, &body));
    }
    (p.ops, p.tails) = (ops, tails);
}

fn tail_exprs<'p>(p: &'p Pipeline, tail: &'p Tail) -> Vec<&'p PExpr> {
    let ops = p.ops.iter().chain(&tail.ops).filter_map(|op| match op {
        Op::If(e) | Op::Let(_, e) | Op::For(_, e) => Some(e),
        Op::Probe(_) | Op::Absent(_) => None,
    });
    ops.chain(tail.emit.exprs()).collect()
}

fn draws(e: &PExpr) -> bool {
    matches!(e, PExpr::Rust(e) if e.holes.iter().any(|h| matches!(h, Hole::Unique { .. })))
}

/// All pipelines of phase C.
pub(crate) fn pipelines_mut(steps: &mut [Step]) -> Vec<&mut Pipeline> {
    let mut out = vec![];
    for step in steps {
        match step {
            Step::Run(all) => out.extend(all.iter_mut()),
            Step::Fixpoint(fix) => {
                out.extend(fix.seeds.iter_mut());
                out.extend(fix.deltas.iter_mut().map(|d| &mut d.pipeline));
            }
            _ => {}
        }
    }
    out
}
