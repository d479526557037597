//! The rule IR: a protocol after names and types are resolved and all checks have passed.
//!
//! Everything downstream (printer, plans, code generation, reference interpreter, rewriter) reads only
//! this. Expressions and nested patterns are opaque *leaves* with known variables; each has a number,
//! [`LeafId`], under which generated code offers it as a thunk. Spans travel with every part, but do not
//! take part in equality, so that `parse(print(ir)) == ir`.

use proc_macro2::{Span, TokenStream};
use std::fmt;

/// A source position that is carried along and ignored by comparisons.
#[derive(Clone, Copy)]
pub struct Place(pub Span);

impl PartialEq for Place {
    fn eq(&self, _: &Place) -> bool {
        true
    }
}
impl Eq for Place {}
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.0.start();
        write!(f, "{}:{}", start.line, start.column + 1)
    }
}
impl Default for Place {
    fn default() -> Place {
        Place(Span::call_site())
    }
}

/// Rust tokens, compared one by one; whether operators touched each other (`==-1`) does not count.
#[derive(Clone)]
pub struct Tokens(pub TokenStream);

impl PartialEq for Tokens {
    fn eq(&self, other: &Tokens) -> bool {
        let texts = |t: &Tokens| {
            crate::fmt::lex::from_stream(&t.0).into_iter().map(|tok| tok.text).collect::<Vec<_>>()
        };
        texts(self) == texts(other)
    }
}
impl Eq for Tokens {}
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(pub u32);
        impl $name {
            /// The position in the protocol's vector of these.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}
ids! {
    /// A role: index into [`Protocol::roles`].
    RoleId
    /// A relation: index into [`Protocol::relations`].
    RelId
    /// A rule: index into [`Protocol::rules`].
    RuleId
    /// An `on` block: rules with the same id were written in one block.
    GroupId
    /// A machine: index into [`Protocol::machines`].
    MachineId
    /// An expression or nested pattern, numbered in order of appearance in the canonical text.
    LeafId
}

/// A checked protocol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Protocol {
    /// The name after `protocol`, also the name of the generated module.
    pub name: String,
    /// Doc comment lines, without the slashes.
    pub docs: Vec<String>,
    /// `use` declarations, verbatim.
    pub uses: Vec<Tokens>,
    /// `type` declarations.
    pub aliases: Vec<Alias>,
    /// Roles, in order of declaration.
    pub roles: Vec<Role>,
    /// Deployment parameters.
    pub params: Vec<Param>,
    /// Conditions on the deployment (`require`).
    pub requires: Vec<Expr>,
    /// All relations: declared ones and those that come with roles, machines and incarnations.
    pub relations: Vec<Relation>,
    /// `machine` declarations.
    pub machines: Vec<Machine>,
    /// All rules, in source order.
    pub rules: Vec<Rule>,
    /// Invariants (`never`).
    pub invariants: Vec<Invariant>,
    /// The span of the protocol's name.
    pub place: Place,
}

/// `type Ballot = (u64, proposer);`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alias {
    /// The new name.
    pub name: String,
    /// What it stands for.
    pub ty: Tokens,
    /// The declaration.
    pub place: Place,
}

/// `role acceptor;`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Role {
    /// The name, also the name of the generated address type.
    pub name: String,
    /// Doc comment lines.
    pub docs: Vec<String>,
    /// The unary static relation `acceptor(a)` of all instances.
    pub relation: RelId,
    /// The relation `start(n)` of this role.
    pub start: RelId,
    /// `role ender of coordinator`: a part of that role. It has the same instances, its nodes say `me` to the same
    /// addresses, and an address of the whole family chooses the part by the message that is sent to it.
    /// Never itself a part: parts of parts name the role at the root.
    pub part_of: Option<RoleId>,
    /// `partitioned`: an instance may consist of several nodes; every input says how it is routed.
    pub partitioned: bool,
    /// `shares fate`: restarts together with the other parts of its instance that share fate, behind a barrier.
    pub shares_fate: bool,
    /// `held`: what a node sends leaves once the receivers of its ordered streams have taken what it streamed
    /// to them in the same macro-step and before.
    pub held: bool,
    /// `sequencer`: its replicated tables are copied to all partitions of the role that it is a part of.
    pub sequencer: bool,
    /// The declaration.
    pub place: Place,
}

