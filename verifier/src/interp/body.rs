//! Bodies: all ways to satisfy one.
//!
//! A body is a conjunction. Its positive literals are tried from left to right by nested loops; negated atoms
//! bind nothing and are looked at last, when every variable is bound, so that their place does not matter.
//! The result is a list, not a set: an element for each *combination* of matched rows, because `count()`,
//! `sum` and `collect` go by combinations. An item of a `for` counts as a row, `if` and `let` as nothing.

use super::Program;
use crate::draw::{self, Minter};
use crate::engine::{Facts, Row};
use anabranch_core::node::TickArgs;
use anabranch_core::value::Value;
use anabranch_dsl::ir::*;
use std::collections::{BTreeMap, BTreeSet};

/// The versions of state that are fixed during a tick.
#[derive(Clone, Copy)]
pub struct Versions<'a> {
    /// What `old` reads.
    pub before: &'a Facts,
    /// With `kept`: what `new` compares with.
    pub last: &'a Facts,
    /// With `last`: what `new` compares with.
    pub kept: &'a Facts,
}

/// All versions of state at some point of a tick.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// True so far in this tick, events and instances included.
    pub now: &'a Facts,
    pub before: &'a Facts,
    pub last: &'a Facts,
    pub kept: &'a Facts,
}

/// A tick's arguments.
#[derive(Clone, Copy)]
pub struct Moment {
    pub args: TickArgs,
    pub incarnation: u64,
    pub tick: u64,
}

/// The variables of one combination, in the order in which they were bound.
#[derive(Clone, Debug, Default)]
pub struct Binding<'p> {
    vars: Vec<(&'p str, Value)>,
    /// First column of the first positive event: the routing value of ids.
    key: Option<Value>,
    /// Whether that event was met.
    driven: bool,
}

impl<'p> Binding<'p> {
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.vars.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// Binds a variable, or compares with what it is bound to.
    fn unify(&mut self, name: &'p str, value: &Value) -> bool {
        match self.get(name) {
            Some(bound) => bound == value,
            None => {
                self.vars.push((name, value.clone()));
                true
            }
        }
    }

    /// What a draw in an aggregated head belongs to: the group, by the names of its variables. It has no driving event.
    pub fn of_group(&self, group: &BTreeSet<&str>) -> Binding<'p> {
        let mut vars: Vec<_> = self.vars.iter().filter(|(n, _)| group.contains(n)).cloned().collect();
        vars.sort_by_key(|(n, _)| *n);
        Binding { vars, key: None, driven: true }
    }

    /// The values of all variables.
    pub fn tuple(&self) -> Vec<Value> {
        self.vars.iter().map(|(_, v)| v.clone()).collect()
    }
}

const NO_ROWS: &BTreeSet<Row> = &BTreeSet::new();

pub fn rows_of(facts: &Facts, rel: RelId) -> &BTreeSet<Row> {
    facts.get(&rel).unwrap_or(NO_ROWS)
}

