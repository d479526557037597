//! Relations of a plan.

use super::pipeline::PExpr;
use crate::ir;

macro_rules! indices {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(pub u32);
        impl $name {
            /// As a position in a vector.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}
indices! {
    /// A relation of the plan: position in [`RolePlan::relations`](super::RolePlan::relations).
    RelIx
    /// An index of a relation: position in [`Relation::indexes`].
    IndexIx
}

/// A relation of a role, or a hidden one that lowering introduced.
#[derive(Clone, Debug)]
pub struct Relation {
    /// The name in rules; hidden ones have names that begin with `__`, unique in the plan.
    pub name: String,
    /// Its declaration; `None` for hidden ones.
    pub source: Option<ir::RelId>,
    /// Columns. `ty` is `None` where only Rust can tell (columns of hidden events).
    pub columns: Vec<Column>,
    /// The first so many columns are a key in every state, also while changes are applied. Tables: enforced (two
    /// different rows for a key in one tick are a broken invariant, except that a scheduled insertion replaces
    /// and lattice columns merge). Derived events: enforced. Aggregated views: by construction.
    pub key: Option<usize>,
    /// Other keyed views: two rows with equal first so many columns at the end of phase C are a broken invariant.
    /// Other states may have such rows.
    pub checked_key: Option<usize>,
    /// Sets of columns of which each determines the row (among the rows of any one state; of events, of one tick).
    /// Includes `key`. For events with one rule they are computed from the rule: `decided(txn, ok, req) <=
    /// end(txn, ok), active(txn, req)` has `[0, 1]` if `active` is keyed by `txn`.
    pub keys: Vec<Vec<usize>>,
    /// What it is.
    pub class: Class,
    /// Survives a crash (tables; `next` of durable machines).
    pub durable: bool,
    /// Read by invariants only.
    pub ghost: bool,
    /// All sets of columns under which it is probed, each once.
    pub indexes: Vec<Index>,
    /// The index that decides membership and holds the rows: the key (keyed relations), or the index with the
    /// fewest columns but some, whose groups are then searched. Other indexes with [`Index::membership`] need no
    /// storage: the primary one answers them. `None` for relations that nobody probes: events and views of which
    /// only the list or the changes are read.
    pub primary: Option<IndexIx>,
    /// Pipelines into counted, aggregated and (insert-only) recursive views and standing rules, each with
    /// [`Source::Change`](super::Source::Change) of this relation as start. To be run on each visible change.
    pub deltas: Vec<super::Pipeline>,
    /// Units to be recomputed at their next release once this relation changed
    /// (positions in [`RolePlan::recursive`](super::RolePlan::recursive)).
    pub dirties: Vec<usize>,
    /// Standing rules to be checked when one of this table's rows is deleted
    /// (positions in [`RolePlan::standing`](super::RolePlan::standing)).
    pub watchers: Vec<usize>,
    /// Which net changes must be kept.
    pub track: Track,
    /// Whether a visible row can ever vanish (deleted, replaced, merged, retracted). If not, everything about
    /// deletions may be left out.
    pub removable: bool,
    /// Whether rows are probed by delta pipelines of views (or by recomputations), that is, in states in which
    /// other relations are not yet released. If not, it is read only when it is final.
    pub probed_by_deltas: bool,
    /// Whether anything at all reads its rows other than as changes or news: probes, look-ups, scans,
    /// acceptance of timer rows. A view without it needs no storage except for inspection.
    pub probed: bool,
    /// How equal rows come about (events) and what must be done about them.
    pub dedup: Dedup,
}

/// A column of a plan relation.
#[derive(Clone, Debug)]
pub struct Column {
    /// The name, unique in the relation.
    pub name: String,
    /// The type of its values, if it can be told.
    pub ty: Option<ir::Tokens>,
    /// Merges instead of conflicting.
    pub lattice: Option<ir::Lattice>,
}

/// What a relation of a plan is.
#[derive(Clone, Debug)]
pub enum Class {
    /// An event that comes from outside the rules. Rows are in the inbox when the tick begins.
    Input(InputKind),
    /// A derived event: a list that is empty when the tick begins, except for rows scheduled by `<+`.
    Event {
        /// For an aggregated head: its rule only contributes to this, and
        /// [`Step::Finish`](super::Step::Finish) appends the rows.
        aggregate: Option<AggregateSpec>,
    },
    /// A table. Keyed iff [`Relation::key`]; lattice iff a column merges (then all columns outside the key do).
    Table,
    /// A table of one row, with its first value (`None`: the default of its type, in lattice variables).
    Var(Option<PExpr>),
    /// A view, or a hidden one: a standing rule's derivations, rows of a timer, projections for `new`.
    View {
        /// How it is maintained.
        kind: ViewKind,
        /// What must be stored.
        storage: ViewStorage,
    },
    /// The static relation of a role's instances: addresses, applied at the beginning.
    Instances(ir::RoleId),
    /// `kv(slot, command)`, `kv.save(tag)`, `kv.load(n, bytes)`: collected for [`Step::Machine`](super::Step::Machine)
    /// and [`Step::Save`](super::Step::Save).
    MachineInput(ir::MachineId),
    /// `kv.done(..)`, `kv.saved(..)`: events, filled by that step.
    MachineOutput(ir::MachineId),
    /// `kv.next(n)`: state of one row, changed by that step. 0 (or the restored value) at the beginning.
    MachineNext(ir::MachineId),
}

/// Which input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InputKind {
    /// `start(n)`.
    Start,
    /// A message to this role.
    Message,
    /// A request to this role. A `Req` is taken once in a tick, so rows are distinct.
    Request {
        /// Declared so: a `Req` may be taken in several ticks, else in one of an incarnation.
        resend: bool,
    },
    /// A timer. Its fired rows are accepted if they are in `rows` as the tick begins. Rows begin and cease to
    /// wait by the net change of `rows` from the end of one tick to the end of the next.
    Timer {
        /// The hidden view of rows that hold.
        rows: RelIx,
    },
}

/// How a view is maintained.
#[derive(Clone, Debug)]
pub enum ViewKind {
    /// Delta pipelines add ±1 per derivation to a row's count; the row is true while the count is positive.
    Counted,
    /// Delta pipelines add or remove one combination of a group; see [`AggregateSpec`].
    Aggregate(AggregateSpec),
    /// Member of a recursive unit (position in [`RolePlan::recursive`](super::RolePlan::recursive)).
    Recursive(usize),
}

/// What a view needs to store. Decided by `facts`; an executor may always store more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ViewStorage {
    /// Rows with their number of derivations.
    Counts,
    /// Rows without numbers: no row ever has two derivations in any state of what it reads (while changes are
    /// accumulated the number may transiently be 2 or negative, so net changes of a release are summed up).
    Set,
    /// As `Set`, and nothing probes the rows: it suffices to pass on net changes.
    Nothing,
    /// The view is `v(x..) <= r(x.., _..)`, a renaming or projection of one relation: a row is true iff that
    /// group of that index is not empty, and changes when the group becomes empty or ceases to be. `columns`
    /// says which column of `rel` each column of the view is. Never probed by delta pipelines, so
    /// that the group may be read instead of a copy.
    Projection {
        /// The relation.
        rel: RelIx,
        /// Its index on exactly the projected columns.
        index: IndexIx,
        /// By column of the view: the column of `rel`.
        columns: Vec<usize>,
    },
    /// The view is `v(g.. => count())` or `v(g.. => count(x))` over one relation whose index on the columns
    /// `g..` has a group with exactly one member per counted thing: the number is the group's size. The view's
    /// columns are those of the group, in the order `columns`, and the number at `count`.
    GroupSize {
        /// The relation.
        rel: RelIx,
        /// Its index on the group's columns.
        index: IndexIx,
        /// By column of the view: the column of `rel`; `None` for the number.
        columns: Vec<Option<usize>>,
        /// Whether delta pipelines probe the view: then the visible number must be kept beside the group
        /// (it lags behind until the release).
        lags: bool,
    },
}