impl Role {
    /// A role as `role name;` declares it: whole, not partitioned.
    pub fn whole(name: String, docs: Vec<String>, relation: RelId, start: RelId, place: Place) -> Role {
        Role {
            name,
            docs,
            relation,
            start,
            part_of: None,
            partitioned: false,
            shares_fate: false,
            held: false,
            sequencer: false,
            place,
        }
    }
}

/// `param patience: Duration = 500ms;`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Param {
    /// The name.
    pub name: String,
    /// The type.
    pub ty: Tokens,
    /// The default; a deployment must give a value where there is none.
    pub default: Option<Constant>,
    /// The declaration.
    pub place: Place,
}

/// A parameter's default.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Constant {
    /// A duration literal, in milliseconds.
    Millis(u64),
    /// Any other Rust expression.
    Rust(Tokens),
}

/// A relation of one role, or a message or request that reaches it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relation {
    /// The name as written in rules; for parts of machines with a dot (`kv.done`).
    pub name: String,
    /// Doc comment lines.
    pub docs: Vec<String>,
    /// Whose rules may read it. `None`: static relations of roles, which all may read.
    pub role: Option<RoleId>,
    /// What it is.
    pub kind: RelationKind,
    /// Columns, types resolved.
    pub columns: Vec<Column>,
    /// `Some(k)`: the first k columns are a key of the rest (`Some(0)`: at most one row).
    /// `None`: a set of rows. Lattice columns are always outside the key.
    pub key: Option<usize>,
    /// Survives a crash.
    pub durable: bool,
    /// Read only by invariants.
    pub ghost: bool,
    /// `routed ..`: which partition takes a message or request, or keeps a row of a table. `None` where the role is
    /// not partitioned, and for tables whose rows need not move when the number of partitions changes.
    pub routing: Option<Routing>,
    /// How a message travels.
    pub delivery: Delivery,
    /// `replicated table`: written by the sequencer, read by the partitions.
    pub replicated: bool,
    /// The rule that declared it (`event e(..) <= ..`), for printing.
    pub declared_by: Option<RuleId>,
    /// The declaration.
    pub place: Place,
}

/// Which partition of the receiving instance takes a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Routing {
    /// `routed by e`: the one that the stable routing hash of an expression over the columns' names chooses.
    By(Expr),
    /// `routed to e`: the one with this number (`u64`, from 0).
    To(Expr),
    /// `routed to all`: every one.
    All,
}

/// How a message travels. By default: after any delay, in any order, not at all if an end crashes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Delivery {
    /// `ordered`: all ordered messages from one node to another form a stream of units. A unit is what one
    /// macro-step sent, it arrives whole, in the sender's order, at most one per macro-step.
    pub ordered: bool,
    /// `logged`: kept by the sender, across its crashes, until it is durable at the receiver.
    pub logged: bool,
    /// `sealed`: every partition of the sender sends its part; the receiver takes the combined whole.
    pub sealed: bool,
}

/// What a relation is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RelationKind {
    /// A static relation: the instances of a role.
    Instances(RoleId),
    /// `start(n)`: event of an incarnation's first tick.
    Start,
    /// A message to a role.
    Message,
    /// A request by a client; the first column is its `Req`.
    Request(Request),
    /// A derived event.
    Event,
    /// A table.
    Table,
    /// A table of exactly one row (`key == Some(0)`), with its first value; `None` for lattices' bottom.
    Var(Option<Expr>),
    /// A view.
    View,
    /// A timer.
    Timer(Timer),
    /// `kv(slot, command) <= …`: feeds a machine (head only).
    MachineFeed(MachineId),
    /// `kv.done(slot, reply)`: event.
    MachineDone(MachineId),
    /// `kv.next(n)`: state, the first slot not yet applied.
    MachineNext(MachineId),
    /// `kv.save(tag) <= …`: asks for an image (head only).
    MachineSave(MachineId),
    /// `kv.saved(tag, n, bytes)`: event.
    MachineSaved(MachineId),
    /// `kv.load(n, bytes) <= …`: jumps forward (head only).
    MachineLoad(MachineId),
}

