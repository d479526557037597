//! What a compiled role is to its driver: the TCP runtime, the simulator, or a test.
//!
//! A node does no I/O. The driver hands it messages, requests and due timer rows, asks it to run a tick,
//! and carries out what the tick put into the [`Outbox`]. Obligations of the driver:
//! - while [`Node::deferred`] holds, tick again before handing over anything that newly arrived
//!   (a *macro-step*);
//! - hold a tick's messages and replies until its log record and every earlier one are stable;
//! - after a crash: `restore`, `replay` each record in order, then `begin`, all before the first tick.

use crate::id::Req;
use crate::value::Value;
use crate::wire::{Reader, WireError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many instances and partitions each role has; numbers all nodes densely from 0.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Layout {
    /// By role, in the protocol's order.
    pub roles: Vec<RoleLayout>,
}

/// The size of one role.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RoleLayout {
    /// Instances: what `role.len()` says.
    pub instances: u32,
    /// Partitions of each instance.
    pub partitions: u32,
}

/// Where a node stands in the layout.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Seat {
    /// The role, by index.
    pub role: u16,
    /// The instance: what `me` is.
    pub instance: u32,
    /// The partition of that instance.
    pub partition: u32,
}

/// A node's dense number in a layout.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeIndex(pub u32);

impl Layout {
    /// A layout without partitions.
    pub fn of(instances: &[u32]) -> Layout {
        Layout { roles: instances.iter().map(|&instances| RoleLayout { instances, partitions: 1 }).collect() }
    }
    /// The number of nodes.
    pub fn nodes(&self) -> u32 {
        self.roles.iter().map(|r| r.instances * r.partitions).sum()
    }
    /// The number of the first node of a role.
    pub fn first(&self, role: u16) -> u32 {
        self.roles[..usize::from(role)].iter().map(|r| r.instances * r.partitions).sum()
    }
    /// A seat's number.
    pub fn index(&self, seat: Seat) -> NodeIndex {
        let partitions = self.roles[usize::from(seat.role)].partitions;
        NodeIndex(self.first(seat.role) + seat.instance * partitions + seat.partition)
    }
    /// The seat with a number; `None` beyond the last node.
    pub fn seat(&self, index: NodeIndex) -> Option<Seat> {
        let mut rest = index.0;
        for (role, size) in self.roles.iter().enumerate() {
            let nodes = size.instances * size.partitions;
            if rest < nodes {
                let (instance, partition) = (rest / size.partitions, rest % size.partitions);
                return Some(Seat { role: role as u16, instance, partition });
            }
            rest -= nodes;
        }
        None
    }
}

/// Everything a node needs to know when it is made.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The whole deployment's layout.
    pub layout: Arc<Layout>,
    /// Which node this is.
    pub seat: Seat,
    /// Deployment parameters by name; absent ones take their default. Durations are milliseconds.
    pub params: BTreeMap<String, Value>,
    /// Grows with each restart, from 1; the argument of `start`.
    pub incarnation: u64,
    /// How `unique()` draws.
    pub ids: Ids,
}

/// How `unique()` draws ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ids {
    /// From a counter: fast; ids depend on the order of evaluation.
    Counted,
    /// By a stable hash of node, incarnation, tick, place and binding: two evaluators of the same tick draw
    /// the same ids. For simulation and for comparing engine with interpreter.
    Hashed,
    /// By a stable hash of node, the tick's seed, place and binding: what happened before does not count, so that
    /// explorers recognise a state that they reach in another order. No two ticks of a node may have one seed.
    Seeded,
}

/// The arguments of a tick.
#[derive(Clone, Copy, Debug)]
pub struct TickArgs {
    /// What `now_ms()` says, and what timers are started by.
    pub now_ms: u64,
    /// What `choose`, `index()`, `random()` and jitter depend on.
    pub seed: u64,
}

/// What a tick wants done. Reused from tick to tick; the driver clears what it has taken.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    /// Messages by receiving node ([`NodeIndex`]); empty batches are common.
    pub batches: Vec<Batch>,
    /// Numbers of the non-empty batches, in order of first use.
    pub dirty: Vec<NodeIndex>,
    /// Answers to clients.
    pub replies: Vec<Reply>,
    /// Durable changes: this tick's log record, empty if there were none.
    pub log: Vec<u8>,
    /// Rows of durable events, for the application: each the relation's tag (its number in the protocol), then its
    /// columns. To be handed over once the log record is stable. They are in the record too, so that the first
    /// tick after a recovery gives again those of replayed records.
    pub events: Batch,
    /// Of compiled code, within a tick: what is still to be copied.
    pub(crate) late: crate::code::Late,
}

