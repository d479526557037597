//! Traces: what happened in a run, in the protocol's own words, to be told and drawn.
//!
//! A trace is for people and keeps no decision that a replay needs; it is made by replaying. Relations and
//! values are names and texts, so that a saved trace can be read without the protocol. Only what clients asked
//! and were told keeps its values, so that the history can be taken from it ([`Trace::history`]).
//!
//! Obligations of the writer: steps are in the order in which they happened and `time_us` never falls; a message's
//! number is used once, by its [`What::Send`] or the [`What::Duplicate`] that made it; nodes and clients are
//! positions in [`Trace::nodes`] and numbers below [`Trace::clients`]. [`Trace::problems`] checks them.

mod history;
mod step;
mod tell;
mod wellformed;

pub use step::{Answer, Change, Derived, Fact, Reply, RuleRef, Step, TickStep, What};
pub use tell::Detail;

use serde::{Deserialize, Serialize};
use std::fmt;

/// A run.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Trace {
    /// The protocol's name.
    pub protocol: String,
    /// What the run was: seed, options, why it was kept. Free text, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub about: Vec<String>,
    /// The nodes.
    pub nodes: Vec<NodeName>,
    /// How many clients there are.
    pub clients: usize,
    /// What happened.
    pub steps: Vec<Step>,
}

/// A node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodeName {
    /// Its role.
    pub role: String,
    /// Which instance.
    pub instance: u32,
    /// Which partition of it, if the role has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<u32>,
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.role, self.instance)?;
        self.partition.map_or(Ok(()), |p| write!(f, "/{p}"))
    }
}

/// Somebody who sends and receives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    /// Position in [`Trace::nodes`].
    Node(usize),
    /// A client's number.
    Client(usize),
}

impl Trace {
    /// A peer's name.
    pub fn name(&self, peer: Peer) -> String {
        match peer {
            Peer::Node(n) => self.nodes.get(n).map_or_else(|| format!("node {n}"), |node| node.to_string()),
            Peer::Client(c) => format!("client.{c}"),
        }
    }

    /// As JSON, one step per line.
    pub fn to_json(&self) -> String {
        let steps: Vec<String> = self
            .steps
            .iter()
            .map(|s| serde_json::to_string(s).expect("steps hold nothing that JSON lacks"))
            .collect();
        let head = serde_json::json!({
            "protocol": self.protocol, "about": self.about, "nodes": self.nodes, "clients": self.clients,
        })
        .to_string();
        format!("{},\"steps\":[\n{}\n]}}\n", &head[..head.len() - 1], steps.join(",\n"))
    }

    /// Reads what [`Trace::to_json`] wrote.
    pub fn from_json(text: &str) -> Result<Trace, serde_json::Error> {
        serde_json::from_str(text)
    }
}