/// The client's side of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// Columns of the answer.
    pub reply: Vec<Column>,
    /// Type of a refusal (`else Error`).
    pub error: Option<Tokens>,
    /// May be repeated with the same `Req`, at other instances too.
    pub resend: bool,
    /// `at store by key`: the column whose hash chooses the instance.
    pub by: Option<usize>,
}

/// When a timer's rows fire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Timer {
    /// Once, or again and again.
    pub schedule: Schedule,
    /// The rows: bindings of the timer's columns under which this holds. Empty: one row, always.
    pub rows: Vec<Literal>,
}

/// The delays of a timer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Schedule {
    /// `after d`: once per row.
    After {
        /// Delay since the row appeared.
        delay: Delay,
        /// Up to this much more, at random.
        jitter: Option<Delay>,
    },
    /// `every a..b`: repeatedly, the delay doubling from a to b (`every a`: always a).
    Every {
        /// First delay.
        from: Delay,
        /// Greatest delay.
        to: Option<Delay>,
        /// Up to this much more each time, at random.
        jitter: Option<Delay>,
    },
}

/// A duration in a timer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Delay {
    /// Milliseconds.
    Millis(u64),
    /// The value of a parameter.
    Param(String),
}

/// A column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    /// The name, given or made up from the defining rule.
    pub name: String,
    /// The type of the values in rows; for `Max<T>` this is `T`.
    pub ty: Tokens,
    /// A lattice column merges instead of conflicting.
    pub lattice: Option<Lattice>,
    /// Its span.
    pub place: Place,
}

/// How a lattice column merges.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lattice {
    /// `Max<T>`: the greater value stays.
    Max,
    /// `Min<T>`: the smaller value stays.
    Min,
}

/// `machine kv(slot: u64, value: Value) -> (done: T) = Type;`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Machine {
    /// The name, also that of the feeding relation.
    pub name: String,
    /// Where it runs.
    pub role: RoleId,
    /// Restarts at the tick of the durable tables.
    pub durable: bool,
    /// The Rust type, which implements the runtime's `Machine`.
    pub implementation: Tokens,
    /// `kv(slot, command)`.
    pub feed: RelId,
    /// `kv.done(slot, reply)`.
    pub done: RelId,
    /// `kv.next(n)`.
    pub next: RelId,
    /// `kv.save(tag)`.
    pub save: RelId,
    /// `kv.saved(tag, n, bytes)`.
    pub saved: RelId,
    /// `kv.load(n, bytes)`.
    pub load: RelId,
    /// The declaration.
    pub place: Place,
}

/// A rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Whose rule it is.
    pub role: RoleId,
    /// What it derives.
    pub head: Head,
    /// Under which conditions. The literals of an enclosing `on` come first.
    pub body: Vec<Literal>,
    /// The enclosing `on` block and how many literals of `body` are its prefix.
    pub on: Option<(GroupId, usize)>,
    /// Doc comment and comment lines directly before the rule, kept for printing.
    pub docs: Vec<String>,
    /// The whole rule.
    pub place: Place,
}

