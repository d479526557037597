//! The order of a tick.

use super::pipeline::Pipeline;
use super::types::{Dedup, IndexIx, RelIx, Relation};
use crate::ir;
use std::collections::BTreeMap;

/// The plan of one role.
#[derive(Clone, Debug)]
pub struct RolePlan {
    /// The role.
    pub role: ir::RoleId,
    /// All relations that its rules read or write, and hidden ones.
    pub relations: Vec<Relation>,
    /// The plan relation of a declared one.
    pub of: BTreeMap<ir::RelId, RelIx>,
    /// Pipelines to be run once at the beginning, in the empty state (rules without positive atoms).
    pub init: Vec<Pipeline>,
    /// All units of views, each after those that it reads: the order of release in phases A and B and at the
    /// beginning.
    pub units: Vec<Unit>,
    /// Units of recursive views.
    pub recursive: Vec<RecursiveUnit>,
    /// Table rules without event.
    pub standing: Vec<Standing>,
    /// Phase C.
    pub steps: Vec<Step>,
    /// By message that the role sends: whether equal messages to the same receiver must be looked for within a
    /// tick.
    pub sends: BTreeMap<ir::RelId, Dedup>,
    /// The same for answers by request. (As a client takes the first answer, equal ones do no harm; an engine may leave
    /// them.)
    pub answers: BTreeMap<ir::RelId, Dedup>,
}

/// A step of phase C. When a step begins, all that it reads of other steps is final.
#[derive(Clone, Debug)]
pub enum Step {
    /// Runs pipelines whose heads are events, tables, machine inputs or sinks (`<+`, `<-`, `<~`, answers),
    /// none of which they read in version `Now` or `New`. Rows emitted into tables are applied as they come.
    /// (Pipelines do not start from or probe the tables that they insert into; a view above those tables is
    /// released by a later step.)
    Run(Vec<Pipeline>),
    /// Appends the rows of an aggregated event, of which all contributions have been made.
    Finish(RelIx),
    /// Releases a view's unit.
    Release(Unit),
    /// Inserts what a standing rule holds and the table lacks (position in [`RolePlan::standing`]).
    Stand(usize),
    /// Runs a machine: applies the greatest `load` with n > next, then commands in slot order while there are
    /// any (later ones are kept, earlier ones ignored; two different commands for one slot are a broken
    /// invariant), appends `done` rows, changes `next`.
    Machine(ir::MachineId),
    /// Answers a machine's `save`s (for each different tag a row `saved(tag, next, image)`): a step of its own, since
    /// they may depend on its `next`.
    Save(ir::MachineId),
    /// A recursive stratum.
    Fixpoint(Fixpoint),
}

/// A view, or a group of mutually recursive ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// A counted or aggregated view.
    View(RelIx),
    /// A recursive unit: position in [`RolePlan::recursive`].
    Recursive(usize),
}

/// Views that depend on each other.
///
/// Insert-only: each visible change of an input runs the input's `deltas`, whose emissions are
/// candidates. At the release, while there are candidates: one that is not visible is applied as an insertion,
/// which runs `deltas` of the member, hence gives more candidates.
///
/// Otherwise: if an input changed (`dirties`), all members are recomputed at the release from nothing: `seeds` are
/// run, then each row new to the work set runs those of `steps` that start from its relation
/// (storing it first, so that probes in version `Work` see it), until nothing is new. The difference to the
/// visible rows is applied, deletions first.
#[derive(Clone, Debug)]
pub struct RecursiveUnit {
    /// The views.
    pub members: Vec<RelIx>,
    /// No input ever loses a row, and nothing is negated: rows are only ever added.
    pub insert_only: bool,
    /// Recomputation: pipelines of rules without members in their bodies. (Insert-only: empty; they are deltas of the
    /// inputs and [`RolePlan::init`].)
    pub seeds: Vec<Pipeline>,
    /// Recomputation: one pipeline per member atom of each rule, starting from its `Change`. (Insert-only: empty;
    /// they are deltas of the members.)
    pub steps: Vec<Pipeline>,
}

/// A table rule without event: its body is the hidden view `view`, and every row of it is inserted in
/// every tick.
///
/// An engine keeps `pending`: rows of the view that became visible since the last [`Step::Stand`], and those which a
/// deletion from the table (in any phase; also the −old of a merged row) makes worth looking at again: all rows of
/// the view that agree with the deleted row in the columns of `index` (the table's key, or all columns). The
/// step inserts those of them that are visible, as `<=` does, and empties `pending`.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The rule.
    pub rule: ir::RuleId,
    /// The table.
    pub table: RelIx,
    /// The hidden view, columns as those of the table.
    pub view: RelIx,
    /// The view's index on the table's key columns.
    pub index: IndexIx,
}

/// A recursive stratum: events, tables and views that feed each other within the tick. Nothing in it is
/// strict, so facts only grow (a merged lattice row is replaced by a greater one).
///
/// First `units` are released, so that what lower strata took away from the members is gone before anything is derived
/// from it: within the stratum facts only grow. Then it is
/// carried out with a queue of facts: rows already in member events when the step begins (scheduled by
/// `<+`); then whatever `seeds` emit. An event row not yet in its relation is appended and queued; a table's row is applied
/// as usual and queued; when the queue is empty, `units` are released and `standing` rules inserted,
/// in order, and each visible insertion into a member view is queued too. Taking a fact from the queue runs all
/// `deltas` of its relation (with `Source::Change`). A pipeline that starts from `new r` only runs if the row is in `news`.
/// Ends when all is empty.
#[derive(Clone, Debug)]
pub struct Fixpoint {
    /// The relations.
    pub members: Vec<RelIx>,
    /// Per event and table rule of the stratum one evaluation over what is there when the step begins.
    pub seeds: Vec<Pipeline>,
    /// Per event and table rule of the stratum and per atom over a member: a pipeline that starts from one fact.
    pub deltas: Vec<FixpointDelta>,
    /// Units of views within, in an order of release.
    pub units: Vec<Unit>,
    /// Standing rules within.
    pub standing: Vec<usize>,
}

/// A pipeline of a recursive stratum.
#[derive(Clone, Debug)]
pub struct FixpointDelta {
    /// Starts from a fact of this member.
    pub rel: RelIx,
    /// Only if the fact is `new` (the atom is `new r(..)`).
    pub new: bool,
    /// Start is `Source::Change` of `rel`.
    pub pipeline: Pipeline,
}

impl RolePlan {
    /// The relation under a number.
    pub fn relation(&self, rel: RelIx) -> &Relation {
        &self.relations[rel.index()]
    }
}
