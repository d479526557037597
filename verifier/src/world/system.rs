//! What runs: a protocol in a layout, with what evaluates it; and how far a search goes.

use super::flow;
use super::intern::Facts;
use crate::compiled::Compiled;
use crate::engine::Engine;
use crate::eval::Closed;
use crate::exec::Exec;
use crate::interp::Interp;
use crate::property::Properties;
use crate::routing;
use anabranch_core::id::Req;
use anabranch_core::node::{self, Env, Ids, Layout, Leaves, NodeIndex, Seat, Setup};
use anabranch_core::value::Value;
use anabranch_dsl::diag::Severity;
use anabranch_dsl::ir::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Makes a node's engine.
type Maker = Arc<dyn Fn(&Setup) -> Box<dyn Engine>>;

/// A protocol in a layout, ready to run.
#[derive(Clone)]
pub struct System {
    /// The rules.
    pub protocol: Arc<Protocol>,
    /// Its expressions.
    pub leaves: Arc<dyn Leaves>,
    /// Instances and partitions.
    pub layout: Arc<Layout>,
    /// All parameters.
    pub params: BTreeMap<String, Value>,
    maker: Maker,
}

/// A request that a client makes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// The request's name.
    pub request: String,
    /// The instance that is asked.
    pub at: u32,
    /// The arguments, without the `Req`.
    pub args: Vec<Value>,
}

/// How far a search goes. All of this is part of what is searched, not a bound that stops the search.
#[derive(Clone, Debug)]
pub struct Scope {
    /// What each client asks, one thing after the other.
    pub clients: Vec<Vec<Call>>,
    /// At most so many crashes.
    pub crashes: u32,
    /// At most so many timer rows fire while anything else is under way.
    pub timers: u32,
    /// Whether timer rows fire once nothing else can happen.
    pub quiet_timers: bool,
    /// Timers, by name, of which at most so many rows fire in all: for those that would go on to new states for ever.
    pub limits: BTreeMap<String, u32>,
    /// How often a client that waits repeats a request (one declared `resend`) when nothing else is under way.
    /// Repeats that were redirected do not count.
    pub repeats: u32,
    /// A tick takes at most so many messages, requests and timer rows.
    pub together: usize,
    /// How many seeds are tried for ticks that `choose`, number or draw at random.
    pub seeds: u32,
    /// Whether the history of requests and replies is part of the state.
    pub histories: bool,
}

impl Default for Scope {
    fn default() -> Scope {
        Scope {
            clients: Vec::new(),
            crashes: 0,
            timers: 0,
            quiet_timers: true,
            limits: BTreeMap::new(),
            repeats: 1,
            together: 1,
            seeds: 1,
            histories: false,
        }
    }
}

