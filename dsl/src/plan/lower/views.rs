//! Rules over state: delta pipelines, units of recursive views, and their order.

use super::super::pipeline::*;
use super::super::step::{RecursiveUnit, Standing, Unit};
use super::super::types::*;
use super::builder::Builder;
use super::graph::components;
use super::logical::{Atom, Lit, Pat, Rule};
use super::order::{From, Purpose, pipeline};

/// What is known about views after this stage.
pub struct Views {
    /// Order of release.
    pub units: Vec<Unit>,
    /// Recursive units.
    pub recursive: Vec<RecursiveUnit>,
    /// Pipelines for the beginning.
    pub init: Vec<Pipeline>,
    /// Standing rules.
    pub standing: Vec<Standing>,
}

/// Plans all rules over state. `removable` must have been decided.
pub fn views(b: &mut Builder<'_>) -> Views {
    let rules: Vec<Rule> = b.rules.iter().filter(|r| r.state).cloned().collect();
    let mut needs: Vec<Vec<usize>> = vec![vec![]; b.relations.len()];
    for rule in &rules {
        let head = target(rule).index();
        needs[head].extend(rule.reads().iter().map(|r| r.index()));
    }
    let mut units = vec![];
    let mut recursive = vec![];
    for component in components(&needs) {
        let first = component[0];
        if component.len() > 1 || needs[first].contains(&first) {
            let members: Vec<RelIx> = component.iter().map(|v| RelIx(*v as u32)).collect();
            units.push(Unit::Recursive(recursive.len()));
            recursive.push(unit(b, &rules, members, recursive.len()));
        } else if let Class::View { .. } = b.relations[first].class {
            units.push(Unit::View(RelIx(first as u32)));
        }
    }

    let mut init = vec![];
    for rule in &rules {
        let view = target(rule);
        let recomputed =
            recursive.iter().any(|u: &RecursiveUnit| !u.insert_only && u.members.contains(&view));
        if recomputed {
            continue;
        }
        for body in expand(b, rule) {
            for (at, lit) in body.iter().enumerate() {
                if let Lit::Atom(atom) = lit {
                    let p = pipeline(b, rule, &body, From::Atom(at, Source::Change), Purpose::Delta, 0);
                    b.relations[atom.rel.index()].deltas.push(p);
                }
            }
            if !body.iter().any(|l| matches!(l, Lit::Atom(a) if !a.negated)) {
                init.push(pipeline(b, rule, &body, From::Unit, Purpose::Delta, 0));
            }
        }
    }
    let mut standing = vec![];
    for (rule, table, view) in b.standing.clone() {
        let columns = match b.at(table).key {
            Some(k) => (0..k).collect(),
            None => (0..b.at(table).columns.len()).collect(),
        };
        let index = b.index(view, columns);
        // Deletions from the table probe it in the middle of a phase.
        b.relations[view.index()].probed = true;
        b.relations[view.index()].probed_by_deltas = true;
        b.relations[table.index()].watchers.push(standing.len());
        standing.push(Standing { rule, table, view, index });
    }
    Views { units, recursive, init, standing }
}

/// The view that a rule over state derives.
pub fn target(rule: &Rule) -> RelIx {
    rule.emit.now().expect("a rule over state derives a view")
}

/// The body of a rule with each look-up carried out as a join, in both cases: there is a row under the key, or
/// there is none. At most one of the bodies holds for a binding.
pub fn expand(b: &Builder<'_>, rule: &Rule) -> Vec<Vec<Lit>> {
    let mut bodies: Vec<Vec<Lit>> = vec![vec![]];
    for lit in &rule.body {
        let Lit::Lookup { rel, key, values, result } = lit else {
            bodies.iter_mut().for_each(|body| body.push(lit.clone()));
            continue;
        };
        let key: Vec<Pat> = key.iter().map(|s| Pat::Var(*s)).collect();
        let width = b.at(*rel).columns.len();
        let atom = |negated: bool, rest: Vec<Pat>| {
            let cols = key.iter().cloned().chain(rest).collect();
            Lit::Atom(Atom { rel: *rel, version: Version::Now, negated, cols })
        };
        let found: Vec<Pat> = values.iter().map(|s| Pat::Var(*s)).collect();
        let missing = vec![Pat::Wild; width - key.len()];
        bodies = bodies
            .into_iter()
            .flat_map(|body| {
                let with = |atom: Lit, value: PExpr| {
                    let mut body = body.clone();
                    body.extend([atom, Lit::Let(Pat::Var(*result), value)]);
                    body
                };
                [
                    with(atom(false, found.clone()), PExpr::Found(*rel, values.clone())),
                    with(atom(true, missing.clone()), PExpr::Missing(*rel)),
                ]
            })
            .collect();
    }
    bodies
}

/// Makes a unit of mutually recursive views.
fn unit(b: &mut Builder<'_>, rules: &[Rule], members: Vec<RelIx>, number: usize) -> RecursiveUnit {
    let own: Vec<&Rule> = rules.iter().filter(|r| members.contains(&target(r))).collect();
    let mut insert_only = true;
    for rule in &own {
        for lit in &rule.body {
            match lit {
                Lit::Atom(a) if a.negated || b.at(a.rel).removable => insert_only = false,
                Lit::Lookup { .. } => insert_only = false,
                _ => {}
            }
        }
        if matches!(rule.emit, Emit::Contribute { .. }) {
            panic!("an aggregate depends on itself");
        }
    }
    for view in &members {
        if let Class::View { kind, .. } = &mut b.relations[view.index()].class {
            *kind = ViewKind::Recursive(number);
        }
    }
    let mut unit = RecursiveUnit { members, insert_only, seeds: vec![], steps: vec![] };
    if insert_only {
        return unit;
    }
    for rule in own {
        for body in expand(b, rule) {
            let work = Purpose::Work(unit.members.clone());
            let mut recurs = false;
            for (at, lit) in body.iter().enumerate() {
                let Lit::Atom(atom) = lit else { continue };
                if unit.members.contains(&atom.rel) {
                    if atom.negated {
                        panic!("`{}` depends on its own negation", b.at(atom.rel).name);
                    }
                    recurs = true;
                    let p = pipeline(b, rule, &body, From::Atom(at, Source::Change), work.clone(), 0);
                    unit.steps.push(p);
                } else if !b.at(atom.rel).dirties.contains(&number) {
                    b.relations[atom.rel.index()].dirties.push(number);
                }
            }
            if !recurs {
                unit.seeds.push(pipeline(b, rule, &body, From::Unit, work, 0));
            }
        }
    }
    unit
}