impl Program {
    /// All combinations that satisfy a rule's body.
    ///
    /// If the prefix of an `on` block draws, it is an event of its own that all rules of the block see: its
    /// bindings are a set then, and its expressions count as those of the block's first rule.
    pub fn solve_rule<'p>(&'p self, rule: &'p Rule, world: &World<'_>, moment: Moment) -> Vec<Binding<'p>> {
        let start = vec![Binding::default()];
        match rule.on {
            Some((_, n)) if draws(&rule.body[..n]) => {
                let mut found = self.solve_from(start, &rule.body[..n], world, moment);
                let mut seen = BTreeSet::new();
                found.retain(|b| seen.insert((b.tuple(), b.key.clone())));
                self.solve_from(found, &rule.body[n..], world, moment)
            }
            _ => self.solve_from(start, &rule.body, world, moment),
        }
    }

    /// All combinations that satisfy a body.
    pub fn solve<'p>(&'p self, body: &'p [Literal], world: &World<'_>, moment: Moment) -> Vec<Binding<'p>> {
        self.solve_from(vec![Binding::default()], body, world, moment)
    }

    fn solve_from<'p>(
        &'p self,
        mut found: Vec<Binding<'p>>,
        body: &'p [Literal],
        world: &World<'_>,
        moment: Moment,
    ) -> Vec<Binding<'p>> {
        for literal in body {
            let mut next = Vec::new();
            for binding in &found {
                self.extend(literal, binding, world, moment, &mut next);
            }
            found = next;
        }
        let negated = |l: &'p Literal| match l {
            Literal::Atom(atom) if atom.negated => Some(atom),
            _ => None,
        };
        for atom in body.iter().filter_map(negated) {
            let rows = self.version_rows(atom, world);
            found.retain(|b| !rows.iter().any(|row| self.match_atom(atom, row, b).is_some()));
        }
        found
    }

    /// The ways to go on from a binding through one literal.
    fn extend<'p>(
        &'p self,
        literal: &'p Literal,
        binding: &Binding<'p>,
        world: &World<'_>,
        moment: Moment,
        out: &mut Vec<Binding<'p>>,
    ) {
        match literal {
            Literal::Atom(atom) if atom.negated => out.push(binding.clone()),
            Literal::Atom(atom) => {
                for row in self.version_rows(atom, world) {
                    if let Some(mut found) = self.match_atom(atom, &row, binding) {
                        let event =
                            atom.version == Version::New || self.protocol.relation(atom.rel).is_event();
                        if event && !found.driven {
                            found.driven = true;
                            found.key = routing_value(atom, &row);
                        }
                        out.push(found);
                    }
                }
            }
            Literal::NewJoin(body, _) => {
                // The join is a view of its named variables; `new` is that of its rows.
                let names = names_of(body);
                let project = |now: &Facts| -> BTreeSet<Row> {
                    let world = World { now, ..*world };
                    let value = |b: &Binding<'p>, n: &str| {
                        b.get(n).cloned().expect("a positive join binds its variables")
                    };
                    let found = self.solve(body, &world, moment);
                    found.iter().map(|b| names.iter().map(|n| value(b, n)).collect()).collect()
                };
                let (now, last, kept) = (project(world.now), project(world.last), project(world.kept));
                for row in now.iter().filter(|row| !(last.contains(*row) && kept.contains(*row))) {
                    let mut found = binding.clone();
                    if names.iter().zip(row).all(|(name, value)| found.unify(name, value)) {
                        if !found.driven {
                            found.driven = true;
                            found.key = row.first().cloned();
                        }
                        out.push(found);
                    }
                }
            }
            Literal::If(e) => match self.eval(e, binding, &[], world, moment) {
                Value::Bool(true) => out.push(binding.clone()),
                Value::Bool(false) => {}
                other => panic!("`if` on {other:?}"),
            },
            Literal::Let(pattern, e) => {
                let value = self.eval(e, binding, &[], world, moment);
                out.extend(self.match_pattern(pattern, &value, binding));
            }
            Literal::For(pattern, e) => {
                let Value::List(items) = self.eval(e, binding, &[], world, moment) else {
                    panic!("`for` on no list")
                };
                out.extend(items.iter().filter_map(|item| self.match_pattern(pattern, item, binding)));
            }
        }
    }

    /// The rows that an atom may match, in its version. For `new`, columns matched by `_` are projected out
    /// first: `new r(x, _)` is `new` of a view of all x. In the rows, such columns then hold `()`.
    fn version_rows(&self, atom: &Atom, world: &World<'_>) -> BTreeSet<Row> {
        match atom.version {
            Version::Now => rows_of(world.now, atom.rel).clone(),
            Version::Old => rows_of(world.before, atom.rel).clone(),
            Version::New => {
                let project = |facts| -> BTreeSet<Row> {
                    let column = |(p, v): (&Pattern, &Value)| {
                        if matches!(p, Pattern::Wild(_)) { Value::Unit } else { v.clone() }
                    };
                    rows_of(facts, atom.rel)
                        .iter()
                        .map(|row| atom.args.iter().zip(row).map(column).collect())
                        .collect()
                };
                let (last, kept) = (project(world.last), project(world.kept));
                let carried = |row: &Row| last.contains(row) && kept.contains(row);
                project(world.now).into_iter().filter(|row| !carried(row)).collect()
            }
        }
    }

    fn match_atom<'p>(&'p self, atom: &'p Atom, row: &Row, binding: &Binding<'p>) -> Option<Binding<'p>> {
        let mut found = binding.clone();
        let mut columns = atom.args.iter().zip(row);
        columns.all(|(p, v)| self.unify(p, v, &mut found)).then_some(found)
    }

    fn match_pattern<'p>(
        &'p self,
        pattern: &'p Pattern,
        value: &Value,
        binding: &Binding<'p>,
    ) -> Option<Binding<'p>> {
        let mut found = binding.clone();
        self.unify(pattern, value, &mut found).then_some(found)
    }

    fn unify<'p>(&'p self, pattern: &'p Pattern, value: &Value, binding: &mut Binding<'p>) -> bool {
        match pattern {
            Pattern::Wild(_) => true,
            Pattern::Var(var) => binding.unify(&var.name, value),
            Pattern::Value(e) => {
                let constant = self.leaves.eval(e.leaf.0, &[], &self.env);
                constant.unwrap_or_else(|| panic!("{:?}: no constant", e.place)) == *value
            }
            Pattern::Nested(nested) => {
                let matched = self.leaves.matches(nested.leaf.0, value, &self.env);
                match matched
                    .unwrap_or_else(|| panic!("{:?}: the pattern does not fit {value:?}", nested.place))
                {
                    None => false,
                    Some(values) => {
                        nested.vars.iter().zip(&values).all(|(var, value)| binding.unify(&var.name, value))
                    }
                }
            }
        }
    }

    /// The value of an expression. `results` are those of the aggregates of a head: see [`super::head`].
    pub fn eval(
        &self,
        e: &Expr,
        binding: &Binding<'_>,
        results: &[(LeafId, usize, Value)],
        world: &World<'_>,
        moment: Moment,
    ) -> Value {
        let var = |v: &String| {
            binding.get(v).cloned().unwrap_or_else(|| panic!("{:?}: `{v}` is not bound", e.place))
        };
        let mut values: Vec<Value> = e.vars.iter().map(var).collect();
        for (i, hole) in e.holes.iter().enumerate() {
            values.push(match hole {
                Hole::Lookup { rel, args, .. } => {
                    let key: Vec<Value> =
                        args.iter().map(|e| self.eval(e, binding, results, world, moment)).collect();
                    self.look_up(*rel, &key, world.now)
                }
                Hole::Aggregate(_) => {
                    let own = results.iter().find(|(leaf, hole, _)| (*leaf, *hole) == (e.leaf, i));
                    own.expect("aggregates stand in heads").2.clone()
                }
                // One value per binding of the variables that stand before the expression.
                Hole::Unique => {
                    let minter =
                        Minter::new(self.ids, self.node, moment.incarnation, moment.tick, moment.args.seed);
                    Value::Id(draw::unique(
                        minter,
                        self.drawing(e.leaf),
                        i,
                        &binding.tuple(),
                        binding.key.as_ref(),
                    ))
                }
                Hole::Random => Value::Int(i128::from(draw::random(
                    moment.args.seed,
                    self.drawing(e.leaf),
                    i,
                    &binding.tuple(),
                ))),
                Hole::NowMs => Value::Int(i128::from(moment.args.now_ms)),
            });
        }
        let value = self.leaves.eval(e.leaf.0, &values, &self.env);
        value.unwrap_or_else(|| panic!("{:?}: {:?} cannot be evaluated on {values:?}", e.place, e.tokens))
    }

    /// The number under which an expression draws.
    fn drawing(&self, leaf: LeafId) -> LeafId {
        self.same_draw.get(&leaf).copied().unwrap_or(leaf)
    }

    /// `r[key]`: always of *now*.
    fn look_up(&self, rel: RelId, key: &[Value], now: &Facts) -> Value {
        let row = rows_of(now, rel).iter().find(|row| row.starts_with(key));
        Value::Option(row.map(|row| {
            Box::new(match &row[key.len()..] {
                [value] => value.clone(),
                values => Value::tuple(values.iter().cloned()),
            })
        }))
    }
}