/// Encoded messages to one node. Each message is its relation's tag, then its columns.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The messages, one behind the other.
    pub bytes: Vec<u8>,
    /// Where each ends in `bytes`.
    pub ends: Vec<u32>,
}

/// An answer to a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// Which request.
    pub req: Req,
    /// The request's tag.
    pub request: u16,
    /// What to say.
    pub answer: Answer,
}

/// What a node says to a request. The first answer counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The encoded reply columns.
    Reply(crate::data::Bytes),
    /// The encoded error: it was not done, and will not be.
    Refuse(crate::data::Bytes),
    /// Ask this instance of the request's role.
    Redirect(u32),
}

/// A row of a timer that may fire.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TimerRow {
    /// When it is due, in the clock of [`TickArgs::now_ms`].
    pub due_ms: u64,
    /// The timer's tag.
    pub timer: u16,
    /// Its columns, as a tuple.
    pub row: Value,
}

/// A broken invariant of the program: the node must stop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    /// What happened, in the protocol's words, naming the rules by file and line.
    pub message: String,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}
impl std::error::Error for Broken {}

/// One instance (later: one partition of an instance) of a role.
pub trait Node: Send {
    /// Decodes messages into the next tick's inbox and says how many they were. If any is malformed, none
    /// takes effect.
    fn deliver(&mut self, messages: &mut Reader<'_>) -> Result<u32, WireError>;
    /// Puts a client's request into the next tick's inbox.
    fn request(&mut self, tag: u16, req: Req, args: &mut Reader<'_>) -> Result<(), WireError>;
    /// Runs one tick on what is in the inbox.
    fn tick(&mut self, args: &TickArgs, out: &mut Outbox) -> Result<(), Broken>;
    /// Whether the last tick must be followed at once by another.
    fn deferred(&self) -> bool;
    /// Whether the inbox holds anything.
    fn has_input(&self) -> bool;

    /// When the next timer row is due.
    fn next_due_ms(&mut self) -> Option<u64>;
    /// Puts at most `limit` due rows into the inbox and says how many.
    fn fire_due(&mut self, now_ms: u64, limit: usize) -> usize;
    /// All rows that wait, due or not, in a fixed order: for simulators.
    fn waiting(&self) -> Vec<TimerRow>;
    /// Puts one waiting row into the inbox, due or not; false if it does not wait.
    fn fire(&mut self, timer: u16, row: &Value) -> bool;

    /// Appends the durable state.
    fn snapshot(&self, out: &mut Vec<u8>);
    /// Takes over a snapshot.
    fn restore(&mut self, snapshot: &mut Reader<'_>) -> Result<(), WireError>;
    /// Takes over a log record.
    fn replay(&mut self, record: &mut Reader<'_>) -> Result<(), WireError>;
    /// Ends recovery: what was restored counts as carried over, and `start` is in the inbox.
    fn begin(&mut self);

    /// Stops writing log records, for nodes whose durable tables need not survive.
    fn without_log(&mut self) {}

    /// A copy that goes its own way: for explorers. Cheap where tables have not changed since the last one.
    fn fork(&self) -> Box<dyn Node>;
    /// The rows of a state relation of this role, sorted, each a tuple; `None` for an unknown name.
    fn rows(&self, relation: &str) -> Option<Vec<Value>>;
    /// Facts of the last tick, for comparison with an interpreter: every event and state relation by name,
    /// as it was at the tick's fixpoint. Only kept when [`Node::trace`] was called.
    fn facts(&self) -> BTreeMap<&'static str, Vec<Value>>;
    /// Starts or stops keeping [`Node::facts`].
    fn trace(&mut self, on: bool);
    /// Starts or stops keeping ghost tables, which only invariants read; [`Node::trace`] keeps them too. From the
    /// first tick on, or not at all.
    fn ghosts(&mut self, _on: bool) {}
    /// Whether `forget` rules let some of their events pass by for ever, as the language permits: which ones follows
    /// from the tick's seed. For simulators.
    fn lazy(&mut self, _on: bool) {}
}

/// A compiled protocol, as the runtime, the tools and the tests see it.
pub trait Protocol: Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;
    /// Its canonical text.
    fn text(&self) -> &'static str;
    /// Hash over canonical text and the schemas of all types in it: nodes with different ones never talk.
    fn fingerprint(&self) -> u64;
    /// Roles, in order.
    fn roles(&self) -> &'static [&'static str];
    /// The same roles' descriptions. By default none is a part, none is partitioned.
    fn role_infos(&self) -> Vec<RoleInfo> {
        let plain = RoleInfo { whole: None, partitioned: false, shares_fate: false };
        vec![plain; self.roles().len()]
    }
    /// Requests.
    fn requests(&self) -> Vec<RequestInfo>;
    /// Messages.
    fn messages(&self) -> Vec<MessageInfo>;
    /// Parameters.
    fn params(&self) -> Vec<ParamInfo>;
    /// State relations by role.
    fn tables(&self) -> Vec<TableInfo>;
    /// Timers by role.
    fn timers(&self) -> Vec<TimerInfo> {
        Vec::new()
    }
    /// Durable events: what nodes tell the application. Tags are those in [`Outbox::events`].
    fn events(&self) -> Vec<MessageInfo> {
        Vec::new()
    }
    /// Checks layout and parameters (`require`, types, missing ones); one message per problem.
    fn check(&self, layout: &Layout, params: &BTreeMap<String, Value>) -> Vec<String>;
    /// Makes a node. Call `check` first.
    fn node(&self, setup: Setup) -> Box<dyn Node>;
    /// The program's Rust expressions, for interpreters.
    fn leaves(&self) -> &dyn Leaves;
}

/// A role's description.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RoleInfo {
    /// The role that it is a part of: it has the same instances, and its addresses are that role's.
    pub whole: Option<u16>,
    /// Whether an instance may consist of several nodes.
    pub partitioned: bool,
    /// Whether its nodes restart together with those of the other parts of their instance that share fate.
    pub shares_fate: bool,
}

/// Nodes that share fate: the parts and partitions of one instance whose roles say so. They are one incarnation:
/// when one of them ends, all are stopped, and none runs again before all have stopped (a *barrier*), since what a
/// half that has not noticed says to a client cannot be taken back. Nodes in none of the groups restart by
/// themselves. Groups are in order of their first node, and have at least two.
pub fn fate_groups(roles: &[RoleInfo], layout: &Layout) -> Vec<Vec<NodeIndex>> {
    let mut groups: BTreeMap<(u16, u32), Vec<NodeIndex>> = BTreeMap::new();
    for node in (0..layout.nodes()).map(NodeIndex) {
        let Some(seat) = layout.seat(node) else { continue };
        let Some(role) = roles.get(usize::from(seat.role)).filter(|role| role.shares_fate) else { continue };
        groups.entry((role.whole.unwrap_or(seat.role), seat.instance)).or_default().push(node);
    }
    let mut groups: Vec<_> = groups.into_values().filter(|group| group.len() > 1).collect();
    groups.sort();
    groups
}

/// The group of a node among [`fate_groups`]; if it is in none, the node alone.
pub fn fate_of(roles: &[RoleInfo], layout: &Layout, node: NodeIndex) -> Vec<NodeIndex> {
    let groups = fate_groups(roles, layout);
    groups.into_iter().find(|group| group.contains(&node)).unwrap_or_else(|| vec![node])
}

#[cfg(test)]
mod fate {
    use super::*;

