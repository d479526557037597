//! Rules driven by events, and the order of phase C.

use super::super::pipeline::*;
use super::super::step::{Fixpoint, FixpointDelta, Step, Unit};
use super::super::types::*;
use super::builder::Builder;
use super::fuse::fuse;
use super::graph::components;
use super::logical::{Lit, Rule};
use super::order::{From, Purpose, pipeline};
use super::views::Views;
use crate::ir;

/// Plans all rules driven by events and puts everything in order.
pub fn steps(b: &mut Builder<'_>, views: &Views) -> Vec<Step> {
    let rules = b.rules.clone();
    let count = b.relations.len();
    let machines = b.protocol.machines.len();
    // A machine runs in one step and answers its saves in a later one: saves may depend on its `next`.
    let (machine_run, save) =
        (|m: &ir::MachineId| count + m.index(), |m: &ir::MachineId| count + machines + m.index());
    let mut needs: Vec<Vec<usize>> = vec![vec![]; count + 2 * machines];
    for rule in &rules {
        if let Some(head) = rule.emit.now() {
            needs[head.index()].extend(rule.reads().iter().map(|r| r.index()));
            if let Some(spec) = aggregate(&b.at(head).class) {
                let head = head.index();
                spec.head.iter().for_each(|e| e.lookups(&mut |r| needs[head].push(r.index())));
            }
        }
    }
    for s in &views.standing {
        needs[s.table.index()].push(s.view.index());
    }
    for i in 0..count {
        match &b.relations[i].class {
            Class::MachineInput(m) if b.relations[i].source == Some(b.protocol.machines[m.index()].save) => {
                needs[save(m)].push(i);
            }
            Class::MachineInput(m) => needs[machine_run(m)].push(i),
            Class::MachineOutput(m)
                if b.relations[i].source == Some(b.protocol.machines[m.index()].saved) =>
            {
                needs[i].push(save(m));
            }
            Class::MachineOutput(m) | Class::MachineNext(m) => needs[i].push(machine_run(m)),
            _ => {}
        }
    }
    for m in (0..machines as u32).map(ir::MachineId) {
        needs[save(&m)].push(machine_run(&m));
    }

    let unit_of = |b: &Builder<'_>, v: usize| match &b.relations[v].class {
        Class::View { kind: ViewKind::Recursive(n), .. } => Some(Unit::Recursive(*n)),
        Class::View { .. } => Some(Unit::View(RelIx(v as u32))),
        _ => None,
    };
    let mut steps = vec![];
    for component in components(&needs) {
        let first = component[0];
        let recursive = component.len() > 1 || needs[first].contains(&first);
        if !recursive && first >= count {
            let saves = first >= count + machines;
            let machine = ir::MachineId((first - count - if saves { machines } else { 0 }) as u32);
            if b.protocol.machines[machine.index()].role == b.role {
                steps.push(if saves { Step::Save(machine) } else { Step::Machine(machine) });
            }
            continue;
        }
        if component.iter().any(|v| *v >= count) {
            panic!("a machine's output feeds it within the tick");
        }
        let all_views = component.iter().all(|v| matches!(b.relations[*v].class, Class::View { .. }));
        if all_views {
            steps.extend(unit_of(b, first).map(Step::Release));
            continue;
        }
        if recursive {
            steps.push(Step::Fixpoint(fixpoint(b, &rules, views, &component)));
            continue;
        }
        let rel = RelIx(first as u32);
        let own: Vec<&Rule> = rules.iter().filter(|r| !r.state && r.emit.now() == Some(rel)).collect();
        if !own.is_empty() {
            steps.push(run(b, &own));
        }
        if let Class::Event { aggregate: Some(_) } = b.at(rel).class {
            steps.push(Step::Finish(rel));
        }
        steps.extend((0..views.standing.len()).filter(|s| views.standing[*s].table == rel).map(Step::Stand));
    }
    let sinks: Vec<&Rule> = rules.iter().filter(|r| r.emit.now().is_none()).collect();
    if !sinks.is_empty() {
        steps.push(run(b, &sinks));
    }
    steps
}

