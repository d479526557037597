//! Requests to load a protocol with, made from its description alone.
//!
//! Arguments are drawn by their schemas and encoded before the run, so that the load generator spends its time
//! on sending. Addresses are drawn among the instances that exist.

use crate::votes::stream::Random;
use anabranch_core::data::Schema;
use anabranch_core::node::{Layout, Protocol, RequestInfo};
use anabranch_core::value::Value;
use std::fmt;
use std::sync::Arc;

/// Different argument lists per request; a power of two.
const POOL: u64 = 4096;

/// What arguments look like.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Length of `Bytes` and of strings that are not keys.
    pub payload: usize,
    /// How many different integers and strings are drawn.
    pub keys: u64,
    /// Where random numbers start.
    pub seed: u64,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape { payload: 16, keys: 10_000, seed: 1 }
    }
}

/// A request in the mix: its name, its weight, and arguments that are fixed, as text.
#[derive(Clone, Debug)]
pub struct Share {
    /// The request.
    pub request: String,
    /// How often it comes, compared to the others.
    pub weight: u32,
    /// Fixed arguments by name, in the notation of `anabranch call`.
    pub fixed: Vec<(String, String)>,
}

/// Why a workload cannot be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WorkloadError {
    /// The protocol takes no requests.
    NoRequests,
    /// It has no such request; the others are named.
    NoSuchRequest(String, Vec<&'static str>),
    /// The request has no such argument.
    NoSuchArgument(String, String),
    /// A fixed argument cannot be read.
    Malformed(String),
    /// All weights are zero.
    NoWeight,
}

impl fmt::Display for WorkloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WorkloadError::NoRequests => f.write_str("the protocol takes no requests"),
            WorkloadError::NoSuchRequest(name, all) => {
                write!(f, "no request is called `{name}`; there are {}", all.join(", "))
            }
            WorkloadError::NoSuchArgument(request, name) => write!(f, "`{request}` has no argument `{name}`"),
            WorkloadError::Malformed(what) => f.write_str(what),
            WorkloadError::NoWeight => f.write_str("every request has weight 0"),
        }
    }
}
impl std::error::Error for WorkloadError {}

/// One prepared request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prepared {
    /// Its tag.
    pub tag: u16,
    /// Encoded arguments.
    pub args: Vec<u8>,
    /// What the argument that chooses the instance routes by, for requests that have one.
    pub route: Option<u64>,
}

/// Prepared requests, drawn from in turn.
#[derive(Clone, Debug)]
pub struct Workload {
    pool: Arc<[Prepared]>,
}

impl Workload {
    /// Prepares requests. An empty mix stands for the protocol's first request.
    pub fn new(
        protocol: &dyn Protocol,
        layout: &Layout,
        mix: &[Share],
        shape: &Shape,
    ) -> Result<Workload, WorkloadError> {
        let requests = protocol.requests();
        let first = requests.first().ok_or(WorkloadError::NoRequests)?;
        let default = [Share { request: first.name.to_owned(), weight: 1, fixed: Vec::new() }];
        let mix = if mix.is_empty() { &default } else { mix };
        let mut parts = Vec::new();
        for share in mix {
            let Some(info) = requests.iter().find(|r| r.name == share.request) else {
                let all = requests.iter().map(|r| r.name).collect();
                return Err(WorkloadError::NoSuchRequest(share.request.clone(), all));
            };
            parts.push((share.weight, info, fixed(info, share, protocol.roles())?));
        }
        let weight: u64 = parts.iter().map(|p| u64::from(p.0)).sum();
        if weight == 0 {
            return Err(WorkloadError::NoWeight);
        }
        let mut random = Random(shape.seed);
        let pool = (0..POOL).map(|_| {
            let mut at = random.next() % weight;
            let (_, info, fixed) = parts
                .iter()
                .find(|p| match at.checked_sub(u64::from(p.0)) {
                    Some(rest) => {
                        at = rest;
                        false
                    }
                    None => true,
                })
                .expect("the number drawn is below the sum");
            prepare(info, fixed, layout, shape, &mut random)
        });
        Ok(Workload { pool: pool.collect() })
    }

    /// The n-th request; they repeat.
    #[inline]
    pub fn nth(&self, n: u64) -> &Prepared {
        &self.pool[(n % POOL) as usize]
    }
}

fn fixed(info: &RequestInfo, share: &Share, roles: &[&str]) -> Result<Vec<Option<Value>>, WorkloadError> {
    let mut all = vec![None; info.args.len()];
    for (name, text) in &share.fixed {
        let at = info.args.iter().position(|(n, _)| n == name);
        let at = at.ok_or_else(|| WorkloadError::NoSuchArgument(info.name.to_owned(), name.clone()))?;
        let value = info.args[at].1.parse(text, roles);
        all[at] = Some(value.map_err(|e| WorkloadError::Malformed(format!("{name} = {text}: {e}")))?);
    }
    Ok(all)
}