/// What ids inherit from the event that draws them: its first column. Where `new` projects columns out, the
/// first column counts only if a variable stands there.
fn routing_value(atom: &Atom, row: &Row) -> Option<Value> {
    let projects = atom.version == Version::New && atom.args.iter().any(|p| matches!(p, Pattern::Wild(_)));
    match atom.args.first() {
        Some(Pattern::Var(_)) => row.first().cloned(),
        _ if projects => None,
        _ => row.first().cloned(),
    }
}

/// Whether a body draws `unique()` or `random()`.
fn draws(body: &[Literal]) -> bool {
    let mut all = Vec::new();
    exprs_of(body, &mut all);
    all.iter().any(|e| e.holes.iter().any(|h| matches!(h, Hole::Unique | Hole::Random)))
}

/// All expressions of a body, holes' included, in a fixed order.
fn exprs_of<'e>(body: &'e [Literal], out: &mut Vec<&'e Expr>) {
    fn add<'e>(e: &'e Expr, out: &mut Vec<&'e Expr>) {
        out.push(e);
        for hole in &e.holes {
            match hole {
                Hole::Lookup { args, .. } => args.iter().for_each(|e| add(e, out)),
                Hole::Aggregate(a) => a.args.iter().for_each(|e| add(e, out)),
                Hole::Unique | Hole::NowMs | Hole::Random => {}
            }
        }
    }
    for literal in body {
        match literal {
            Literal::If(e) | Literal::Let(_, e) | Literal::For(_, e) => add(e, out),
            Literal::NewJoin(body, _) => exprs_of(body, out),
            Literal::Atom(_) => {}
        }
    }
}