/// What a rule derives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Head {
    /// `<=`: now. Events, tables, views, machine inputs.
    Now {
        /// The relation.
        rel: RelId,
        /// One expression per column.
        args: Vec<Expr>,
    },
    /// `<+`: at the next tick. Events and tables.
    Next {
        /// The relation.
        rel: RelId,
        /// One expression per column.
        args: Vec<Expr>,
    },
    /// `<-`: delete after this tick. Tables.
    Delete {
        /// The table.
        rel: RelId,
        /// `None` is `_`, which matches anything.
        args: Vec<Option<Expr>>,
        /// May see its events late, row by row, or never.
        forget: bool,
    },
    /// `m(args) @ to <~`: send.
    Send {
        /// The message.
        rel: RelId,
        /// One expression per column.
        args: Vec<Expr>,
        /// The receiver, an address of the message's role.
        to: Expr,
    },
    /// `reply request(req, args) <~`.
    Reply {
        /// The request.
        rel: RelId,
        /// Which one is answered.
        req: Expr,
        /// One expression per reply column.
        args: Vec<Expr>,
    },
    /// `refuse request(req, error) <~`.
    Refuse {
        /// The request.
        rel: RelId,
        /// Which one is answered.
        req: Expr,
        /// The error.
        error: Expr,
    },
    /// `redirect request(req, other) <~`.
    Redirect {
        /// The request.
        rel: RelId,
        /// Which one is answered.
        req: Expr,
        /// The instance to try instead.
        to: Expr,
    },
    /// An `on` block with nothing inside: consumes an event and does nothing.
    Nothing,
}

/// A part of a body. Literals bind from left to right as far as variables go: an expression may use what
/// stands before it; atoms may be evaluated in any order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Literal {
    /// `r(..)`, `!r(..)`, `old r(..)`, `new r(..)`.
    Atom(Atom),
    /// `new (a, b, if c)`: `new` of the join, projected to its named variables. Holds only plain positive
    /// atoms over state, `if`, `let` and `for`.
    NewJoin(Vec<Literal>, Place),
    /// `if e`.
    If(Expr),
    /// `let P = e`: binds, and filters where refutable.
    Let(Pattern, Expr),
    /// `for p in e`: one binding per item.
    For(Pattern, Expr),
}

/// An atom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Atom {
    /// The relation.
    pub rel: RelId,
    /// Which version of it.
    pub version: Version,
    /// `!`.
    pub negated: bool,
    /// One pattern per column.
    pub args: Vec<Pattern>,
    /// In invariants, `at p`: where. `None` elsewhere.
    pub at: Option<Pattern>,
    /// The atom.
    pub place: Place,
}

/// Which version of a relation an atom reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// The fixpoint of this tick.
    Now,
    /// What the tick began with.
    Old,
    /// True now and not carried over.
    New,
}

/// A pattern for one value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pattern {
    /// `_`.
    Wild(Place),
    /// A variable: binds at its first occurrence, compares at later ones.
    Var(Var),
    /// A literal, constant path, parameter or `me`: compares.
    Value(Expr),
    /// Any other Rust pattern.
    Nested(NestedPattern),
}

/// A variable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Var {
    /// The name.
    pub name: String,
    /// This occurrence.
    pub place: Place,
}

/// A Rust pattern such as `Some((req, _))`. Variables in it that are bound already compare.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NestedPattern {
    /// Its number.
    pub leaf: LeafId,
    /// The pattern.
    pub tokens: Tokens,
    /// The variables in it, in order.
    pub vars: Vec<Var>,
    /// The pattern.
    pub place: Place,
}

/// An expression: Rust, in which parts that are not Rust have been replaced by identifiers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expr {
    /// Its number.
    pub leaf: LeafId,
    /// Rust tokens; hole number i stands as the identifier `__hole{i}`.
    pub tokens: Tokens,
    /// The parts that are not Rust.
    pub holes: Vec<Hole>,
    /// Variables of the rule that occur in `tokens` (not those inside holes), by first occurrence.
    pub vars: Vec<String>,
    /// `Some(v)` if the whole expression is the variable v.
    pub var: Option<String>,
    /// The expression.
    pub place: Place,
}

/// A part of an expression that the language defines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Hole {
    /// `t[k1, k2]`: `Option` of the value columns under that key (`t[]` for no key).
    Lookup {
        /// A keyed relation.
        rel: RelId,
        /// One expression per key column.
        args: Vec<Expr>,
        /// The look-up.
        place: Place,
    },
    /// An aggregate (heads only).
    Aggregate(Aggregate),
    /// `unique()`.
    Unique,
    /// `now_ms()`.
    NowMs,
    /// `random()`.
    Random,
}

