//! One interface over everything that can run a role: reference interpreter, plan executor, and (through an
//! adapter) compiled nodes. Whoever compares them hands the same [`Input`]s to each and compares [`Outcome`]s.
//!
//! All parts are sets in a fixed order, so outcomes are compared with `==`. What the language leaves open is
//! left out or made comparable: `unique()` draws by hash ([`core::node::Ids::Hashed`]), jitter is taken out
//! of [`Waiting::due_ms`] by the comparison (see [`Outcome::without_jitter`]).
//!
//! Omitted: log records, wire bytes, partitions. They belong to the runtime's tests.
//!
//! [`core::node::Ids::Hashed`]: anabranch_core::node::Ids::Hashed

use anabranch_core::id::Req;
use anabranch_core::node::{Broken, TickArgs};
use anabranch_core::value::Value;
use anabranch_dsl::ir::{Protocol, RelId, RelationKind, Schedule};
use std::collections::{BTreeMap, BTreeSet};

/// A row: one value per column.
pub type Row = Vec<Value>;

/// Rows by relation. A relation without rows may be absent or have an empty set; see [`tidy`].
pub type Facts = BTreeMap<RelId, BTreeSet<Row>>;

/// What one tick is given.
#[derive(Clone, Debug)]
pub struct Input {
    /// Time and seed.
    pub args: TickArgs,
    /// Messages and requests (the `Req` is the first column). As facts are sets, equal ones are one.
    pub arrived: Facts,
    /// Timer rows that fire. Those that do not wait are dropped silently.
    pub fired: Facts,
}

impl Input {
    /// A tick of nothing but time, as a deferred tick is.
    pub fn empty(args: TickArgs) -> Input {
        Input { args, arrived: Facts::new(), fired: Facts::new() }
    }
}

/// What a tick did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// The fixpoint (*now*): rows of every named relation of the role, events and state. Relations without
    /// rows are absent; instances of roles (`RelationKind::Instances`) are left out.
    pub facts: Facts,
    /// Messages.
    pub sent: BTreeSet<Sent>,
    /// Answers to requests.
    pub answered: BTreeSet<Answered>,
    /// Whether a tick of exactly what this one scheduled must follow at once (an [`Input::empty`]).
    pub deferred: bool,
    /// Timer rows that wait after this tick.
    pub waiting: BTreeSet<Waiting>,
}

/// A message with its receiver.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Sent {
    /// The message.
    pub rel: RelId,
    /// The instance of the message's role.
    pub to: u32,
    /// The columns.
    pub row: Row,
}

/// An answer with the request that it answers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Answered {
    /// The request's relation.
    pub rel: RelId,
    /// Which request.
    pub req: Req,
    /// What is said.
    pub answer: Answer,
}

/// What is said to a request.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Answer {
    /// The reply's columns.
    Reply(Row),
    /// The error.
    Refuse(Value),
    /// The instance to try instead.
    Redirect(u32),
}

/// A timer row that waits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Waiting {
    /// The timer.
    pub timer: RelId,
    /// Its columns.
    pub row: Row,
    /// When it is due, in the clock of [`TickArgs::now_ms`].
    pub due_ms: u64,
}

/// Something that runs one node of a role.
///
/// Obligations of the caller, as for [`anabranch_core::node::Node`]: after an outcome with `deferred`, the next input is
/// empty (except for time and seed); after [`Broken`] only [`Engine::crash`] may follow.
pub trait Engine {
    /// Runs a tick. The first one of an incarnation sees `start(n)` without being handed it.
    fn tick(&mut self, input: &Input) -> Result<Outcome, Broken>;

    /// The state between ticks, as the last tick left it after its `<-` and `<+` (*before* of the next one):
    /// rows of all tables, variables, views and `next` of machines; relations without rows are absent.
    fn resting(&self) -> Facts;

    /// A copy that goes its own way.
    fn fork(&self) -> Box<dyn Engine>;

    /// What the node's future depends on between two macro-steps besides [`Engine::resting`], the timer rows that
    /// wait and the incarnation: the insides of machines. `None` if that cannot be told.
    fn hidden(&self) -> Option<Vec<Value>>;

    /// Crashes and restarts: what is left are the durable tables, variables and machines as after the last
    /// tick that did not break, all of it carried over. The incarnation grows by one, timers start anew.
    fn crash(&mut self);

    /// Breaks off a tick in which a relation has more than so many rows ([`endless`]). False if it cannot: then it
    /// must not be given what the reference did not finish.
    fn bound(&mut self, rows: usize) -> bool {
        let _ = rows;
        false
    }
}

/// A tick in which a declared relation has more rows than this is taken for one that never ends, in campaigns.
/// Random programs come nowhere near it unless they draw ids in a circle, and whoever evaluates naively pays for
/// every row. Outside of campaigns nothing is bounded.
pub const ROWS: usize = 300;

const ENDLESS: &str = "this tick does not end: ";

/// The fault of a tick whose fixpoint has no end, as far as its rows tell. A bound on rows, not on work or time:
/// rows do not depend on who evaluates.
pub fn endless(relation: &str, rows: usize) -> Broken {
    Broken { message: format!("{ENDLESS}`{relation}` has more than {rows} rows") }
}

/// Whether a tick broke because it does not end.
pub fn is_endless(broken: &Broken) -> bool {
    broken.message.starts_with(ENDLESS)
}

/// Removes empty sets, so that facts can be compared.
pub fn tidy(mut facts: Facts) -> Facts {
    facts.retain(|_, rows| !rows.is_empty());
    facts
}

impl Outcome {
    /// The outcome without the due times of timers with jitter, which evaluators draw as they like.
    pub fn without_jitter(mut self, protocol: &Protocol) -> Outcome {
        let jittery = |rel: RelId| match &protocol.relation(rel).kind {
            RelationKind::Timer(timer) => match &timer.schedule {
                Schedule::After { jitter, .. } | Schedule::Every { jitter, .. } => jitter.is_some(),
            },
            _ => false,
        };
        self.waiting = std::mem::take(&mut self.waiting)
            .into_iter()
            .map(|w| if jittery(w.timer) { Waiting { due_ms: 0, ..w } } else { w })
            .collect();
        self
    }
}
