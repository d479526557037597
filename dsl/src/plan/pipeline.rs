//! Pipelines: one start, then probes, filters and bindings in a fixed order, then heads.

use super::types::{IndexIx, RelIx};
use crate::ir;

/// A variable of a pipeline: position in [`Pipeline::vars`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot(pub u32);

impl Slot {
    /// As a position in a vector.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A variable. Every slot is bound exactly once on every path, before it is used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Variable {
    /// The name in the rule (expressions refer to it by this name). Hidden ones begin with `__`.
    pub name: String,
    /// An occurrence that binds it, for spans.
    pub place: ir::Place,
    /// Its type, if it stands for a column.
    pub ty: Option<ir::Tokens>,
}

/// A nested loop: for each row of the start, carry out `ops` in order, then every tail.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Where it comes from, for messages. Several rules of one `on` block may share a pipeline: see tails.
    pub rule: Option<ir::RuleId>,
    /// Its variables.
    pub vars: Vec<Variable>,
    /// What it loops over first.
    pub start: Start,
    /// What all tails share.
    pub ops: Vec<Op>,
    /// Continuations, each with a head; independent of each other.
    pub tails: Vec<Tail>,
    /// Delta pipelines: the changed atom is negated in the rule, so weights change sign.
    pub negated: bool,
}

/// What follows the shared part of a pipeline.
#[derive(Clone, Debug)]
pub struct Tail {
    /// The rule.
    pub rule: Option<ir::RuleId>,
    /// More probes and filters.
    pub ops: Vec<Op>,
    /// The head.
    pub emit: Emit,
    /// Provided that rows of the start are distinct, no two emissions of this tail in one run over all of
    /// them are equal.
    pub distinct: bool,
}

/// The outermost loop.
#[derive(Clone, Debug)]
pub enum Start {
    /// Once, without a row.
    Unit,
    /// Over rows.
    Rows {
        /// Of this relation.
        rel: RelIx,
        /// Which of them.
        source: Source,
        /// What to do with each column.
        cols: Vec<Col>,
    },
}

/// Which rows a pipeline starts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// All rows: an event's list, or a scan of a state relation.
    All,
    /// `news` of a tracked state relation.
    New,
    /// The one row that is being applied (or, in a [`Fixpoint`](super::Fixpoint), the fact taken from its queue).
    Change,
}

/// One operation.
#[derive(Clone, Debug)]
pub enum Op {
    /// For each matching row.
    Probe(Access),
    /// Goes on iff there is no matching row. All its [`Col::Bind`]s are absent.
    Absent(Access),
    /// Goes on iff it holds.
    If(PExpr),
    /// Goes on iff the value matches.
    Let(Col, PExpr),
    /// For each item that matches.
    For(Col, PExpr),
}

/// An access to rows of a relation by an index.
#[derive(Clone, Debug)]
pub struct Access {
    /// The relation.
    pub rel: RelIx,
    /// Which version of it.
    pub version: Version,
    /// The index. Its columns all have [`Col::Check`] (if it has none: a scan).
    pub index: IndexIx,
    /// What to do with each column. Order of evaluation: probe with the `Check`s of the index's columns, then,
    /// from left to right, compare other `Check`s and `Same`s, bind `Bind`s, match `Match`es.
    pub cols: Vec<Col>,
    /// Leave out the row that the pipeline started from (self-joins, and last or first matches of negated
    /// atoms; the start is a [`Source::Change`] of the same relation).
    pub exclude_start: bool,
    /// At most one row matches.
    pub unique: bool,
    /// One match is enough: the rest cannot make a difference to the heads (nothing is bound, and heads
    /// are sets).
    pub once: bool,
}

/// Which rows of a relation an access sees.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Version {
    /// Visible rows; for events the list.
    Now,
    /// Visible rows as of *before*.
    Old,
    /// `news`.
    New,
    /// In pipelines of a recursive unit that is being recomputed: the new rows of its members so far.
    Work,
}

/// What to do with one value: a column of a row, or the value of a `let` or `for`.
#[derive(Clone, Debug)]
pub enum Col {
    /// Nothing (`_`).
    Skip,
    /// Bind a variable.
    Bind(Slot),
    /// Compare with a value that is known before the access: a bound variable, or an expression over bound
    /// variables, constants, parameters and `me`. In a start or `let`/`for`: compare afterwards.
    Check(PExpr),
    /// Compare with a variable that another column of the same access binds (further to the left).
    Same(Slot),
    /// Match a Rust pattern. By variable of [`ir::NestedPattern::vars`], in order: its slot, and whether it is
    /// bound here (`true`) or compared (`false`).
    Match(ir::NestedPattern, Vec<(Slot, bool)>),
}

