//! Pictures of a protocol: roles as clusters, relations and rules as nodes, messages between roles.
//!
//! [`Graph`] says what there is; [`dot`](Graph::dot), [`mermaid`](Graph::mermaid) and [`svg`](Graph::svg)
//! write it. The first two leave the layout to other programs; the last is laid out here ([`layered`]) and
//! needs nothing but a browser.
//!
//! An `on` block is one node, since its rules fire together. The static relations of instances
//! (`participant(p)`) are left out: they are in every broadcast and explain nothing.

mod build;
mod lanes;
mod layered;
mod svg;
mod text;

/// A protocol as a picture shows it.
#[derive(Clone, Debug)]
pub struct Graph {
    /// The protocol's name.
    pub name: String,
    /// The first line of its documentation.
    pub about: String,
    /// The file that places are in.
    pub file: String,
    /// One cluster per role.
    pub roles: Vec<Cluster>,
    /// What goes from role to role, and from and to clients.
    pub wires: Vec<Wire>,
}

/// A role with what is in it.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The role's name.
    pub name: String,
    /// The role that it is a part of: position in [`Graph::roles`].
    pub whole: Option<usize>,
    /// Relations and rules.
    pub nodes: Vec<Node>,
    /// Between nodes, by position.
    pub edges: Vec<Edge>,
}

/// A relation or rule.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// The relation with its columns, or the rule's number of lines.
    pub title: String,
    /// Line in the file; 0 if unknown.
    pub line: usize,
    /// All of it: the declaration's documentation, or the rules.
    pub full: String,
}

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeKind {
    /// A message that arrives.
    Message,
    /// A request by a client.
    Request,
    /// A timer.
    Timer,
    /// A derived event.
    Event,
    /// A table or variable; whether it is durable.
    Table(bool),
    /// A view.
    View,
    /// A machine or a part of one.
    Machine,
    /// A message or answer that leaves.
    Output,
    /// A rule or `on` block.
    Rule,
}

/// From a relation to a rule that reads it, or from a rule to a relation that it changes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Edge {
    /// Position of its beginning in [`Cluster::nodes`].
    pub from: usize,
    /// Position of its end.
    pub to: usize,
    /// What it means.
    pub kind: EdgeKind,
}

/// What an edge means.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum EdgeKind {
    /// The rule runs when this happens: an event, or `new` of a state.
    Trigger,
    /// The rule reads this state.
    Read,
    /// The rule asks that there is no such row, or aggregates over it.
    Negated,
    /// `<=`, and sending.
    Now,
    /// `<+`.
    Next,
    /// `<-`.
    Delete,
    /// Within a machine.
    Inner,
}

/// Something that crosses between roles.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wire {
    /// The sending role; `None` is a client.
    pub from: Option<usize>,
    /// The receiving role; `None` is a client.
    pub to: Option<usize>,
    /// The message with its columns, or the request or answer.
    pub title: String,
    /// Lines of the rules that send it.
    pub sent: Vec<usize>,
    /// Lines of the rules that take it.
    pub taken: Vec<usize>,
    /// A request or its answer, rather than a message.
    pub client: bool,
}

impl Graph {
    /// Roles in the order of drawing: each whole, then its parts.
    pub(super) fn families(&self) -> Vec<Vec<usize>> {
        let parts = |whole: usize| (0..self.roles.len()).filter(move |&r| self.roles[r].whole == Some(whole));
        let wholes = (0..self.roles.len()).filter(|&r| self.roles[r].whole.is_none());
        wholes.map(|whole| std::iter::once(whole).chain(parts(whole)).collect()).collect()
    }
    /// A role as a title: parts name their whole.
    pub(super) fn role_title(&self, role: usize) -> String {
        match self.roles[role].whole {
            Some(whole) => format!("{} of {}", self.roles[role].name, self.roles[whole].name),
            None => self.roles[role].name.clone(),
        }
    }
    /// `file:line`.
    pub fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.file)
    }
}
