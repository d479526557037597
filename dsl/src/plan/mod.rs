//! The physical plan of a role: what lies between rules and Rust.
//!
//! Lowering turns the checked rules of one role into a [`RolePlan`]: relations (hidden ones
//! included), one [index](types::Index) per set of columns that is ever probed, [pipelines](pipeline::Pipeline)
//! with a join order chosen from bound variables, and the [steps](step::Step) of a tick in stratified order.
//! Two things carry plans out: the executor in the verifier, over erased values, and generated Rust. The plan
//! says everything that both need, so that they can only differ in how, not in what.
//!
//! # State between ticks
//! A node rests in *before*: tables, and views that agree with them. Each relation's rows of that moment are
//! its *visible* rows. With `track.new`, a relation also carries `news` and `lost`, with `track.old` its net
//! change since *before*, see [`types::Track`].
//!
//! # Changing a state relation
//! Whenever a table's row is inserted or deleted, and whenever a view's row appears or vanishes, the change is
//! *applied*, one row at a time, by this procedure ([`types::Relation`] names the fields):
//! 1. insertion: put the row into storage (all indexes);
//! 2. run each pipeline of `deltas` from the row, with weight +1 for insertion and −1 for deletion (times −1
//!    if the pipeline is `negated`); whatever a pipeline emits into a view is only *accumulated* there;
//! 3. deletion: take the row out of storage;
//! 4. update `news`/`lost`, the net change against *before*, and the timer's net change; mark the
//!    recomputed units in `dirties`; for each of `watchers`, on deletion, note the rows to insert again.
//!
//! Accumulated changes of a view become visible when its [unit](step::Unit) is *released*: rows whose
//! truth really differs are applied by the same procedure. So at any time a view's counts are those of the
//! visible rows of what it reads, whatever the order of changes ("eager derivation, lazy release"): every
//! application is one term of a telescoping sum. Of the changes to be applied at a release, deletions come
//! first, so that a keyed view never shows two rows of a key.
//!
//! A replaced row (keyed `<+`, merged lattice) is a deletion, then an insertion.
//!
//! # A tick
//! 1. Event lists are cleared; inputs and the events that the last tick scheduled are appended. Timer rows
//!    that do not hold now (in the timer's rows view) are dropped. Net changes against *before* are cleared.
//! 2. *Phase C*: [`RolePlan::steps`], in order. The state is then *now*.
//! 3. *Phase A*: `news` and `lost` are cleared. All scheduled deletions (rows that match in *now*, less the
//!    scheduled insertions) and all rows which keyed scheduled insertions replace are applied as deletions.
//!    All units are released in order ([`RolePlan::units`]). Then every `lost` is cleared: *carried* is now.
//! 4. *Phase B*: scheduled insertions are applied, all units released. The state is *after*.
//! 5. Timers: net changes of their rows views over this whole tick start and stop waiting.
//!
//! A tick must follow at once if tables changed between *now* and *after*, or if events were scheduled.
//!
//! # The beginning
//! From nothing (no rows at all): run [`RolePlan::init`] (emissions are accumulated as usual), apply all
//! static rows and first values of variables, apply restored durable rows, release all units. Then clear
//! all of `news`, `lost` and net changes (but timers keep theirs: all rows begin to wait at the end of the
//! first tick).
//!
//! Omitted: log records and wire formats (the code generator knows tables and messages from the IR).

pub mod display;
pub mod facts;
pub mod lower;
pub mod pipeline;
pub mod step;
pub mod types;

pub use lower::lower;
pub use pipeline::{
    Access, Col, Emit, Hole, Op, PExpr, Pipeline, RustExpr, Slot, Source, Start, Tail, Variable, Version,
};
pub use step::{Fixpoint, FixpointDelta, RecursiveUnit, RolePlan, Standing, Step, Unit};
pub use types::{
    AggregateColumn, AggregateSpec, Class, Column, Dedup, Index, IndexIx, InputKind, RelIx, Relation, Track,
    ViewKind, ViewStorage,
};

#[cfg(test)]
mod tests;
