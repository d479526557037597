//! The syntax tree: what was written, before any name is resolved.
//!
//! Types, patterns and expressions are still tokens ([`Raw`]): what they mean depends on which names are
//! relations, and that is known only when the whole protocol has been read.

use super::cursor::Raw;
use crate::ir::{Constant, Delay, Delivery, PropertyKind, Schedule, Version};
use proc_macro2::{Ident, Span};

/// A protocol.
#[derive(Debug)]
pub struct Protocol {
    /// The name after `protocol`.
    pub name: Ident,
    /// Doc comment.
    pub docs: Vec<String>,
    /// Everything else, in source order.
    pub items: Vec<Item>,
}

/// A declaration or rule outside or inside an `at` block.
#[derive(Debug)]
pub enum Item {
    /// `use a::b;`, as written, without the semicolon.
    Use(Raw),
    /// `type T = U;`
    Alias(Ident, Raw),
    /// `role r;`
    Role(Role),
    /// `param p: T = d;`
    Param(Ident, Raw, Option<Constant>),
    /// `require e;`
    Require(Raw),
    /// Any declared relation.
    Relation(Box<Relation>),
    /// `machine m(..) -> (..) = T;`
    Machine(Box<Machine>),
    /// `at r { … }`
    At(Ident, Vec<Item>),
    /// A rule.
    Rule(Rule),
    /// `on body { … }`
    On(On),
    /// `never n(..) <= …;` and its kin.
    Never(Never),
    /// A declaration that could not be read: uses of its name are not mistakes of their own.
    Broken(Ident),
}

/// A declared role.
#[derive(Debug)]
pub struct Role {
    /// Its name.
    pub name: Ident,
    /// Doc comment.
    pub docs: Vec<String>,
    /// `of whole`.
    pub of: Option<Ident>,
    /// `partitioned`.
    pub partitioned: Option<Span>,
    /// `shares fate`.
    pub shares_fate: Option<Span>,
    /// `held`.
    pub held: Option<Span>,
    /// `sequencer`.
    pub sequencer: Option<Span>,
}

/// `routed ..`.
#[derive(Debug)]
pub enum Routing {
    /// `routed by e`.
    By(Raw),
    /// `routed to e`.
    To(Raw),
    /// `routed to all`.
    All(Span),
}

/// A declared relation.
#[derive(Debug)]
pub struct Relation {
    /// Its name.
    pub name: Ident,
    /// Doc comment.
    pub docs: Vec<String>,
    /// What it is.
    pub kind: Kind,
    /// `durable`.
    pub durable: Option<Span>,
    /// `ghost`.
    pub ghost: Option<Span>,
    /// `replicated`.
    pub replicated: Option<Span>,
    /// `routed ..`.
    pub routing: Option<Routing>,
    /// `ordered`, `logged`, `sealed`.
    pub delivery: Delivery,
    /// Its columns, unless they follow from the first rule.
    pub columns: Vec<Column>,
    /// Columns before `=>`.
    pub key: Option<usize>,
    /// The first rule, if the declaration is one.
    pub rule: Option<Rule>,
    /// The declaration.
    pub span: Span,
}

/// What kind of relation is declared.
#[derive(Debug)]
pub enum Kind {
    /// `message m(..) to role;`
    Message(Ident),
    /// `request r(..) -> (..) else E at role by k, resend;`
    Request {
        /// Who takes it.
        at: Ident,
        /// Columns of the answer.
        reply: Vec<Column>,
        /// Type of a refusal.
        error: Option<Raw>,
        /// `by column`.
        by: Option<Ident>,
        /// `, resend`.
        resend: bool,
    },
    /// `event`.
    Event,
    /// `table`.
    Table,
    /// `var`, with its first value.
    Var(Option<Raw>),
    /// `view`.
    View,
    /// `timer`.
    Timer(Schedule, Vec<(Ident, Delay)>, Vec<Literal>),
}

/// A column with its type.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: Ident,
    /// Its type.
    pub ty: Raw,
}

