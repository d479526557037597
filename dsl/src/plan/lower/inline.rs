//! Events that need no list: rules that an event drives are carried out where it is derived.
//!
//! If one rule derives an event, each of its rows once, and the rules driven by it read nothing else that changes
//! within a tick, then they may as well run row by row, at once: their heads are written earlier than planned, and whoever
//! reads those waits for the later step anyway. The event's own head stays for those who look on. Nothing is
//! inlined that is recursive, scheduled by `<+`, told to the application, probed, or keyed (a conflict must be noticed
//! first).

use super::super::facts::closure::{Body, visible};
use super::super::pipeline::*;
use super::super::step::{RolePlan, Step};
use super::super::types::*;

/// Where a head stands: step, pipeline, tail.
type At = (usize, usize, usize);

/// Inlines all events that can be.
pub(crate) fn events(plan: &mut RolePlan) {
    for i in 0..plan.relations.len() {
        let event = RelIx(i as u32);
        if let Some(at) = writer(plan, event)
            && read_by_drivers_only(plan, event)
        {
            inline(plan, event, at);
        }
    }
    plan.steps.retain(|s| !matches!(s, Step::Run(all) if all.is_empty()));
}

/// The only head that writes the event, if it gives each row once.
fn writer(plan: &RolePlan, event: RelIx) -> Option<At> {
    let relation = plan.relation(event);
    let plain = matches!(relation.class, Class::Event { aggregate: None });
    if !plain || relation.durable || relation.key.is_some() {
        return None;
    }
    let mut found = None;
    for (s, step) in plan.steps.iter().enumerate() {
        let pipelines = match step {
            Step::Run(all) => all,
            Step::Fixpoint(fix) if fix.members.contains(&event) => return None,
            _ => continue,
        };
        for (p, pipeline) in pipelines.iter().enumerate() {
            for (t, tail) in pipeline.tails.iter().enumerate() {
                let again = match &tail.emit {
                    Emit::Row { rel, .. } if *rel == event => found.replace((s, p, t)).is_some(),
                    Emit::Next { rel, .. } => *rel == event,
                    _ => false,
                };
                if again {
                    return None;
                }
            }
        }
    }
    let (s, p, t) = found?;
    let pipeline = &run(plan, s)[p];
    let tail = &pipeline.tails[t];
    let Emit::Row { args, .. } = &tail.emit else { return None };
    // What is drawn or calculated for the row must be so once: it needs a place that all rules share.
    let alone = pipeline.tails.len() == 1;
    let variables = args.iter().all(|a| matches!(a, PExpr::Var(_)));
    let once = Body::of_tail(&plan.relations, pipeline, tail)
        .determined_by(args.iter().flat_map(visible).collect::<Vec<_>>());
    ((alone || variables) && once).then_some((s, p, t))
}

fn run(plan: &RolePlan, step: usize) -> &[Pipeline] {
    match &plan.steps[step] {
        Step::Run(all) => all,
        _ => &[],
    }
}

fn drives(p: &Pipeline, event: RelIx) -> bool {
    matches!(&p.start, Start::Rows { rel, source: Source::All, .. } if *rel == event)
}

/// Whether all that read the event are rules that it drives, which read nothing else that changes.
fn read_by_drivers_only(plan: &RolePlan, event: RelIx) -> bool {
    let mut drivers = 0;
    let steady = |p: &Pipeline| {
        reads(p).iter().all(|r| matches!(plan.relation(*r).class, Class::Instances(_)))
            && (p.tails.len() == 1 || !p.ops.iter().any(draws))
    };
    for step in &plan.steps {
        let ok = match step {
            Step::Run(all) => all.iter().all(|p| {
                let driver = drives(p, event);
                drivers += usize::from(driver);
                if driver { steady(p) } else { !reads(p).contains(&event) && !starts(p, event) }
            }),
            Step::Fixpoint(fix) => {
                let mut all = fix.seeds.iter().chain(fix.deltas.iter().map(|d| &d.pipeline));
                all.all(|p| !reads(p).contains(&event) && !starts(p, event))
            }
            Step::Finish(rel) => match &plan.relation(*rel).class {
                Class::Event { aggregate: Some(spec) } => !spec.head.iter().any(|e| looks_up(e, event)),
                _ => true,
            },
            _ => true,
        };
        if !ok {
            return false;
        }
    }
    drivers > 0
}

fn starts(p: &Pipeline, event: RelIx) -> bool {
    matches!(&p.start, Start::Rows { rel, .. } if *rel == event)
}

fn looks_up(e: &PExpr, rel: RelIx) -> bool {
    let mut found = false;
    e.lookups(&mut |r| found |= r == rel);
    found
}

fn draws(op: &Op) -> bool {
    match op {
        Op::If(e) | Op::Let(_, e) | Op::For(_, e) => {
            matches!(e, PExpr::Rust(e) if e.holes.iter().any(|h| matches!(h, Hole::Unique { .. })))
        }
        Op::Probe(_) | Op::Absent(_) => false,
    }
}

