//! What `anabranch verify --exhaustive` does: a scope from a few numbers, a search or a comparison, and a text, a JSON
//! object and an exit code for what came of it.
//!
//! Exit codes: 0 passed or matched; 1 a violation or a counterexample; 4 a `sometimes` that never held; 5 incomplete, or
//! not matched within the budget.

use super::search::search;
use super::{Options, Report};
use crate::equivalence::sample::{Runs, sampled};
use crate::equivalence::{Budget, Pair, Verdict, exhaustive};
use crate::world::{Call, Scope, System, World};
use anabranch_core::data::Schema;
use anabranch_core::node::Protocol;
use anabranch_core::value::Value;
use std::collections::BTreeMap;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Instances by role. Others: parts have those of the whole, roles that take requests one, the rest two.
    pub instances: BTreeMap<String, u32>,
    /// Partitions by role. Other partitioned roles have two.
    pub partitions: BTreeMap<String, u32>,
    /// Parameters.
    pub params: BTreeMap<String, Value>,
    /// How many requests there are, dealt out to the clients.
    pub requests: usize,
    /// How many clients.
    pub clients: usize,
    /// At most so many crashes.
    pub crashes: u32,
    /// At most so many timer rows that fire while anything else is under way.
    pub timers: u32,
    /// Timers of which at most so many rows fire in all.
    pub limits: BTreeMap<String, u32>,
    /// How often a client repeats a request that waits while nothing is under way.
    pub repeats: u32,
    /// A tick takes at most so many inputs.
    pub together: usize,
    /// Finds keys, of which one order is followed.
    pub keys: Option<super::keys::Finder>,
    /// Stop after so many states.
    pub max_states: usize,
    /// Stop after so many seconds.
    pub max_seconds: Option<f64>,
    /// Random runs instead of all, for comparisons.
    pub seeds: Option<usize>,
    /// The seed of the first of them.
    pub first_seed: u64,
}

