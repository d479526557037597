//! Inputs for protocols whose types only Rust knows: values of a shape, small ones, and often an echo of what the
//! node has shown, so that votes are for transactions that there are and slots are near those in use.
//!
//! Values that no other node of the protocol would ever send come up as well. Then a tick may break, and must do
//! so in all engines.

use super::run::Program;
use super::script::Step;
use crate::engine::Outcome;
use crate::random::Dice;
use anabranch_core::data::Bytes;
use anabranch_core::data::Schema;
use anabranch_core::id::{Id, Req};
use anabranch_core::machine::ErasedMachine;
use anabranch_core::node::{self, Env, Ids, Layout, Leaves, Seat, Setup};
use anabranch_core::value::Value;
use anabranch_dsl::ir::Protocol;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The thunks of a compiled protocol.
struct Thunks(&'static dyn node::Protocol);

impl Leaves for Thunks {
    fn eval(&self, leaf: u32, values: &[Value], env: &Env) -> Option<Value> {
        self.0.leaves().eval(leaf, values, env)
    }
    fn matches(&self, leaf: u32, value: &Value, env: &Env) -> Option<Option<Vec<Value>>> {
        self.0.leaves().matches(leaf, value, env)
    }
    fn machine(&self, machine: u32) -> Option<Box<dyn ErasedMachine>> {
        self.0.leaves().machine(machine)
    }
}

/// A compiled protocol for the interpreters: its text parsed again, its expressions as thunks.
pub fn program(
    descriptor: &'static dyn node::Protocol,
    layout: Layout,
    role: u16,
) -> Result<Program, String> {
    let parsed = anabranch_dsl::parse_str(descriptor.text());
    let protocol = parsed.protocol.ok_or_else(|| format!("{:?}", parsed.diagnostics))?;
    let params = descriptor.params().into_iter();
    let defaults = params.filter_map(|p| Some((p.name.to_string(), p.default?))).collect();
    let setup = Setup {
        layout: Arc::new(layout),
        seat: Seat { role, instance: 0, partition: 0 },
        params: BTreeMap::new(),
        incarnation: 1,
        ids: Ids::Hashed,
    };
    Ok(Program {
        protocol: Arc::new(protocol),
        leaves: Arc::new(Thunks(descriptor)),
        defaults,
        setup,
        bound: None,
    })
}

/// Draws steps.
pub struct Echo {
    dice: Dice,
    left: usize,
    now_ms: u64,
    number: u64,
    /// Messages and requests of the role, with the columns to be drawn; requests begin with their `Req`.
    inputs: Vec<(String, bool, Vec<Schema>)>,
    instances: Vec<u32>,
    seen: VecDeque<Value>,
}

/// How many values are remembered.
const SEEN: usize = 400;

impl Echo {
    /// So many steps for a program's role.
    pub fn new(descriptor: &dyn node::Protocol, program: &Program, dice: Dice, steps: usize) -> Echo {
        let role = program.setup.seat.role;
        let shapes = |columns: Vec<(&str, Schema)>| columns.into_iter().map(|c| c.1).collect::<Vec<_>>();
        let mut inputs = Vec::new();
        for m in descriptor.messages().into_iter().filter(|m| m.role == role) {
            inputs.push((m.name.to_string(), false, shapes(m.columns)));
        }
        for r in descriptor.requests().into_iter().filter(|r| r.role == role) {
            inputs.push((r.name.to_string(), true, shapes(r.args)));
        }
        let instances = program.setup.layout.roles.iter().map(|r| r.instances).collect();
        Echo { dice, left: steps, now_ms: 1000, number: 0, inputs, instances, seen: VecDeque::new() }
    }

    /// The next step for a node that stands where `last` left it; `None` at the end.
    pub fn step(&mut self, protocol: &Protocol, last: Option<&Outcome>) -> Option<Step> {
        self.left = self.left.checked_sub(1)?;
        self.now_ms += self.dice.below(400) as u64;
        for row in last.iter().flat_map(|o| o.facts.values().flatten().chain(o.sent.iter().map(|s| &s.row))) {
            for value in row {
                self.seen.push_back(value.clone());
            }
        }
        while self.seen.len() > SEEN {
            self.seen.pop_front();
        }
        let mut arrived = Vec::new();
        if !self.inputs.is_empty() {
            for _ in 0..[0, 1, 1, 2, 2, 3, 4, 8][self.dice.below(8)] {
                let (name, request, shapes) = self.dice.pick(&self.inputs).clone();
                let mut row: Vec<Value> = Vec::new();
                if request {
                    // A client never gives two requests one identity.
                    self.number += 1;
                    let session = 1 + self.dice.below(2) as u64;
                    row.push(Value::Req(Req { session, number: self.number }));
                }
                row.extend(shapes.iter().map(|shape| self.value(shape, 3)));
                arrived.push((name, row));
            }
        }
        let mut fired = Vec::new();
        for waiting in last.iter().flat_map(|o| &o.waiting) {
            if self.dice.percent(30) {
                fired.push((protocol.relation(waiting.timer).name.clone(), waiting.row.clone()));
            }
        }
        let crash = self.dice.percent(5).then(|| self.dice.within(1, 3));
        Some(Step { arrived, fired, now_ms: self.now_ms, seed: self.dice.word(), crash })
    }

    fn value(&mut self, shape: &Schema, depth: usize) -> Value {
        if self.dice.percent(70) {
            let fits: Vec<&Value> = (self.seen.iter())
                .filter(|v| !matches!(v, Value::Unit) && shape.encode(v, &mut Vec::new()).is_ok())
                .collect();
            if !fits.is_empty() {
                return (*self.dice.pick(&fits)).clone();
            }
        }
        let mut all = |parts: &[(String, Schema)]| -> Vec<Value> {
            parts.iter().map(|(_, part)| self.value(part, depth.saturating_sub(1))).collect()
        };
        match shape {
            Schema::Unit => Value::Unit,
            Schema::Bool => Value::Bool(self.dice.percent(50)),
            Schema::Int { .. } => Value::Int(self.dice.below(5) as i128),
            Schema::Str => Value::str(["a", "b", "key"][self.dice.below(3)]),
            Schema::Bytes => Value::Bytes(Bytes::from_static([&b"no"[..], b"yes", b""][self.dice.below(3)])),
            Schema::Addr(role) => {
                let n = self.instances[usize::from(*role)];
                Value::Addr(*role, self.dice.below(n as usize) as u32)
            }
            Schema::Id => Value::Id(Id { route: 1, node: 9, serial: self.dice.below(3) as u64 }),
            Schema::Req => Value::Req(Req { session: 1, number: self.dice.below(4) as u64 }),
            Schema::Tuple(parts) => {
                Value::tuple(parts.iter().map(|part| self.value(part, depth)).collect::<Vec<_>>())
            }
            Schema::Option(inner) => {
                let some = self.dice.percent(65);
                Value::Option(some.then(|| Box::new(self.value(inner, depth))))
            }
            Schema::List(inner) => {
                let n = if depth == 0 { 0 } else { self.dice.below(3) };
                Value::List((0..n).map(|_| self.value(inner, depth - 1)).collect())
            }
            Schema::Struct(_, fields) => Value::tuple(all(fields)),
            Schema::Enum(_, variants) => {
                let index = self.dice.below(variants.len());
                let (name, fields) = &variants[index];
                let fields: Vec<Value> =
                    fields.iter().map(|(_, part)| self.value(part, depth.saturating_sub(1))).collect();
                Value::Variant(index as u32, name.as_str().into(), fields.into())
            }
        }
    }
}
