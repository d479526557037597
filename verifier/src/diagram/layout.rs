//! Where everything stands: a lane for each peer, a row for each step.

use super::text;
use crate::trace::{Peer, Trace, What};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Room at the left for times and what clients were told.
const LEFT: f64 = 150.0;
const TOP: f64 = 72.0;

pub(super) struct Layout {
    pub width: f64,
    pub height: f64,
    /// Between lanes.
    pub gap: f64,
    lanes: BTreeMap<Peer, Lane>,
    /// By step: its row.
    pub y: Vec<f64>,
    /// Roles with their short names.
    pub roles: Vec<(String, String)>,
}

struct Lane {
    x: f64,
    name: String,
    short: String,
}

impl Layout {
    pub fn of(trace: &Trace) -> Layout {
        let roles = short_roles(trace);
        let clients: BTreeSet<usize> = trace
            .steps
            .iter()
            .filter_map(|s| match s.what {
                What::Invoke { client, .. } | What::Send { from: Peer::Client(client), .. } => Some(client),
                _ => None,
            })
            .collect();
        let count = (clients.len() + trace.nodes.len()).max(1) as f64;
        let gap = (1200.0 / count).clamp(150.0, 230.0);
        let mut lanes = BTreeMap::new();
        let peers = clients.into_iter().map(Peer::Client).chain((0..trace.nodes.len()).map(Peer::Node));
        for (i, peer) in peers.enumerate() {
            let name = trace.name(peer);
            let short = match peer {
                Peer::Client(_) => String::new(),
                Peer::Node(n) => {
                    let node = &trace.nodes[n];
                    let prefix =
                        &roles.iter().find(|(role, _)| *role == node.role).expect("all roles are there").1;
                    format!("{prefix}{}", node.instance)
                }
            };
            lanes.insert(peer, Lane { x: LEFT + gap * (i as f64 + 0.2), name, short });
        }
        let mut y = Vec::with_capacity(trace.steps.len());
        let mut at = TOP;
        for (i, step) in trace.steps.iter().enumerate() {
            let near = |other: &&crate::trace::Step| other.time_us == step.time_us;
            let before = i.checked_sub(1).map(|b| &trace.steps[b]).filter(near);
            let joins = before.is_some_and(|b| leaves_with(&b.what, &step.what));
            // A tick stands beside the label of what it took.
            let ticks = trace.steps.get(i + 1).filter(near).is_some_and(|n| matches!(n.what, What::Tick(_)));
            at += if joins { 0.0 } else { above(&step.what) };
            y.push(at);
            at += match (joins, ticks) {
                (true, _) => 0.0,
                (false, true) => below(&step.what).min(4.0),
                (false, false) => below(&step.what),
            };
        }
        let width = LEFT + gap * (count - 0.2) + 20.0;
        Layout { width: width.max(760.0), height: at + 24.0, gap, lanes, y, roles }
    }

    pub fn x(&self, peer: Peer) -> f64 {
        self.lanes.get(&peer).map_or(LEFT, |lane| lane.x)
    }
    pub fn peers(&self) -> impl Iterator<Item = Peer> + '_ {
        self.lanes.keys().copied()
    }
    pub fn top(&self) -> f64 {
        TOP - 18.0
    }
    /// How a peer is called in labels.
    pub fn short(&self, peer: Peer) -> String {
        match self.lanes.get(&peer) {
            Some(lane) if !lane.short.is_empty() => lane.short.clone(),
            Some(lane) => lane.name.clone(),
            None => "?".into(),
        }
    }

    /// The lanes' names.
    pub fn names(&self, y: f64, out: &mut String) {
        for lane in self.lanes.values() {
            let name = text::fit(&lane.name, self.gap - 40.0, 7.6);
            let short = if lane.short.is_empty() || lane.short == lane.name {
                String::new()
            } else {
                format!(r#" <tspan class="dim">{}</tspan>"#, text::escape(&lane.short))
            };
            let _ = write!(out, r#"<text class="name" x="{:.1}" y="{y:.1}">{name}{short}</text>"#, lane.x);
        }
    }

    /// Times at the left, as many as there is room for.
    pub fn axis(&self, trace: &Trace, out: &mut String) {
        let (mut last_y, mut last_time) = (f64::MIN, None);
        for (step, &y) in trace.steps.iter().zip(&self.y) {
            if last_time != Some(step.time_us) && y >= last_y + 24.0 {
                let time = text::time(step.time_us);
                let _ = write!(out, r#"<text class="time" x="66" y="{:.1}">{time}</text>"#, y + 3.5);
                let _ = write!(out, r#"<path class="tickline" d="M70 {y:.1}H78"/>"#);
                (last_y, last_time) = (y, Some(step.time_us));
            }
        }
    }
}

/// What shares the row of what precedes it: the messages of a tick or request, a flush and what it flushes.
fn leaves_with(before: &What, what: &What) -> bool {
    if let (What::Append { node, .. }, What::Flush { node: flushed, .. }) = (before, what) {
        return node == flushed;
    }
    let What::Send { from, .. } = what else { return false };
    match before {
        What::Send { from: other, .. } => other == from,
        What::Tick(tick) => *from == Peer::Node(tick.node),
        What::Invoke { client, .. } => *from == Peer::Client(*client),
        What::Stable { node, .. } => *from == Peer::Node(*node),
        _ => false,
    }
}

fn above(what: &What) -> f64 {
    match what {
        What::Append { .. } | What::Flush { .. } => 4.0,
        What::Stable { .. } => 7.0,
        What::Send { .. } | What::Duplicate { .. } => 7.0,
        What::Crash { .. } | What::Restart { .. } | What::Violation { .. } => 14.0,
        What::Note { .. } | What::Cut { .. } | What::Heal { .. } => 13.0,
        What::Tick(_) => 8.0,
        _ => 8.0,
    }
}

/// Room for a label under the row.
fn below(what: &What) -> f64 {
    match what {
        What::Deliver { .. } | What::Drop { .. } | What::Return { .. } => 12.0,
        What::Fire { .. } | What::Note { .. } => 7.0,
        What::Cut { .. } | What::Heal { .. } => 4.0,
        What::Violation { .. } => 22.0,
        What::Crash { .. } | What::Restart { .. } => 8.0,
        _ => 3.0,
    }
}

/// Roles cut to the shortest beginnings that differ.
fn short_roles(trace: &Trace) -> Vec<(String, String)> {
    let roles: BTreeSet<&str> = trace.nodes.iter().map(|n| n.role.as_str()).collect();
    let cut = |role: &str, n: usize| role.chars().take(n).collect::<String>();
    let longest = roles.iter().map(|r| r.chars().count()).max().unwrap_or(0);
    let unique = |n: &usize| roles.iter().map(|r| cut(r, *n)).collect::<BTreeSet<_>>().len() == roles.len();
    let n = (1..=longest).find(unique).unwrap_or(longest);
    // The longest first, so that no role's name is replaced within another's.
    let mut short: Vec<(String, String)> = roles.iter().map(|r| ((*r).to_owned(), cut(r, n))).collect();
    short.sort_by_key(|(role, _)| std::cmp::Reverse(role.len()));
    short
}