impl Default for Wanted {
    fn default() -> Wanted {
        Wanted {
            instances: BTreeMap::new(),
            partitions: BTreeMap::new(),
            params: BTreeMap::new(),
            requests: 2,
            clients: 2,
            crashes: 0,
            timers: 0,
            limits: BTreeMap::new(),
            repeats: 1,
            together: 1,
            keys: None,
            max_states: 10_000_000,
            max_seconds: None,
            seeds: None,
            first_seed: 0,
        }
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Told {
    /// For people.
    pub text: String,
    /// For programs.
    pub json: serde_json::Value,
    /// 0, 1, 4 or 5.
    pub code: u8,
}

impl Wanted {
    /// A compiled protocol in the wanted size.
    pub fn system(&self, descriptor: &'static dyn Protocol) -> Result<System, String> {
        let parsed =
            anabranch_dsl::parse_str(descriptor.text()).protocol.ok_or("the protocol's text is damaged")?;
        let asked = |name: &str| self.instances.get(name).copied();
        let takes = |role: usize| descriptor.requests().iter().any(|r| usize::from(r.role) == role);
        let sizes = (0..parsed.roles.len()).map(|i| {
            let whole = parsed.family(anabranch_dsl::ir::RoleId(i as u32)).index();
            let member = |r: usize| parsed.family(anabranch_dsl::ir::RoleId(r as u32)).index() == whole;
            let taken = (0..parsed.roles.len()).any(|r| member(r) && takes(r));
            let asked = asked(&parsed.roles[i].name).or(asked(&parsed.roles[whole].name));
            asked.unwrap_or(if taken { 1 } else { 2 })
        });
        for name in self.instances.keys().chain(self.partitions.keys()) {
            if !parsed.roles.iter().any(|r| r.name == *name) {
                return Err(format!("there is no role `{name}`"));
            }
        }
        let sizes: Vec<u32> = sizes.collect();
        let mut system = System::compiled(descriptor, &sizes, self.params.clone())?;
        for role in parsed.roles.iter().filter(|r| r.partitioned) {
            let partitions = self.partitions.get(&role.name).copied().unwrap_or(2);
            system = system.partitioned(&role.name, partitions)?;
        }
        Ok(system)
    }

    /// The clients' scripts: requests of all kinds in turn, with small arguments.
    pub fn scope(&self, descriptor: &dyn Protocol, instances: impl Fn(usize) -> u32) -> Scope {
        let requests = descriptor.requests();
        let mut clients = vec![Vec::new(); self.clients.clamp(1, self.requests.max(1))];
        let places = clients.len();
        for number in 0..self.requests {
            let Some(request) = requests.get(number % requests.len().max(1)) else { break };
            let args = request.args.iter().map(|(_, schema)| sample(schema, number)).collect();
            let at = number as u32 % instances(usize::from(request.role)).max(1);
            clients[number % places].push(Call { request: request.name.into(), at, args });
        }
        Scope {
            clients,
            crashes: self.crashes,
            timers: self.timers,
            limits: self.limits.clone(),
            repeats: self.repeats,
            together: self.together,
            ..Scope::default()
        }
    }

    /// Searches a protocol exhaustively.
    pub fn explore(&self, descriptor: &'static dyn Protocol) -> Result<Told, String> {
        let system = self.system(descriptor)?;
        let layout = system.layout.clone();
        let scope = self.scope(descriptor, |role| layout.roles[role].instances);
        let mut world = World::new(system, scope)?;
        let options = Options {
            keys: self.keys.map(|find| find(&world.system.protocol)).unwrap_or_default(),
            max_states: self.max_states,
            max_seconds: self.max_seconds,
            ..Options::default()
        };
        let report = search(&mut world, &options);
        let mut text = report.to_string();
        for found in report.violations.iter().chain(&report.not_reached) {
            text += &world.story(&found.moves);
        }
        let code = code(&report);
        let names = |all: &[super::Found]| all.iter().map(|f| f.name.clone()).collect::<Vec<_>>();
        let json = serde_json::json!({
            "verdict": match code { 0 => "passed", 1 => "violation", 4 => "vacuous", _ => "incomplete" },
            "states": report.states,
            "transitions": report.transitions,
            "depth": report.depth,
            "divided": report.divided,
            "stopped_by": report.stopped.map(|b| b.to_string()),
            "violations": names(&report.violations),
            "not_reached": names(&report.not_reached),
            "never_held": report.never_held,
            "crashes": report.kinds[2],
        });
        Ok(Told { text, json, code })
    }

    /// Compares a protocol with the one that it was made from.
    pub fn compare(
        &self,
        derived: &'static dyn Protocol,
        base: &'static dyn Protocol,
    ) -> Result<Told, String> {
        let system = self.system(derived)?;
        let mut of_base = self.clone();
        let known = |name: &String| base.roles().contains(&name.as_str());
        of_base.instances.retain(|name, _| known(name));
        of_base.partitions.retain(|name, _| known(name));
        let whole = of_base.system(base)?;
        let layout = whole.layout.clone();
        let scope = self.scope(base, |role| layout.roles[role].instances);
        let pair = Pair { base: whole, derived: system, scope };
        let budget = Budget { derived: self.max_states, base: self.max_states.saturating_mul(3) };
        let compared = match self.seeds {
            Some(count) => sampled(&pair, Runs { seed: self.first_seed, count, ..Runs::default() }, budget)?,
            None => exhaustive(&pair, budget)?,
        };
        let code = compared.verdict.exit_code();
        let json = serde_json::json!({
            "verdict": match &compared.verdict {
                Verdict::Matched => "matched",
                Verdict::NotMatched { .. } => "not matched within the budget",
                Verdict::Counterexample(_) => "counterexample",
            },
            "states": { "base": compared.states.0, "derived": compared.states.1 },
            "histories": { "finite": compared.histories.0, "complete": compared.histories.1 },
        });
        Ok(Told { text: format!("{compared}\n"), json, code })
    }
}

/// The exit code of a search.
pub fn code(report: &Report) -> u8 {
    let wrong = !report.violations.is_empty() || !report.not_reached.is_empty();
    match (wrong, report.stopped) {
        (true, _) => 1,
        (false, Some(_)) => 5,
        (false, None) if !report.never_held.is_empty() => 4,
        (false, None) => 0,
    }
}

/// A small value of a type. Every second payload of bytes begins with `no`, which two-phase commit refuses.
fn sample(schema: &Schema, number: usize) -> Value {
    match schema {
        Schema::Unit => Value::Unit,
        Schema::Bool => Value::Bool(number.is_multiple_of(2)),
        Schema::Int { .. } => Value::Int(number as i128 % 2 + 1),
        Schema::Str => Value::str(["a", "b"][number % 2]),
        Schema::Bytes => Value::Bytes(anabranch_core::data::Bytes::from_static([b"yes", b"no!"][number % 2])),
        Schema::Id => Value::Id(anabranch_core::id::Id { route: 0, node: 0, serial: number as u64 % 2 }),
        Schema::Req => Value::Req(anabranch_core::id::Req { session: 0, number: number as u64 }),
        Schema::Addr(role) => Value::Addr(*role, 0),
        Schema::Tuple(items) => Value::tuple(items.iter().map(|s| sample(s, number))),
        Schema::Struct(_, fields) => Value::tuple(fields.iter().map(|(_, s)| sample(s, number))),
        Schema::Option(item) => Value::Option(Some(Box::new(sample(item, number)))),
        Schema::List(item) => Value::List(vec![sample(item, number)].into()),
        Schema::Enum(_, variants) if variants.is_empty() => Value::Unit,
        Schema::Enum(_, variants) => {
            let place = number % variants.len();
            let (name, fields) = &variants[place];
            // Commands of a store are about one key, else nobody could tell their order.
            let fields: Vec<Value> = fields.iter().map(|(_, s)| sample(s, 0)).collect();
            Value::Variant(place as u32, name.as_str().into(), fields.into())
        }
    }
}