/// The expressions of a compiled protocol.
struct Thunks(&'static dyn node::Protocol);

impl Leaves for Thunks {
    fn eval(&self, leaf: u32, values: &[Value], env: &Env) -> Option<Value> {
        self.0.leaves().eval(leaf, values, env)
    }
    fn matches(&self, leaf: u32, value: &Value, env: &Env) -> Option<Option<Vec<Value>>> {
        self.0.leaves().matches(leaf, value, env)
    }
    fn machine(&self, machine: u32) -> Option<Box<dyn anabranch_core::machine::ErasedMachine>> {
        self.0.leaves().machine(machine)
    }
}

/// Parses a text; its first mistake as one line.
fn parse(text: &str) -> Result<Arc<Protocol>, String> {
    let parsed = anabranch_dsl::parse_str(text);
    if let Some(error) = parsed.diagnostics.iter().find(|d| d.severity == Severity::Error) {
        return Err(format!("{}: {}", error.primary.0.start().line, error.message));
    }
    parsed.protocol.map(Arc::new).ok_or_else(|| "no protocol".into())
}

/// A protocol in plain rules, as it is compiled. What is `logged` stays so: this world knows what that means.
///
/// # Errors
/// What is said and does not run yet.
pub fn plain(protocol: Arc<Protocol>) -> Result<Arc<Protocol>, String> {
    let mut rest = (*protocol).clone();
    let mut logged = std::collections::BTreeSet::new();
    for relation in &mut rest.relations {
        if std::mem::take(&mut relation.delivery.logged) {
            logged.insert(relation.name.clone());
        }
    }
    let mut out = anabranch_dsl::expand::expand(&rest)
        .map_err(|all| all.iter().map(|d| d.message.clone()).collect::<Vec<_>>().join("; "))?;
    for relation in out.relations.iter_mut().filter(|r| r.kind == RelationKind::Message) {
        relation.delivery.logged = logged.contains(&relation.name);
    }
    Ok(Arc::new(out))
}

impl System {
    /// A program's text on the reference interpreter. Its expressions must lie in the closed subset of
    /// [`crate::eval`].
    pub fn interpreted(text: &str, instances: &[u32]) -> Result<System, String> {
        System::of_protocol(parse(text)?, instances, false)
    }

    /// The same on the plan executor, which is faster.
    pub fn planned(text: &str, instances: &[u32]) -> Result<System, String> {
        System::of_protocol(parse(text)?, instances, true)
    }

    /// The same with what scaled protocols say beyond plain rules put into those
    /// ([`anabranch_dsl::expand`]), as it is before it is compiled. Otherwise `logged` is an axiom here: a crash takes nothing of it.
    pub fn in_plain_rules(text: &str, instances: &[u32]) -> Result<System, String> {
        let said = parse(text)?;
        let plain = anabranch_dsl::expand::expand(&said).map_err(|errors| errors[0].message.clone())?;
        System::of_protocol(Arc::new(plain), instances, true)
    }

    /// A checked protocol on interpreter or executor. Streams and the like are put into plain rules first.
    pub fn of_protocol(protocol: Arc<Protocol>, instances: &[u32], planned: bool) -> Result<System, String> {
        if instances.len() != protocol.roles.len() {
            return Err(format!("{} roles, but {} sizes", protocol.roles.len(), instances.len()));
        }
        let protocol = plain(protocol)?;
        let closed = Closed::new(&protocol).map_err(|e| e[0].to_string())?;
        let params = closed.defaults();
        let leaves: Arc<dyn Leaves> = Arc::new(closed);
        let layout = Arc::new(Layout::of(instances));
        let (rules, thunks, defaults) = (protocol.clone(), leaves.clone(), params.clone());
        let maker: Maker = if planned {
            Arc::new(move |s| Box::new(Exec::new(rules.clone(), thunks.clone(), s, &defaults)))
        } else {
            Arc::new(move |s| Box::new(Interp::new(rules.clone(), thunks.clone(), s, &defaults)))
        };
        Ok(System { protocol, leaves, layout, params, maker })
    }

    /// Compiled nodes. `params` are those that have no default, or another value.
    pub fn compiled(
        descriptor: &'static dyn node::Protocol,
        instances: &[u32],
        params: BTreeMap<String, Value>,
    ) -> Result<System, String> {
        let protocol = parse(descriptor.text())?;
        if instances.len() != protocol.roles.len() {
            return Err(format!("{} roles, but {} sizes", protocol.roles.len(), instances.len()));
        }
        let layout = Layout::of(instances);
        if let Some(problem) = descriptor.check(&layout, &params).into_iter().next() {
            return Err(problem);
        }
        let defaults = descriptor.params().into_iter().filter_map(|p| Some((p.name.to_string(), p.default?)));
        let mut all: BTreeMap<String, Value> = defaults.collect();
        all.extend(params);
        let rules = protocol.clone();
        let maker: Maker = Arc::new(move |s| Box::new(Compiled::new(rules.clone(), descriptor, s)));
        let leaves = Arc::new(Thunks(descriptor));
        Ok(System { protocol, leaves, layout: Arc::new(layout), params: all, maker })
    }

    /// The same with more partitions of a role.
    pub fn partitioned(mut self, role: &str, partitions: u32) -> Result<System, String> {
        let found = self.protocol.roles.iter().position(|r| r.name == role);
        let place = found.ok_or_else(|| format!("there is no role `{role}`"))?;
        let mut layout = (*self.layout).clone();
        layout.roles[place].partitions = partitions.max(1);
        self.layout = Arc::new(layout);
        Ok(self)
    }

    /// A node of the first incarnation.
    pub(crate) fn engine(&self, seat: Seat) -> Box<dyn Engine> {
        (self.maker)(&Setup {
            layout: self.layout.clone(),
            seat,
            params: self.params.clone(),
            incarnation: 1,
            ids: Ids::Seeded,
        })
    }

    /// The protocol's properties.
    pub fn properties(&self) -> Properties {
        Properties::new(self.protocol.clone(), self.leaves.clone(), self.layout.clone(), self.params.clone())
    }

    /// No property at all.
    pub fn no_properties(&self) -> Properties {
        let mut protocol = (*self.protocol).clone();
        protocol.invariants.clear();
        Properties::new(Arc::new(protocol), self.leaves.clone(), self.layout.clone(), self.params.clone())
    }

    /// The first construct that this world does not model.
    pub fn unsupported(&self) -> Option<String> {
        let p = &self.protocol;
        if let Some(role) = p.roles.iter().find(|r| r.held || r.sequencer) {
            return Some(format!("the words before `{}`", role.name));
        }
        let odd = |r: &&Relation| r.delivery.ordered || r.delivery.sealed || r.replicated;
        p.relations.iter().find(odd).map(|r| format!("how `{}` travels", r.name))
    }

    /// The nodes that take a fact of a message or request at an instance: one, or all partitions.
    pub(crate) fn receivers(&self, rel: RelId, instance: u32, row: &[Value]) -> Vec<u32> {
        let nodes = routing::receivers(&self.protocol, &*self.leaves, &self.layout, rel, row, instance);
        nodes.into_iter().map(|n| n.0).collect()
    }

    /// A call as its node and fact.
    pub(super) fn call(
        &self,
        client: usize,
        op: usize,
        call: &Call,
        facts: &mut Facts,
    ) -> Result<(u32, u32), String> {
        let name = &call.request;
        let found = self
            .protocol
            .relations
            .iter()
            .position(|r| r.name == *name && matches!(r.kind, RelationKind::Request(_)));
        let rel = RelId(found.ok_or_else(|| format!("there is no request `{name}`"))? as u32);
        let columns = self.protocol.relation(rel).columns.len() - 1;
        if columns != call.args.len() {
            return Err(format!("`{name}` has {columns} arguments, not {}", call.args.len()));
        }
        let req = Req { session: client as u64 + 1, number: op as u64 + 1 };
        facts.pin(&call.args);
        let row: Vec<Value> = std::iter::once(Value::Req(req)).chain(call.args.iter().cloned()).collect();
        let relation = self.protocol.relation(rel);
        let size = relation.role.map_or(0, |r| self.layout.roles[r.index()].instances);
        let at = match &relation.kind {
            RelationKind::Request(Request { by: Some(column), .. }) if size > 0 => {
                row.get(*column).map_or(0, Value::route) % size
            }
            _ => call.at,
        };
        match self.receivers(rel, at, &row)[..] {
            [node] => Ok((node, facts.number(rel, &row))),
            _ => Err(format!("`{name}`: instance {at} does not take it")),
        }
    }

    /// Nodes that crash together, by node: the parts of an instance that share fate.
    pub(super) fn fates(&self, seats: &[Seat]) -> Vec<Vec<usize>> {
        let role = |s: &Seat| self.protocol.role(RoleId(u32::from(s.role)));
        let family = |s: &Seat| self.protocol.family(RoleId(u32::from(s.role)));
        let group = |s: &Seat| {
            let same = |t: &Seat| {
                t == s
                    || role(s).shares_fate
                        && role(t).shares_fate
                        && family(s) == family(t)
                        && s.instance == t.instance
            };
            seats.iter().enumerate().filter(|(_, t)| same(t)).map(|(i, _)| i).collect()
        };
        seats.iter().map(group).collect()
    }

    /// By role: the root of its family, if neither the protocol nor the clients tell its instances apart.
    pub(super) fn symmetric_roles(&self, scope: &Scope) -> Vec<Option<u16>> {
        let p = &self.protocol;
        let family = |i: usize| p.family(RoleId(i as u32)).0 as u16;
        let asked = |root: u16| {
            let called = |r: &&Relation| scope.clients.iter().flatten().any(|c| c.request == r.name);
            let mut requests = p.relations.iter().filter(|r| matches!(r.kind, RelationKind::Request(_)));
            requests.any(|r| called(&r) && r.role.is_some_and(|role| p.family(role).0 as u16 == root))
        };
        let all = (0..p.roles.len()).map(family);
        all.map(|root| (!asked(root) && flow::interchangeable(p, root)).then_some(root)).collect()
    }

    /// A node number's name.
    pub fn node_name(&self, node: u32) -> String {
        match self.layout.seat(NodeIndex(node)) {
            Some(seat) => {
                let name = &self.protocol.role(RoleId(u32::from(seat.role))).name;
                match self.layout.roles[usize::from(seat.role)].partitions {
                    1 => format!("{name}.{}", seat.instance),
                    _ => format!("{name}.{}/{}", seat.instance, seat.partition),
                }
            }
            None => format!("client.{}", node - self.layout.nodes()),
        }
    }
}