/// An aggregated head.
///
/// State: by values of `group`, the aggregates' states. A contribution (weight ±1; events: +1) is
/// `Emit::Contribute`: group values, arguments of each aggregate, and the binding for `index()`.
/// A group exists while it has combinations. A group of an aggregated view that received contributions since
/// its last release is dirty: at the release its old row (if it had one) is replaced by the new one (if it
/// has one) where they differ. Arguments of aggregates are evaluated when contributed, look-ups in the head of an
/// event when it is finished.
#[derive(Clone, Debug)]
pub struct AggregateSpec {
    /// The rule.
    pub rule: ir::RuleId,
    /// Group variables: name, and type if it can be told.
    pub group: Vec<(String, Option<ir::Tokens>)>,
    /// The aggregates, in order of appearance in the head.
    pub functions: Vec<AggregateColumn>,
    /// The head's columns over slots: first the group variables, then the results of `functions`. What it draws
    /// (`unique()`, `random()`) is drawn once per group: bindings are the group's variables in the order of their names.
    pub head: Vec<PExpr>,
    /// If the head is nothing but group variables and results: for each column its slot.
    pub plain: Option<Vec<usize>>,
    /// Whether different groups may give equal rows, so that rows of the view must be counted.
    pub merges: bool,
    /// `Index` or `IndexBy` occurs: each group gives one row for each of its bindings (`Index`) or different
    /// arguments (`IndexBy`) instead of one row. Numbers run through all contributions of the tick, whatever
    /// their group: `assign(b, index(), req)` numbers the requests.
    pub enumerates: bool,
}

