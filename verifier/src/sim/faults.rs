//! What may go wrong in a simulated world: kinds of faults, how often, and single faults with their times.
//!
//! A campaign says with [`Faults`] which kinds it wants; each run draws a list of [`Fault`]s from its seed. The
//! list is data: a counterexample is shrunk by leaving entries out, and saved with those that remain.

use crate::random::Dice;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A kind of fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A node stops between two rounds; what was written survives, as after `kill -9`.
    Crash,
    /// The machine loses power: unsynced writes are dropped, torn, reordered. Also in the middle of a flush.
    Power,
    /// Nothing passes between two groups of nodes and clients, either way, for a while.
    Partition,
    /// Nothing passes from one group to another; the way back is open.
    Oneway,
    /// A connection breaks; what was under way on it is lost or not, a session resends.
    Break,
    /// A node needs long for its rounds, for a while.
    Slow,
    /// What travels from one place to another takes long, for a while.
    #[serde(rename = "lag")]
    Delay,
    /// Messages of one connection are taken in another order than they were sent.
    Reorder,
    /// A node's clock is wrong, and runs fast or slow.
    Skew,
    /// A flush takes long.
    Disk,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 10] = [
        Kind::Crash,
        Kind::Power,
        Kind::Partition,
        Kind::Oneway,
        Kind::Break,
        Kind::Slow,
        Kind::Delay,
        Kind::Reorder,
        Kind::Skew,
        Kind::Disk,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Crash => "crash",
            Kind::Power => "power",
            Kind::Partition => "partition",
            Kind::Oneway => "oneway",
            Kind::Break => "break",
            Kind::Slow => "slow",
            Kind::Delay => "lag",
            Kind::Reorder => "reorder",
            Kind::Skew => "skew",
            Kind::Disk => "disk",
        }
    }

    /// What it does, in a line.
    pub fn about(self) -> &'static str {
        match self {
            Kind::Crash => "nodes stop and restart; what they wrote is there",
            Kind::Power => {
                "machines stop, also within a flush; unsynced writes are dropped, torn or reordered"
            }
            Kind::Partition => "nothing passes between two groups for a while",
            Kind::Oneway => "nothing passes from one group to another; the way back is open",
            Kind::Break => "connections break and are made anew",
            Kind::Slow => "nodes take long over their rounds for a while",
            Kind::Delay => "messages from one place to another take long for a while",
            Kind::Reorder => "messages of a connection are taken in another order",
            Kind::Skew => "clocks are wrong, and run fast or slow",
            Kind::Disk => "flushes take long",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which kinds, and how many of each in a run on average.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Faults {
    rates: BTreeMap<Kind, f64>,
}

impl Faults {
    /// None at all. (Delays, tick boundaries and timers still vary: that is no fault.)
    pub fn none() -> Faults {
        Faults::default()
    }
    /// All kinds.
    pub fn all() -> Faults {
        Kind::ALL.into_iter().fold(Faults::none(), |f, kind| f.with(kind, Faults::usual(kind)))
    }
    /// What a healthy network and machine may do: nothing is lost.
    pub fn delay() -> Faults {
        [Kind::Slow, Kind::Delay, Kind::Reorder, Kind::Disk]
            .into_iter()
            .fold(Faults::none(), |f, kind| f.with(kind, Faults::usual(kind)))
    }
    fn usual(kind: Kind) -> f64 {
        match kind {
            Kind::Break | Kind::Delay | Kind::Reorder => 2.0,
            Kind::Crash | Kind::Power => 1.5,
            _ => 1.0,
        }
    }
    /// The same with a kind at so many a run; 0 takes it away.
    pub fn with(mut self, kind: Kind, rate: f64) -> Faults {
        if rate > 0.0 {
            self.rates.insert(kind, rate);
        } else {
            self.rates.remove(&kind);
        }
        self
    }
    /// The kinds that are wanted.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        self.rates.keys().copied()
    }

    /// Reads `none`, `delay`, `all`, or a list of kinds, each with its rate if it should not be the usual one:
    /// `crash,partition=0.5`. A kind after a preset changes it: `all,skew=0`.
    pub fn parse(text: &str) -> Result<Faults, String> {
        let mut faults = Faults::none();
        for word in text.split(',').map(str::trim).filter(|w| !w.is_empty()) {
            let (name, rate) = word.split_once('=').map_or((word, None), |(n, r)| (n.trim(), Some(r.trim())));
            match (name, rate) {
                ("none", None) => continue,
                ("all", None) => {
                    faults.rates.extend(Faults::all().rates);
                    continue;
                }
                ("delay", None) => {
                    faults.rates.extend(Faults::delay().rates);
                    continue;
                }
                _ => {}
            }
            let Some(kind) = Kind::ALL.into_iter().find(|k| k.name() == name) else {
                let known: Vec<&str> = Kind::ALL.iter().map(|k| k.name()).collect();
                return Err(format!(
                    "there is no kind of fault `{name}`; there are none, delay, all, {}",
                    known.join(", ")
                ));
            };
            let rate = match rate {
                None => Faults::usual(kind),
                Some(rate) => rate
                    .parse()
                    .ok()
                    .filter(|r: &f64| r.is_finite() && (0.0..=1000.0).contains(r))
                    .ok_or(format!("`{rate}` is no number of faults a run: write {name}=0.5"))?,
            };
            faults = faults.with(kind, rate);
        }
        Ok(faults)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rates.is_empty() {
            return f.write_str("none");
        }
        let kinds: Vec<String> = self
            .rates
            .iter()
            .map(|(k, r)| if *r == Faults::usual(*k) { k.to_string() } else { format!("{k}={r}") })
            .collect();
        f.write_str(&kinds.join(","))
    }
}