/// A step of several rules.
fn run(b: &mut Builder<'_>, rules: &[&Rule]) -> Step {
    let blocks: Vec<Option<ir::GroupId>> = rules.iter().map(|r| r.on.map(|(block, _)| block)).collect();
    let pipelines = rules.iter().map(|r| event_rule(b, r)).collect();
    Step::Run(fuse(pipelines, &blocks))
}

/// The aggregate of a relation.
pub fn aggregate(class: &Class) -> Option<&AggregateSpec> {
    match class {
        Class::Event { aggregate: Some(spec) } => Some(spec),
        Class::View { kind: ViewKind::Aggregate(spec), .. } => Some(spec),
        _ => None,
    }
}

/// What an evaluation of a rule must do with repeated combinations.
fn purpose(b: &Builder<'_>, rule: &Rule) -> Purpose {
    use ir::AggregateFn as F;
    let by_combination = |rel: RelIx| {
        aggregate(&b.at(rel).class).is_some_and(|spec| {
            spec.functions.iter().any(|f| matches!(f.function, F::Count | F::Sum | F::Collect))
        })
    };
    let count = matches!(rule.emit, Emit::Contribute { rel, .. } if by_combination(rel));
    Purpose::Once { count }
}

/// The atoms that can drive a rule: position, and the rows to start from.
fn drivers(b: &Builder<'_>, rule: &Rule) -> Vec<(usize, Source)> {
    let driver = |(at, lit): (usize, &Lit)| match lit {
        Lit::Atom(a) if a.negated => None,
        Lit::Atom(a) if a.version == Version::New => Some((at, Source::New)),
        Lit::Atom(a) if b.is_event(a.rel) => Some((at, Source::All)),
        _ => None,
    };
    rule.body.iter().enumerate().filter_map(driver).collect()
}

/// One evaluation of a rule, from its first event.
fn event_rule(b: &mut Builder<'_>, rule: &Rule) -> Pipeline {
    let Some((at, source)) = drivers(b, rule).first().copied() else {
        panic!("a rule that sends, schedules or derives an event has no event in its body")
    };
    let purpose = purpose(b, rule);
    let prefix = rule.on.map_or(0, |(_, n)| n);
    pipeline(b, rule, &rule.body, From::Atom(at, source), purpose, prefix)
}

fn fixpoint(b: &mut Builder<'_>, rules: &[Rule], views: &Views, component: &[usize]) -> Fixpoint {
    let members: Vec<RelIx> = component.iter().map(|v| RelIx(*v as u32)).collect();
    let mut seeds = vec![];
    let mut deltas = vec![];
    for rule in rules.iter().filter(|r| !r.state && r.emit.now().is_some_and(|h| members.contains(&h))) {
        if matches!(rule.emit, Emit::Contribute { .. }) {
            panic!("an aggregate depends on itself");
        }
        // If a member event drives the rule, all its rows come through the queue.
        let candidates = drivers(b, rule);
        let rel_at = |at: usize| match &rule.body[at] {
            Lit::Atom(a) => a.rel,
            _ => unreachable!("drivers are atoms"),
        };
        let queued =
            |(at, source): &(usize, Source)| *source == Source::All && members.contains(&rel_at(*at));
        if !candidates.iter().any(queued) {
            seeds.push(event_rule(b, rule));
        }
        for (at, lit) in rule.body.iter().enumerate() {
            let Lit::Atom(atom) = lit else { continue };
            if !members.contains(&atom.rel) || atom.version == Version::Old {
                continue;
            }
            if atom.negated {
                panic!("`{}` depends on its own negation", b.at(atom.rel).name);
            }
            let from = From::Atom(at, Source::Change);
            let p = pipeline(b, rule, &rule.body, from, Purpose::Once { count: false }, 0);
            deltas.push(FixpointDelta { rel: atom.rel, new: atom.version == Version::New, pipeline: p });
        }
    }
    let inside = |u: &Unit| match u {
        Unit::View(v) => members.contains(v),
        Unit::Recursive(n) => members.contains(&views.recursive[*n].members[0]),
    };
    let units = views.units.iter().copied().filter(inside).collect();
    let standing =
        (0..views.standing.len()).filter(|s| members.contains(&views.standing[*s].table)).collect();
    Fixpoint { members, seeds, deltas, units, standing }
}