    #[test]
    fn groups_are_the_parts_and_partitions_of_an_instance() {
        let role = |whole, shares_fate| RoleInfo { whole, partitioned: true, shares_fate };
        let roles = [role(None, true), role(None, false), role(Some(0), true), role(Some(0), false)];
        let mut layout = Layout::of(&[2, 3, 2, 2]);
        layout.roles[2].partitions = 2;
        // Nodes: 0 1 | 2 3 4 | 5 6, 7 8 | 9 10.
        let nodes = |all: &[u32]| all.iter().copied().map(NodeIndex).collect::<Vec<_>>();
        assert_eq!(fate_groups(&roles, &layout), [nodes(&[0, 5, 6]), nodes(&[1, 7, 8])]);
        assert_eq!(fate_of(&roles, &layout, NodeIndex(6)), nodes(&[0, 5, 6]));
        assert_eq!(fate_of(&roles, &layout, NodeIndex(9)), nodes(&[9]));
        assert!(fate_groups(&[role(None, true)], &Layout::of(&[3])).is_empty(), "nobody to share with");
    }
}

/// What a request is routed by, from its identity and its encoded arguments: the partition that takes it is the
/// remainder of this by the number of partitions. `None` if the arguments are malformed.
pub type RequestRoute = fn(Req, &mut Reader<'_>) -> Option<u64>;

/// What a row (a tuple) is routed by: the partition that keeps it is the remainder of this by the number of
/// partitions. `None` if the row does not fit the table.
pub type RowRoute = fn(&Value) -> Option<u64>;

/// A request's description.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    /// Its name.
    pub name: &'static str,
    /// Its tag on the wire.
    pub tag: u16,
    /// The role that takes it.
    pub role: u16,
    /// May be repeated at any instance.
    pub resend: bool,
    /// The argument whose stable hash chooses the instance.
    pub by: Option<usize>,
    /// What chooses the partition, if the role is partitioned.
    pub route: Option<RequestRoute>,
    /// Arguments, without the `Req`.
    pub args: Vec<(&'static str, crate::data::Schema)>,
    /// Columns of the answer.
    pub reply: Vec<(&'static str, crate::data::Schema)>,
    /// Type of a refusal.
    pub error: Option<crate::data::Schema>,
    /// Roles with a rule that answers it: a client connects to all of them.
    pub answered_by: Vec<u16>,
}

/// A message's description.
#[derive(Clone, Debug)]
pub struct MessageInfo {
    /// Its name.
    pub name: &'static str,
    /// Its tag on the wire.
    pub tag: u16,
    /// The role that receives it.
    pub role: u16,
    /// Columns.
    pub columns: Vec<(&'static str, crate::data::Schema)>,
}

/// A parameter's description.
#[derive(Clone, Debug)]
pub struct ParamInfo {
    /// Its name.
    pub name: &'static str,
    /// Its type as written.
    pub ty: &'static str,
    /// Its shape. A `Duration` is an integer of milliseconds.
    pub schema: crate::data::Schema,
    /// Its default.
    pub default: Option<Value>,
}

/// A state relation's description.
#[derive(Clone, Debug)]
pub struct TableInfo {
    /// Its name.
    pub name: &'static str,
    /// Its tag in log records.
    pub tag: u16,
    /// Its role.
    pub role: u16,
    /// Survives a crash.
    pub durable: bool,
    /// Whether each row belongs to a partition, and to which.
    pub routing: TableRouting,
    /// Columns.
    pub columns: Vec<(&'static str, crate::data::Schema)>,
}

/// Which partitions keep the rows of a table.
#[derive(Clone, Copy, Debug)]
pub enum TableRouting {
    /// Not said: rows cannot be moved when the number of partitions changes.
    Unsaid,
    /// Each row lies in one partition.
    By(RowRoute),
    /// Every partition has the same rows.
    All,
}

/// A timer's description.
#[derive(Clone, Debug)]
pub struct TimerInfo {
    /// Its name.
    pub name: &'static str,
    /// What [`TimerRow::timer`] says.
    pub tag: u16,
    /// Its role.
    pub role: u16,
    /// Columns.
    pub columns: Vec<(&'static str, crate::data::Schema)>,
}

/// What expressions may refer to besides their variables.
#[derive(Clone, Debug)]
pub struct Env {
    /// The layout.
    pub layout: Arc<Layout>,
    /// What `me` is.
    pub seat: Seat,
    /// All parameters, defaults filled in.
    pub params: BTreeMap<String, Value>,
}

/// The Rust expressions of a program as functions over erased values, by their number in the IR
/// (`anabranch_dsl::ir::LeafId`).
pub trait Leaves: Send + Sync {
    /// Evaluates an expression: values of its variables in the order of `ir::Expr::vars`, then those of its
    /// holes. A `for` expression gives a list. `None` if it has no such number or the values do not fit.
    fn eval(&self, leaf: u32, values: &[Value], env: &Env) -> Option<Value>;
    /// Matches a nested pattern: values of its variables in order, or `None` within if it does not match.
    fn matches(&self, leaf: u32, value: &Value, env: &Env) -> Option<Option<Vec<Value>>>;
    /// A fresh machine, by index in the IR.
    fn machine(&self, machine: u32) -> Option<Box<dyn crate::machine::ErasedMachine>>;
}

/// A protocol by reference: what `protocol!` offers is static, what runtimes keep is shared.
impl<P: Protocol + ?Sized> Protocol for &P {
    fn name(&self) -> &'static str {
        (**self).name()
    }
    fn text(&self) -> &'static str {
        (**self).text()
    }
    fn fingerprint(&self) -> u64 {
        (**self).fingerprint()
    }
    fn roles(&self) -> &'static [&'static str] {
        (**self).roles()
    }
    fn role_infos(&self) -> Vec<RoleInfo> {
        (**self).role_infos()
    }
    fn requests(&self) -> Vec<RequestInfo> {
        (**self).requests()
    }
    fn messages(&self) -> Vec<MessageInfo> {
        (**self).messages()
    }
    fn params(&self) -> Vec<ParamInfo> {
        (**self).params()
    }
    fn tables(&self) -> Vec<TableInfo> {
        (**self).tables()
    }
    fn timers(&self) -> Vec<TimerInfo> {
        (**self).timers()
    }
    fn events(&self) -> Vec<MessageInfo> {
        (**self).events()
    }
    fn check(&self, layout: &Layout, params: &BTreeMap<String, Value>) -> Vec<String> {
        (**self).check(layout, params)
    }
    fn node(&self, setup: Setup) -> Box<dyn Node> {
        (**self).node(setup)
    }
    fn leaves(&self) -> &dyn Leaves {
        (**self).leaves()
    }
}