/// Where a crash strikes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Point {
    /// At its time, wherever the node then is.
    Now,
    /// Right after a round, before its log record is written.
    Unwritten,
    /// Right after it has sent something: what it sent may arrive, and what it did not log is forgotten.
    Sent,
    /// While its next flush is under way.
    Flushing,
    /// When its next flush is done, before anything that waited for it leaves.
    Flushed,
    /// Right after what waited for its next flush has left.
    Released,
}

/// A fault of a run. Nodes are numbered as in the layout; clients follow.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fault {
    /// When, in virtual microseconds.
    pub at_us: u64,
    /// What.
    #[serde(flatten)]
    pub what: FaultKind,
}

/// What goes wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "lowercase")]
pub enum FaultKind {
    /// A node stops.
    Crash {
        /// Which.
        node: u32,
        /// At which point.
        point: Point,
        /// Whether the machine does, and with it what was not synced.
        power: bool,
        /// For how long it is away.
        down_us: u64,
    },
    /// A part of the network is cut.
    Partition {
        /// Nothing passes from these …
        from: Vec<u32>,
        /// … to these.
        to: Vec<u32>,
        /// And nothing back.
        both: bool,
        /// Whether connections break at once; else what is sent waits until the cut heals.
        broken: bool,
        /// How long.
        for_us: u64,
    },
    /// A connection breaks.
    Break {
        /// One end.
        a: u32,
        /// The other.
        b: u32,
    },
    /// A node's rounds take this much longer.
    Slow {
        /// Which.
        node: u32,
        /// By how much.
        by_us: u64,
        /// How long.
        for_us: u64,
    },
    /// What is sent from one place to another takes up to this much longer.
    #[serde(rename = "lag")]
    Delay {
        /// From where.
        from: u32,
        /// Where to.
        to: u32,
        /// By how much at most.
        by_us: u64,
        /// How long.
        for_us: u64,
    },
    /// Messages that arrive are taken in any order, up to this much later.
    Reorder {
        /// Where.
        node: u32,
        /// How much later at most.
        by_us: u64,
        /// How long.
        for_us: u64,
    },
    /// A clock jumps, and goes on at another rate.
    Skew {
        /// Whose.
        node: u32,
        /// By how much, forwards (clocks of nodes never go back).
        by_ms: u64,
        /// Parts in a thousand that it is too fast (or slow).
        rate: i32,
    },
    /// Flushes take this much longer.
    Disk {
        /// Where.
        node: u32,
        /// By how much.
        by_us: u64,
        /// How long.
        for_us: u64,
    },
}