/// What a pipeline reads besides its start.
fn reads(p: &Pipeline) -> Vec<RelIx> {
    let mut out = vec![];
    let col = |c: &Col, out: &mut Vec<RelIx>| {
        if let Col::Check(e) = c {
            e.lookups(&mut |r| out.push(r));
        }
    };
    if let Start::Rows { cols, .. } = &p.start {
        cols.iter().for_each(|c| col(c, &mut out));
    }
    for op in p.ops.iter().chain(p.tails.iter().flat_map(|t| &t.ops)) {
        match op {
            Op::Probe(a) | Op::Absent(a) => {
                out.push(a.rel);
                a.cols.iter().for_each(|c| col(c, &mut out));
            }
            Op::If(e) => e.lookups(&mut |r| out.push(r)),
            Op::Let(c, e) | Op::For(c, e) => {
                col(c, &mut out);
                e.lookups(&mut |r| out.push(r));
            }
        }
    }
    for e in p.tails.iter().flat_map(|t| t.emit.exprs()) {
        e.lookups(&mut |r| out.push(r));
    }
    out
}

/// Moves the rules that an event drives behind its head.
fn inline(plan: &mut RolePlan, event: RelIx, (s, p, t): At) {
    let types: Vec<_> = plan.relation(event).columns.iter().map(|c| (c.name.clone(), c.ty.clone())).collect();
    let mut drivers = vec![];
    for step in &mut plan.steps {
        if let Step::Run(all) = step {
            // The writer's position stays: what an event drives comes after it.
            let (driven, rest) = std::mem::take(all).into_iter().partition(|p| drives(p, event));
            *all = rest;
            drivers.extend::<Vec<Pipeline>>(driven);
        }
    }
    let Step::Run(all) = &mut plan.steps[s] else { unreachable!("the writer is in a run") };
    let writer = &mut all[p];
    if let [tail] = &mut writer.tails[..] {
        writer.ops.append(&mut tail.ops);
        // What is not a variable becomes one.
        let Emit::Row { args, .. } = &mut tail.emit else { unreachable!("the head writes the event") };
        for (arg, (name, ty)) in args.iter_mut().zip(types) {
            if !matches!(arg, PExpr::Var(_)) {
                let slot = Slot(writer.vars.len() as u32);
                let place = crate::ir::Place::default();
                writer.vars.push(Variable { name: format!("__{name}{}", slot.0), place, ty });
                writer.ops.push(Op::Let(Col::Bind(slot), std::mem::replace(arg, PExpr::Var(slot))));
            }
        }
    }
    let Emit::Row { args, .. } = &writer.tails[t].emit else { unreachable!("the head writes the event") };
    let values: Vec<Slot> = (args.iter())
        .map(|a| match a {
            PExpr::Var(s) => *s,
            _ => unreachable!("all columns are variables"),
        })
        .collect();
    let before = writer.tails[t].ops.clone();
    for driver in drivers {
        let Start::Rows { cols, .. } = driver.start else { unreachable!("driven by an event") };
        // The driver's variables: those that the event binds are the writer's, the others are new.
        let mut slots: Vec<Option<Slot>> = vec![None; driver.vars.len()];
        for (col, value) in cols.iter().zip(&values) {
            if let Col::Bind(s) = col {
                slots[s.index()] = Some(*value);
            }
        }
        let slots: Vec<Slot> = (slots.into_iter().zip(driver.vars))
            .map(|(known, var)| {
                known.unwrap_or_else(|| {
                    writer.vars.push(var);
                    Slot(writer.vars.len() as u32 - 1)
                })
            })
            .collect();
        let mut renumber = |s: &mut Slot| *s = slots[s.index()];
        let mut ops = before.clone();
        let (checks, binds): (Vec<_>, Vec<_>) =
            cols.into_iter().zip(&values).partition(|(c, _)| matches!(c, Col::Check(_) | Col::Same(_)));
        // What is bound comes first: comparisons may use it.
        for (col, value) in binds.into_iter().chain(checks) {
            let mut col = match col {
                Col::Skip | Col::Bind(_) => continue,
                Col::Same(s) => Col::Check(PExpr::Var(s)),
                col => col,
            };
            col.each_slot_mut(&mut renumber);
            ops.push(Op::Let(col, PExpr::Var(*value)));
        }
        for tail in driver.tails {
            let mut all: Vec<Op> = driver.ops.iter().cloned().chain(tail.ops).collect();
            all.iter_mut().for_each(|op| op.each_slot_mut(&mut renumber));
            let mut emit = tail.emit;
            emit.each_slot_mut(&mut renumber);
            let ops = ops.iter().cloned().chain(all).collect();
            writer.tails.push(Tail { rule: tail.rule, ops, emit, distinct: false });
        }
    }
}