/// One aggregate of a head.
#[derive(Clone, Debug)]
pub struct AggregateColumn {
    /// Which.
    pub function: ir::AggregateFn,
    /// Types of its arguments if they can be told.
    pub args: Vec<Option<ir::Tokens>>,
    /// `CountDistinct` only: within a group, each combination has its own `x`, so a counter suffices.
    pub each_once: bool,
    /// A combination may be taken back (views over something removable): `min` needs more than the best.
    pub retracts: bool,
}

/// A set of columns that are probed together. Columns are sorted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Index {
    /// The columns. Empty: the whole relation is scanned.
    pub columns: Vec<usize>,
    /// At most one row has given values of the columns.
    pub unique: bool,
    /// The columns are all columns (or contain the key): a test of membership, which any index can answer.
    pub membership: bool,
    /// Probed in version [`Old`](super::Version::Old) too: rows that vanished since *before* must be found by it.
    pub old: bool,
    /// Probed in version [`New`](super::Version::New) too: `news` must be found by it.
    pub new: bool,
}

/// Net changes that are kept for a state relation. "Visible" is meant throughout.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Track {
    /// `news`: rows that are true and not carried over, and `lost`: rows carried over that are not true.
    /// On +r: out of `lost` if it is there, else into `news`. On −r: out of `news` if it is there, else into
    /// `lost`. Both are cleared when phase A begins; `lost` again when it ends.
    pub new: bool,
    /// Net change since *before*: on +r, out of `removed` or into `added`; on −r the reverse. Both are cleared
    /// when a tick begins. Version `Old` is: visible, less `added`, plus `removed`.
    pub old: bool,
    /// Net change from end of tick to end of tick, for a timer.
    pub timer: bool,
}

/// Whether equal rows of an event relation may come about within a tick, and what to do.
///
/// Rows of events are sets; where nobody can notice a repetition, it may stay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dedup {
    /// No two equal rows can come about, or nobody would notice: just append.
    Never,
    /// Each rule by itself gives distinct rows; two rules might give the same one (rows scheduled by `<+`
    /// count as a rule).
    BetweenRules,
    /// Equal rows must be looked for.
    Always,
}