impl Fault {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match &self.what {
            FaultKind::Crash { power: false, .. } => Kind::Crash,
            FaultKind::Crash { power: true, .. } => Kind::Power,
            FaultKind::Partition { both: true, .. } => Kind::Partition,
            FaultKind::Partition { both: false, .. } => Kind::Oneway,
            FaultKind::Break { .. } => Kind::Break,
            FaultKind::Slow { .. } => Kind::Slow,
            FaultKind::Delay { .. } => Kind::Delay,
            FaultKind::Reorder { .. } => Kind::Reorder,
            FaultKind::Skew { .. } => Kind::Skew,
            FaultKind::Disk { .. } => Kind::Disk,
        }
    }

    /// Where it happens; with each place, whether it may be a client.
    pub fn places(&self) -> Vec<(u32, bool)> {
        match &self.what {
            FaultKind::Crash { node, .. }
            | FaultKind::Slow { node, .. }
            | FaultKind::Reorder { node, .. }
            | FaultKind::Skew { node, .. }
            | FaultKind::Disk { node, .. } => vec![(*node, false)],
            FaultKind::Break { a, b } | FaultKind::Delay { from: a, to: b, .. } => {
                vec![(*a, true), (*b, true)]
            }
            FaultKind::Partition { from, to, .. } => from.iter().chain(to).map(|&p| (p, true)).collect(),
        }
    }

    /// When it is over.
    pub fn ends_us(&self) -> u64 {
        let lasts = match self.what {
            FaultKind::Crash { down_us, .. } => down_us,
            FaultKind::Partition { for_us, .. }
            | FaultKind::Slow { for_us, .. }
            | FaultKind::Delay { for_us, .. }
            | FaultKind::Reorder { for_us, .. }
            | FaultKind::Disk { for_us, .. } => for_us,
            FaultKind::Break { .. } | FaultKind::Skew { .. } => 0,
        };
        self.at_us.saturating_add(lasts)
    }
}

impl Faults {
    /// Draws the faults of a run, in order of time, all within `span_us`.
    pub fn draw(&self, dice: &mut Dice, nodes: u32, clients: u32, span_us: u64) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (&kind, &rate) in &self.rates {
            let mut count = rate.floor() as usize;
            count += usize::from((dice.below(1000) as f64) < rate.fract() * 1000.0);
            // Runs differ: some have none of a kind, some twice as many.
            let count = if count > 0 && dice.percent(70) { dice.within(0, 2 * count) } else { count };
            for _ in 0..count {
                let at_us = dice.word() % span_us.max(1);
                if let Some(what) = draw(kind, dice, nodes, clients, (span_us - at_us).max(2000)) {
                    faults.push(Fault { at_us, what });
                }
            }
        }
        faults.sort_by_key(|fault| fault.at_us);
        faults
    }
}