/// An expression over slots.
#[derive(Clone, Debug)]
pub enum PExpr {
    /// A variable.
    Var(Slot),
    /// Rust.
    Rust(RustExpr),
    /// In view rules, a look-up of this relation that an [`Op::Probe`] has carried out: `Some` of these slots
    /// (a tuple if several).
    Found(RelIx, Vec<Slot>),
    /// In view rules, a look-up of this relation in the case without a row (an [`Op::Absent`] made sure): `None`.
    Missing(RelIx),
}

/// A Rust expression over slots.
#[derive(Clone, Debug)]
pub struct RustExpr {
    /// The expression; its variables are slots by name ([`RustExpr::vars`]).
    pub expr: ir::Expr,
    /// By variable of [`ir::Expr::vars`]: its slot.
    pub vars: Vec<Slot>,
    /// By hole of the expression: where its value comes from.
    pub holes: Vec<Hole>,
}

/// The value of a hole.
#[derive(Clone, Debug)]
pub enum Hole {
    /// Probe at evaluation (event rules): `Some` of the value columns of the row with that key, in version
    /// `Now`. Several value columns give a tuple.
    Lookup {
        /// The keyed relation.
        rel: RelIx,
        /// Its index on the key columns.
        index: IndexIx,
        /// The key.
        key: Vec<PExpr>,
    },
    /// The value of a slot: a look-up that the pipeline has made (view rules), or the result of an aggregate
    /// (in [`AggregateSpec::head`](super::AggregateSpec::head)).
    Slot(Slot),
    /// `unique()`: one id per different value of `binding`; `route`'s stable hash is the routing value.
    Unique {
        /// All named variables of the body that stand before the expression.
        binding: Vec<Slot>,
        /// The first column of the first positive event of the body.
        route: Option<Slot>,
        /// No two evaluations in a tick have equal bindings, so each may simply draw. Otherwise what was drawn for a binding
        /// must be remembered for the tick.
        fresh: bool,
    },
    /// `random()`: one number per different value of `binding`.
    Random {
        /// All named variables of the body that stand before the expression.
        binding: Vec<Slot>,
    },
    /// `now_ms()`.
    NowMs,
}

/// What a tail does for each binding.
#[derive(Clone, Debug)]
pub enum Emit {
    /// Events and machine inputs: append. Tables: insert (phase C: conflict if a keyed row differs, merge if
    /// lattice). Views: accumulate the row with the pipeline's weight; recursive views: a candidate.
    Row {
        /// The relation.
        rel: RelIx,
        /// Its columns.
        args: Vec<PExpr>,
    },
    /// Contribute to an aggregated event or view.
    Contribute {
        /// The relation.
        rel: RelIx,
        /// Values of [`AggregateSpec::group`](super::AggregateSpec::group).
        group: Vec<Slot>,
        /// By aggregate: its arguments.
        args: Vec<Vec<PExpr>>,
        /// The tuple that `index()` numbers: all named variables of the body, in order of first appearance (empty
        /// if `index()` does not occur).
        binding: Vec<Slot>,
    },
    /// `<+`: schedule a row. Events: it is in the list when the next tick begins. Tables: phase B.
    Next {
        /// The relation.
        rel: RelIx,
        /// Its columns.
        args: Vec<PExpr>,
    },
    /// `<-`: schedule the deletion of all rows of *now* with these values. It suffices to keep the key and to
    /// look for rows in phase A, before anything is changed.
    Delete {
        /// The table.
        rel: RelIx,
        /// Its index on the given columns.
        index: IndexIx,
        /// By column: its value, `None` for `_`.
        args: Vec<Option<PExpr>>,
        /// May be late, row by row, or never: an engine does it at once.
        forget: bool,
    },
    /// `<~`: send.
    Send {
        /// The message.
        rel: ir::RelId,
        /// Its columns.
        args: Vec<PExpr>,
        /// The receiver.
        to: PExpr,
    },
    /// `reply`.
    Reply {
        /// The request.
        rel: ir::RelId,
        /// Which one is answered.
        req: PExpr,
        /// Columns of the answer.
        args: Vec<PExpr>,
    },
    /// `refuse`.
    Refuse {
        /// The request.
        rel: ir::RelId,
        /// Which one is answered.
        req: PExpr,
        /// The error.
        error: PExpr,
    },
    /// `redirect`.
    Redirect {
        /// The request.
        rel: ir::RelId,
        /// Which one is answered.
        req: PExpr,
        /// The instance to try.
        to: PExpr,
    },
}
