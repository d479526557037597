//! What clients ask for: random values of the requests' columns, or what the user's generator gives.

use crate::random::Dice;
use anabranch_core::data::Bytes;
use anabranch_core::data::Schema;
use anabranch_core::id::{Id, Req};
use anabranch_core::node::{Layout, Protocol, RequestInfo};
use anabranch_core::value::Value;
use std::sync::Arc;

/// A user's generator: given the number of a request in the run, which request it is, and its arguments.
pub type Generator = dyn Fn(&mut Dice, u32) -> (String, Vec<Value>) + Send + Sync;

/// What clients ask for.
#[derive(Clone)]
pub struct Workload {
    requests: Vec<RequestInfo>,
    layout: Arc<Layout>,
    generator: Option<Arc<Generator>>,
}

impl Workload {
    /// Any request with any arguments. Values come from small domains, so that requests meet; byte strings
    /// are all different, so that they can be told apart.
    pub fn random(protocol: &dyn Protocol, layout: Arc<Layout>) -> Workload {
        Workload { requests: protocol.requests(), layout, generator: None }
    }
    /// What a generator gives.
    pub fn of(protocol: &dyn Protocol, layout: Arc<Layout>, generator: Arc<Generator>) -> Workload {
        Workload { generator: Some(generator), ..Workload::random(protocol, layout) }
    }
    /// Whether the protocol takes requests at all.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// The request with this number: its tag and encoded arguments.
    ///
    /// # Panics
    /// If the user's generator names a request that there is not, or gives arguments that do not fit.
    pub fn draw(&self, protocol: &dyn Protocol, dice: &mut Dice, number: u32) -> (u16, Vec<u8>) {
        let (request, values) = match &self.generator {
            None => {
                let request = dice.pick(&self.requests).clone();
                let values = request
                    .args
                    .iter()
                    .map(|(_, schema)| value(schema, dice, number, &self.layout))
                    .collect();
                (request, values)
            }
            Some(generator) => {
                let (name, values): (String, Vec<Value>) = generator(dice, number);
                let request = self.requests.iter().find(|r| r.name == name);
                let request =
                    request.unwrap_or_else(|| panic!("`{}` has no request `{name}`", protocol.name()));
                assert_eq!(values.len(), request.args.len(), "the number of arguments of `{name}`");
                (request.clone(), values)
            }
        };
        let mut args = Vec::new();
        for ((column, schema), value) in request.args.iter().zip(&values) {
            if let Err(mismatch) = schema.encode(value, &mut args) {
                panic!("argument `{column}` of `{}`: {mismatch}", request.name);
            }
        }
        (request.tag, args)
    }
}

/// A random value of a shape.
pub fn value(schema: &Schema, dice: &mut Dice, number: u32, layout: &Layout) -> Value {
    let mut part = |schema: &Schema| value(schema, dice, number, layout);
    match schema {
        Schema::Unit => Value::Unit,
        Schema::Tuple(items) => Value::tuple(items.iter().map(part)),
        Schema::Struct(_, fields) => Value::tuple(fields.iter().map(|(_, s)| part(s))),
        Schema::Bool => Value::Bool(dice.percent(50)),
        Schema::Int { .. } => Value::Int([0, 1, 1, 2, 3, 4, 5, 7][dice.below(8)]),
        Schema::Str => Value::str(["a", "b", "c", "d"][dice.below(4)]),
        // One in ten says no, where a protocol asks.
        Schema::Bytes if dice.percent(10) => Value::Bytes(Bytes::from(format!("no-{number}"))),
        Schema::Bytes => Value::Bytes(Bytes::from(format!("v{number}"))),
        Schema::Addr(role) => {
            let instances = layout.roles.get(usize::from(*role)).map_or(1, |r| r.instances.max(1));
            Value::Addr(*role, dice.below(instances as usize) as u32)
        }
        Schema::Id => Value::Id(Id { route: 0, node: 0, serial: dice.below(4) as u64 }),
        Schema::Req => Value::Req(Req { session: 1, number: dice.below(4) as u64 }),
        Schema::Option(_) if dice.percent(30) => Value::Option(None),
        Schema::Option(inner) => Value::Option(Some(Box::new(value(inner, dice, number, layout)))),
        Schema::List(inner) => {
            let len = dice.below(3);
            Value::List((0..len).map(|_| value(inner, dice, number, layout)).collect())
        }
        Schema::Enum(_, variants) => {
            let index = dice.below(variants.len());
            let (name, fields) = &variants[index];
            let items = fields.iter().map(|(_, s)| value(s, dice, number, layout)).collect();
            Value::Variant(index as u32, name.as_str().into(), items)
        }
    }
}