/// By expression in an `on` block's prefix: the same one in the block's first rule. Every rule has its own
/// copy of the prefix, with numbers of its own.
pub fn same_draws(protocol: &Protocol) -> BTreeMap<LeafId, LeafId> {
    let mut first: BTreeMap<GroupId, Vec<&Expr>> = BTreeMap::new();
    let mut same = BTreeMap::new();
    for rule in &protocol.rules {
        if let Some((group, n)) = rule.on {
            let mut own = Vec::new();
            exprs_of(&rule.body[..n], &mut own);
            let first = first.entry(group).or_insert_with(|| own.clone());
            same.extend(own.iter().zip(first.iter()).map(|(own, first)| (own.leaf, first.leaf)));
        }
    }
    same
}

/// The named variables of a body, in order of first appearance.
fn names_of(body: &[Literal]) -> Vec<&str> {
    let mut patterns: Vec<&Pattern> = Vec::new();
    for literal in body {
        match literal {
            Literal::Atom(atom) => patterns.extend(&atom.args),
            Literal::Let(pattern, _) | Literal::For(pattern, _) => patterns.push(pattern),
            Literal::If(_) | Literal::NewJoin(..) => {}
        }
    }
    let mut names: Vec<&str> = Vec::new();
    for pattern in patterns {
        match pattern {
            Pattern::Var(var) => names.push(&var.name),
            Pattern::Nested(nested) => names.extend(nested.vars.iter().map(|v| v.name.as_str())),
            Pattern::Wild(_) | Pattern::Value(_) => {}
        }
    }
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(*name));
    names
}