fn prepare(
    info: &RequestInfo,
    fixed: &[Option<Value>],
    layout: &Layout,
    shape: &Shape,
    random: &mut Random,
) -> Prepared {
    let mut args = Vec::new();
    let mut route = None;
    for (i, ((_, schema), fixed)) in info.args.iter().zip(fixed).enumerate() {
        let value = fixed.clone().unwrap_or_else(|| draw(schema, layout, shape, random));
        schema.encode(&value, &mut args).expect("a value drawn or parsed by a schema fits it");
        if info.by == Some(i) {
            route = Some(u64::from(value.route()));
        }
    }
    Prepared { tag: info.tag, args, route }
}

/// A random value of a shape.
pub fn draw(schema: &Schema, layout: &Layout, shape: &Shape, random: &mut Random) -> Value {
    let mut all = |schemas: &mut dyn Iterator<Item = &Schema>| -> Arc<[Value]> {
        schemas.map(|s| draw(s, layout, shape, random)).collect()
    };
    match schema {
        Schema::Unit => Value::Unit,
        Schema::Bool => Value::Bool(random.next() & 1 == 1),
        Schema::Int { signed, bits } => {
            let most = u64::MAX >> (64 - u32::from(*bits).min(64)) >> u32::from(*signed);
            Value::Int(i128::from((random.next() % shape.keys.max(1)) & most))
        }
        Schema::Str => Value::str(&format!("k{}", random.next() % shape.keys.max(1))),
        Schema::Bytes => {
            // The seven lower bits only, so that an application may give a meaning to others.
            let bytes: Vec<u8> = (0..shape.payload).map(|_| random.next() as u8 & 0x7f).collect();
            Value::Bytes(bytes.into())
        }
        Schema::Addr(role) => {
            let instances = layout.roles.get(usize::from(*role)).map_or(1, |r| r.instances.max(1));
            Value::Addr(*role, (random.next() % u64::from(instances)) as u32)
        }
        Schema::Id => Value::Id(anabranch_core::id::Id { route: 0, node: u32::MAX, serial: random.next() }),
        Schema::Req => Value::Req(anabranch_core::id::Req { session: random.next(), number: 1 }),
        Schema::Tuple(items) => Value::Tuple(all(&mut items.iter())),
        Schema::Struct(_, fields) => Value::Tuple(all(&mut fields.iter().map(|f| &f.1))),
        Schema::Option(item) => {
            Value::Option((random.next() & 1 == 1).then(|| Box::new(draw(item, layout, shape, random))))
        }
        Schema::List(item) => {
            let n = random.next() % 4;
            Value::List((0..n).map(|_| draw(item, layout, shape, random)).collect())
        }
        Schema::Enum(_, variants) => {
            let index = (random.next() % variants.len().max(1) as u64) as usize;
            let (name, fields) = &variants[index];
            let fields = fields.iter().map(|f| draw(&f.1, layout, shape, random)).collect();
            Value::Variant(index as u32, name.as_str().into(), fields)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_can_be_encoded_and_is_within_bounds() {
        let int = |signed, bits| Schema::Int { signed, bits };
        let fields = vec![("a".to_owned(), int(false, 8)), ("b".to_owned(), Schema::Addr(1))];
        let schema = Schema::Tuple(vec![
            Schema::Unit,
            Schema::Bool,
            int(true, 8),
            int(false, 128),
            Schema::Str,
            Schema::Bytes,
            Schema::Id,
            Schema::Req,
            Schema::Option(Box::new(Schema::Str)),
            Schema::List(Box::new(int(true, 64))),
            Schema::Struct("S".into(), fields.clone()),
            Schema::Enum("E".into(), vec![("A".into(), vec![]), ("B".into(), fields)]),
        ]);
        let layout = Layout::of(&[1, 3]);
        let mut random = Random(7);
        for keys in [1, 10, 1 << 40] {
            let shape = Shape { payload: 16, keys, seed: 1 };
            for _ in 0..200 {
                let value = draw(&schema, &layout, &shape, &mut random);
                let mut bytes = Vec::new();
                schema.encode(&value, &mut bytes).unwrap();
                let Value::Tuple(items) = &value else { panic!("a tuple was asked for") };
                assert!(matches!(&items[5], Value::Bytes(b) if b.len() == 16));
                assert!(matches!(items[2], Value::Int(n) if (0..128).contains(&n)));
                let Value::Tuple(fields) = &items[10] else { panic!("structs are tuples") };
                assert!(matches!(fields[1], Value::Addr(1, 0..3)));
            }
        }
    }
}