fn draw(kind: Kind, dice: &mut Dice, nodes: u32, clients: u32, left_us: u64) -> Option<FaultKind> {
    let all = (nodes + clients) as usize;
    let node = dice.below(nodes as usize) as u32;
    // Short and long ones, none beyond the end of all faults.
    let mut lasting = |shortest: u64, longest: u64| {
        let scale = [1, 4, 16, 64][dice.below(4)];
        let most = (longest * scale / 64).max(shortest + 1).min(left_us.max(shortest + 1));
        shortest + dice.word() % (most - shortest).max(1)
    };
    Some(match kind {
        Kind::Crash | Kind::Power => {
            let down_us = lasting(500, 800_000);
            let points =
                [Point::Now, Point::Unwritten, Point::Sent, Point::Flushing, Point::Flushed, Point::Released];
            FaultKind::Crash { node, point: *dice.pick(&points), power: kind == Kind::Power, down_us }
        }
        Kind::Partition | Kind::Oneway => {
            let for_us = lasting(1000, 700_000);
            let mut side: Vec<bool> = (0..all).map(|_| dice.percent(50)).collect();
            side[node as usize] = true;
            if nodes > 1 {
                side[((node + 1 + dice.below(nodes as usize - 1) as u32) % nodes) as usize] = false;
            }
            let part = |of: bool| (0..all as u32).filter(|&n| side[n as usize] == of).collect::<Vec<u32>>();
            let (from, to) = (part(true), part(false));
            if to.is_empty() {
                return None;
            }
            FaultKind::Partition { from, to, both: kind == Kind::Partition, broken: dice.percent(50), for_us }
        }
        Kind::Break | Kind::Delay => {
            let (by_us, for_us) = (lasting(1000, 400_000), lasting(5000, 500_000));
            let mut other = dice.below(all) as u32;
            if other == node {
                other = (node + 1) % all as u32;
            }
            if other == node {
                return None;
            }
            match kind {
                Kind::Break => FaultKind::Break { a: node, b: other },
                _ if dice.percent(50) => FaultKind::Delay { from: node, to: other, by_us, for_us },
                _ => FaultKind::Delay { from: other, to: node, by_us, for_us },
            }
        }
        Kind::Slow => FaultKind::Slow { node, by_us: lasting(500, 100_000), for_us: lasting(5000, 400_000) },
        Kind::Reorder => {
            FaultKind::Reorder { node, by_us: lasting(500, 300_000), for_us: lasting(5000, 600_000) }
        }
        Kind::Skew => {
            FaultKind::Skew { node, by_ms: dice.word() % 20_000, rate: dice.below(401) as i32 - 200 }
        }
        Kind::Disk => FaultKind::Disk { node, by_us: lasting(1000, 150_000), for_us: lasting(5000, 400_000) },
    })
}

/// How many faults of each kind really happened, and what they did.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tally(pub BTreeMap<Kind, u64>);

impl Tally {
    /// One more.
    pub fn count(&mut self, kind: Kind) {
        *self.0.entry(kind).or_default() += 1;
    }
    /// Adds another run's.
    pub fn merge(&mut self, other: &Tally) {
        for (kind, n) in &other.0 {
            *self.0.entry(*kind).or_default() += n;
        }
    }
    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<String> = self.0.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        f.write_str(&if kinds.is_empty() { "none".into() } else { kinds.join(", ") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_of_faults_are_read_and_printed() {
        assert_eq!(Faults::parse("none").unwrap(), Faults::none());
        assert_eq!(Faults::parse("all").unwrap(), Faults::all());
        assert_eq!(Faults::parse("delay").unwrap(), Faults::delay());
        let some = Faults::parse("crash, partition=0.5").unwrap();
        assert_eq!(some.to_string(), "crash,partition=0.5");
        assert_eq!(Faults::parse(&some.to_string()).unwrap(), some);
        assert!(!Faults::parse("all,skew=0").unwrap().kinds().any(|k| k == Kind::Skew));
        assert!(Faults::parse("crsh").unwrap_err().contains("there is no kind of fault `crsh`"));
        assert!(Faults::parse("crash=-1").is_err());
    }

    #[test]
    fn all_faults_of_a_run_end_in_time() {
        for seed in 0..200 {
            for fault in Faults::all().draw(&mut Dice::new(seed), 4, 8, 1_000_000) {
                assert!(fault.at_us < 1_000_000 && fault.ends_us() < 1_100_000, "{fault:?}");
            }
        }
    }
}