/// An aggregate over the bindings that agree on the head's other variables.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Aggregate {
    /// Which.
    pub function: AggregateFn,
    /// Its arguments, none to two.
    pub args: Vec<Expr>,
    /// The aggregate.
    pub place: Place,
}

/// Aggregate functions. `u64` results: `Count*`, `Index*`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub enum AggregateFn {
    /// `count()`: matches.
    Count,
    /// `count(x)`: different x.
    CountDistinct,
    /// `sum(n)`: once per combination of matched rows.
    Sum,
    /// `min(x)`.
    Min,
    /// `max(x)`.
    Max,
    /// `min(b => v)`: the v of the least b, ties by v.
    MinBy,
    /// `max(b => v)`: the v of the greatest b, ties by v.
    MaxBy,
    /// `collect(x)`: all, sorted, once per combination of matched rows, as `Vec`.
    Collect,
    /// `choose(x)`: one, by the tick's seed.
    Choose,
    /// `index()`: from 0, in seeded order.
    Index,
    /// `index(x)`: from 0, in order of x.
    IndexBy,
    /// `first_gap(n)`: least natural number missing.
    FirstGap,
}

/// What a property says of its body.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PropertyKind {
    /// `never`: in no state of any run.
    #[default]
    Never,
    /// `sometimes`: in some state of some run, or the runs tested nothing.
    Sometimes,
    /// `eventually name(..) within d`: once faults have stopped, in some state within this many milliseconds.
    Eventually {
        /// The bound, of virtual time.
        within_ms: u64,
    },
}

/// `never name(args) <= body;` and its kin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invariant {
    /// Which kind of property.
    pub kind: PropertyKind,
    /// The name.
    pub name: String,
    /// What to report.
    pub args: Vec<Expr>,
    /// When it is violated; atoms carry `at`.
    pub body: Vec<Literal>,
    /// Doc comment lines.
    pub docs: Vec<String>,
    /// The invariant.
    pub place: Place,
}

impl Protocol {
    /// The relation under an id.
    pub fn relation(&self, id: RelId) -> &Relation {
        &self.relations[id.index()]
    }
    /// The role under an id.
    pub fn role(&self, id: RoleId) -> &Role {
        &self.roles[id.index()]
    }
    /// The role at the root of a part's family; a whole role is its own.
    pub fn family(&self, id: RoleId) -> RoleId {
        self.role(id).part_of.unwrap_or(id)
    }
    /// The rules of one role, with their ids.
    pub fn rules_of(&self, role: RoleId) -> impl Iterator<Item = (RuleId, &Rule)> {
        self.rules.iter().enumerate().filter(move |(_, r)| r.role == role).map(|(i, r)| (RuleId(i as u32), r))
    }
}

impl Relation {
    /// Whether rows last for one tick only.
    pub fn is_event(&self) -> bool {
        use RelationKind::*;
        matches!(
            self.kind,
            Start
                | Message
                | Request(_)
                | Event
                | Timer(_)
                | MachineFeed(_)
                | MachineDone(_)
                | MachineSave(_)
                | MachineSaved(_)
                | MachineLoad(_)
        )
    }
    /// Whether it is a table or variable.
    pub fn is_table(&self) -> bool {
        matches!(self.kind, RelationKind::Table | RelationKind::Var(_))
    }
}

impl Head {
    /// The relation that the rule writes or answers.
    pub fn relation(&self) -> Option<RelId> {
        match self {
            Head::Now { rel, .. }
            | Head::Next { rel, .. }
            | Head::Delete { rel, .. }
            | Head::Send { rel, .. }
            | Head::Reply { rel, .. }
            | Head::Refuse { rel, .. }
            | Head::Redirect { rel, .. } => Some(*rel),
            Head::Nothing => None,
        }
    }
}
