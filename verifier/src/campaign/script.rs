//! What happens to a node: inputs in macro-steps, and crashes. By names, so that a script still fits a program
//! from which parts were taken away.

use crate::engine::{Facts, Input, Outcome, Row};
use crate::random::Dice;
use anabranch_core::id::{Id, Req};
use anabranch_core::node::TickArgs;
use anabranch_core::value::Value;
use anabranch_dsl::ir::{Protocol, RelId, RelationKind};
use std::fmt;

/// A script.
#[derive(Clone, Default, Debug)]
pub struct Script(pub Vec<Step>);

/// A macro-step: a tick with inputs, and deferred ticks after it.
#[derive(Clone, Debug)]
pub struct Step {
    /// Messages and requests by name.
    pub arrived: Vec<(String, Row)>,
    /// Timer rows that fire.
    pub fired: Vec<(String, Row)>,
    /// The clock.
    pub now_ms: u64,
    /// The seed; each deferred tick takes the next number.
    pub seed: u64,
    /// Crash when so many ticks of the macro-step are done, even if more must follow.
    pub crash: Option<usize>,
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            write!(f, "{i}: at {} ms, seed {}:", step.now_ms, step.seed)?;
            for (name, row) in step.arrived.iter().chain(&step.fired) {
                write!(f, " {name}{:?}", Value::tuple(row.iter().cloned()))?;
            }
            if let Some(n) = step.crash {
                write!(f, ", crash after {n}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl Script {
    /// Scripts with one step or one fact less.
    pub fn smaller(&self) -> Vec<Script> {
        let mut all = Vec::new();
        let with = |change: &dyn Fn(&mut Script)| {
            let mut copy = self.clone();
            change(&mut copy);
            copy
        };
        for i in 0..self.0.len() {
            all.push(with(&|s| drop(s.0.remove(i))));
        }
        for i in 0..self.0.len() {
            for k in 0..self.0[i].arrived.len() {
                all.push(with(&|s| drop(s.0[i].arrived.remove(k))));
            }
            for k in 0..self.0[i].fired.len() {
                all.push(with(&|s| drop(s.0[i].fired.remove(k))));
            }
            if self.0[i].crash.is_some() {
                all.push(with(&|s| s.0[i].crash = None));
            }
        }
        all
    }
}

impl Step {
    /// Nothing happens.
    pub fn idle() -> Step {
        Step { arrived: vec![], fired: vec![], now_ms: 0, seed: 0, crash: None }
    }

    /// The input of the first tick. Facts of relations that the program does not have are left out.
    pub fn input(&self, protocol: &Protocol, role: u16) -> Input {
        let mut input = Input::empty(TickArgs { now_ms: self.now_ms, seed: self.seed });
        let add = |into: &mut Facts, facts: &[(String, Row)]| {
            for (name, row) in facts {
                let own = |r: &anabranch_dsl::ir::Relation| {
                    r.name == *name
                        && r.role.is_some_and(|r| r.0 == u32::from(role))
                        && r.columns.len() == row.len()
                };
                if let Some(rel) = protocol.relations.iter().position(own) {
                    into.entry(RelId(rel as u32)).or_default().insert(row.clone());
                }
            }
        };
        add(&mut input.arrived, &self.arrived);
        add(&mut input.fired, &self.fired);
        input
    }
}

/// Draws the next step of a script for a node that stands where `last` left it.
pub fn draw(
    dice: &mut Dice,
    protocol: &Protocol,
    last: Option<&Outcome>,
    number: usize,
    now_ms: u64,
) -> Step {
    let mut arrived = Vec::new();
    let inputs: Vec<&anabranch_dsl::ir::Relation> = (protocol.relations.iter())
        .filter(|r| r.role.is_some_and(|r| r.0 == 0))
        .filter(|r| matches!(r.kind, RelationKind::Message | RelationKind::Request(_)))
        .collect();
    if !inputs.is_empty() {
        for _ in 0..[0, 1, 1, 1, 2, 2, 3, 5][dice.below(8)] {
            let relation = *dice.pick(&inputs);
            // A client never gives two requests one identity.
            let req = 100 * number + arrived.len();
            let row = relation.columns.iter().map(|c| value(dice, &c.ty.0.to_string(), req)).collect();
            arrived.push((relation.name.clone(), row));
        }
    }
    let mut fired = Vec::new();
    for waiting in last.iter().flat_map(|o| &o.waiting) {
        if dice.percent(30) {
            fired.push((protocol.relation(waiting.timer).name.clone(), waiting.row.clone()));
        }
    }
    let crash = dice.percent(7).then(|| dice.within(1, 3));
    Step { arrived, fired, now_ms, seed: dice.word(), crash }
}

/// A value of a type, from a tiny domain.
fn value(dice: &mut Dice, ty: &str, req: usize) -> Value {
    let small = |dice: &mut Dice| Value::Int(dice.below(3) as i128);
    match ty.replace(' ', "").as_str() {
        "u64" => small(dice),
        "bool" => Value::Bool(dice.percent(50)),
        "Option<u64>" => Value::Option(dice.percent(65).then(|| Box::new(small(dice)))),
        "(u64,u64)" => Value::tuple([small(dice), small(dice)]),
        "String" => Value::str(["a", "bc", ""][dice.below(3)]),
        "i64" => Value::Int(dice.below(3) as i128 - 1),
        "Spot" => Value::tuple([small(dice), Value::Addr(0, dice.below(2) as u32)]),
        "node" => Value::Addr(0, dice.below(2) as u32),
        "peer" => Value::Addr(1, dice.below(3) as u32),
        "Id" => Value::Id(Id { route: 0, node: 9, serial: dice.below(2) as u64 }),
        "Req" => Value::Req(Req { session: 1 + dice.below(2) as u64, number: req as u64 }),
        other => panic!("no values of type `{other}` are drawn"),
    }
}