/// A machine.
#[derive(Debug)]
pub struct Machine {
    /// Its name.
    pub name: Ident,
    /// `durable`.
    pub durable: bool,
    /// What it is fed with.
    pub feed: Vec<Column>,
    /// What it answers.
    pub done: Vec<Column>,
    /// The Rust type.
    pub implementation: Raw,
    /// Doc comment.
    pub docs: Vec<String>,
    /// The declaration.
    pub span: Span,
}

/// A relation's name in a rule: `r` or `m.done`.
#[derive(Clone, Debug)]
pub struct Name {
    /// `r`, or the machine.
    pub base: Ident,
    /// What follows the dot.
    pub part: Option<Ident>,
}

impl Name {
    /// As written.
    pub fn text(&self) -> String {
        match &self.part {
            Some(part) => format!("{}.{part}", self.base),
            None => self.base.to_string(),
        }
    }
    /// Where.
    pub fn span(&self) -> Span {
        self.part.as_ref().map_or(self.base.span(), |p| super::cursor::join(self.base.span(), p.span()))
    }
}

/// What a head does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    /// `r(..) op`.
    Plain,
    /// `reply r(..) <~`.
    Reply,
    /// `refuse r(..) <~`.
    Refuse,
    /// `redirect r(..) <~`.
    Redirect,
    /// `forget r(..) <-`.
    Forget,
}

/// The operator between head and body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// `<=`
    Now,
    /// `<+`
    Next,
    /// `<-`
    Delete,
    /// `<~`
    Send,
}

impl Op {
    /// As written.
    pub fn text(self) -> &'static str {
        match self {
            Op::Now => "<=",
            Op::Next => "<+",
            Op::Delete => "<-",
            Op::Send => "<~",
        }
    }
}

/// The left side of a rule.
#[derive(Debug)]
pub struct Head {
    /// `reply` and the like.
    pub verb: Verb,
    /// The relation.
    pub name: Name,
    /// The arguments; in a declaration with `=>`, those before it.
    pub args: Raw,
    /// In a declaration with `=>`, the arguments after it.
    pub values: Option<Raw>,
    /// The receiver.
    pub to: Option<Raw>,
    /// The operator.
    pub op: Op,
    /// Where it stands.
    pub op_span: Span,
    /// All before the operator.
    pub span: Span,
}

/// A rule.
#[derive(Debug)]
pub struct Rule {
    /// Doc comment.
    pub docs: Vec<String>,
    /// Left side.
    pub head: Head,
    /// Right side, without the prefix of an enclosing `on`.
    pub body: Vec<Literal>,
    /// The whole.
    pub span: Span,
}

/// An `on` block.
#[derive(Debug)]
pub struct On {
    /// Doc comment.
    pub docs: Vec<String>,
    /// What all rules inside begin with.
    pub prefix: Vec<Literal>,
    /// The rules.
    pub rules: Vec<Rule>,
    /// `on` and the prefix.
    pub span: Span,
}

/// A part of a body.
#[derive(Clone, Debug)]
pub enum Literal {
    /// An atom.
    Atom(Atom),
    /// `new (..)`.
    NewJoin(Vec<Literal>, Span),
    /// `if e`.
    If(Raw),
    /// `let p = e`.
    Let(Raw, Raw),
    /// `for p in e`.
    For(Raw, Raw),
    /// What could not be read. It may have bound anything.
    Broken,
}

/// An atom.
#[derive(Clone, Debug)]
pub struct Atom {
    /// `!`.
    pub negated: bool,
    /// `old`, `new` or nothing.
    pub version: Version,
    /// The relation.
    pub name: Name,
    /// Its arguments.
    pub args: Raw,
    /// `at p`.
    pub at: Option<Raw>,
    /// The atom.
    pub span: Span,
}

/// An invariant or another property.
#[derive(Debug)]
pub struct Never {
    /// `never`, `sometimes` or `eventually`.
    pub kind: PropertyKind,
    /// Its name.
    pub name: Ident,
    /// What to report.
    pub args: Raw,
    /// When it is violated.
    pub body: Vec<Literal>,
    /// Doc comment.
    pub docs: Vec<String>,
    /// The whole.
    pub span: Span,
}
