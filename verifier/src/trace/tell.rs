//! A run told step by step, in the protocol's own words.
//!
//! One line per step: when, who, what. Under a tick stand the facts that it took (`in`), those that are new with the
//! rules that derived them (`new`), and those that are gone (`gone`); what it sends and answers. Messages have their
//! number in brackets, so that `[7]` at the sender is found again at the receiver. [`Detail::Everything`] adds the rows
//! that stay, and what was found on disk after a crash.

use super::{Answer, Derived, Fact, Peer, Step, TickStep, Trace, What};
use std::collections::BTreeMap;
use std::fmt::Write;

/// How much is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detail {
    /// What changed.
    Changes,
    /// All facts.
    Everything,
}

impl Trace {
    /// The account of the run.
    pub fn tell(&self, detail: Detail) -> String {
        let peers = (0..self.nodes.len()).map(Peer::Node).chain((0..self.clients).map(Peer::Client));
        let width = peers.map(|p| self.name(p).chars().count()).max().unwrap_or(0);
        let mut teller = Teller {
            trace: self,
            detail,
            width,
            sent: BTreeMap::new(),
            cuts: BTreeMap::new(),
            out: String::new(),
        };
        let _ = writeln!(teller.out, "{}", self.protocol);
        for line in &self.about {
            let _ = writeln!(teller.out, "{line}");
        }
        let mut at = 0;
        while at < self.steps.len() {
            at += teller.step(at);
        }
        teller.out
    }
}

struct Teller<'a> {
    trace: &'a Trace,
    detail: Detail,
    /// Of the longest name.
    width: usize,
    /// Messages by number: from whom, what.
    sent: BTreeMap<u64, (Peer, Peer, &'a Fact)>,
    cuts: BTreeMap<u64, String>,
    out: String,
}

/// Where the facts of a tick begin.
const INDENT: usize = 15;

impl<'a> Teller<'a> {
    fn line(&mut self, time_us: u64, who: Option<Peer>, what: &str) {
        let who = who.map_or(String::new(), |peer| self.trace.name(peer));
        let width = self.width;
        let (ms, us) = (time_us / 1000, time_us % 1000);
        let line = format!("{ms:>6}.{us:03} ms  {who:<width$}  {what}");
        let _ = writeln!(self.out, "{}", line.trim_end());
    }

    fn under(&mut self, head: &str, what: &str) {
        let indent = INDENT + self.width + 2;
        let line = format!("{:indent$}{head:<6}{what}", "");
        let _ = writeln!(self.out, "{}", line.trim_end());
    }

    fn list(&mut self, head: &str, facts: impl IntoIterator<Item = String>) {
        for (i, fact) in facts.into_iter().enumerate() {
            self.under(if i == 0 { head } else { "" }, &fact);
        }
    }

    /// Tells the step at a position, and says how many it told: messages with equal words are told together.
    fn step(&mut self, at: usize) -> usize {
        let trace = self.trace;
        let Step { time_us, what } = &trace.steps[at];
        let time_us = *time_us;
        let node = |n: &usize| Some(Peer::Node(*n));
        match what {
            What::Invoke { client, op, request, .. } => {
                self.line(time_us, Some(Peer::Client(*client)), &format!("asks {request}, operation {op}"));
            }
            What::Return { client, op, answer } => {
                let how = match answer {
                    Answer::Ok { text, .. } => format!("is told {text}"),
                    Answer::Fail { error } => format!("is told that it failed: {error}"),
                    Answer::Unknown { error } => format!("gives up, outcome unknown: {error}"),
                };
                self.line(time_us, Some(Peer::Client(*client)), &format!("{how}, operation {op}"));
            }
            What::Send { .. } => return self.sends(at),
            What::Deliver { message } => {
                if let Some((from, to, fact)) = self.sent.get(message).copied() {
                    let words = format!("takes [{message}] {fact} from {}", trace.name(from));
                    self.line(time_us, Some(to), &words);
                }
            }
            What::Drop { message, why } => {
                if let Some((from, to, fact)) = self.sent.get(message).copied() {
                    let (from, to) = (trace.name(from), trace.name(to));
                    self.line(time_us, None, &format!("lost: [{message}] {fact} from {from} to {to}: {why}"));
                }
            }
            What::Duplicate { message, copy } => {
                if let Some((from, to, fact)) = self.sent.get(message).copied() {
                    self.sent.insert(*copy, (from, to, fact));
                    let (from, to) = (trace.name(from), trace.name(to));
                    self.line(
                        time_us,
                        None,
                        &format!("[{message}] {fact} from {from} to {to} again, as [{copy}]"),
                    );
                }
            }
            What::Tick(tick) => self.tick(time_us, tick),
            What::Fire { node: n, timer } => self.line(time_us, node(n), &format!("timer {timer} fires")),
            What::Crash { node: n, incarnation, lost } => {
                self.line(time_us, node(n), &format!("CRASHES, incarnation {incarnation} ends"));
                self.list("lost", lost.iter().cloned());
            }
            What::Restart { node: n, incarnation, durable } => {
                let found = match durable.len() {
                    0 => "nothing on disk".to_owned(),
                    1 => "1 row on disk".to_owned(),
                    rows => format!("{rows} rows on disk"),
                };
                self.line(time_us, node(n), &format!("RESTARTS as incarnation {incarnation}, {found}"));
                if self.detail == Detail::Everything {
                    self.list("disk", durable.iter().map(|f| f.to_string()));
                }
            }
            What::Append { node: n, record, changes } => {
                let changes: Vec<String> = changes
                    .iter()
                    .map(|c| format!("{}{}", if c.added { "+" } else { "-" }, c.fact))
                    .collect();
                self.line(time_us, node(n), &format!("log record {record}: {}", changes.join(", ")));
            }
            What::Flush { node: n, upto } => {
                self.line(time_us, node(n), &format!("flush of the log up to {upto} begins"));
            }
            What::Stable { node: n, upto } => {
                self.line(time_us, node(n), &format!("log is stable up to {upto}"));
            }
            What::Cut { cut, from, to, both_ways } => {
                let names =
                    |peers: &[Peer]| peers.iter().map(|&p| trace.name(p)).collect::<Vec<_>>().join(", ");
                let words = if *both_ways { "cut off from" } else { "cannot reach" };
                let text = format!("{} {words} {}", names(from), names(to));
                self.line(time_us, None, &format!("NETWORK: {text}"));
                self.cuts.insert(*cut, text);
            }
            What::Heal { cut } => {
                let text = self.cuts.get(cut).cloned().unwrap_or_default();
                self.line(time_us, None, &format!("NETWORK healed: no longer {text}"));
            }
            What::Note { at, text } => self.line(time_us, *at, text),
            What::Violation { property, text, facts, .. } => {
                self.line(time_us, None, &format!("VIOLATED: {property}: {text}"));
                self.list("as", facts.iter().map(|f| f.to_string()));
            }
        }
        1
    }

    /// Messages that leave together with the same words.
    fn sends(&mut self, at: usize) -> usize {
        let trace = self.trace;
        let first = &trace.steps[at];
        let What::Send { from, fact, .. } = &first.what else { return 1 };
        let mut receivers = Vec::new();
        for step in &trace.steps[at..] {
            let What::Send { message, from: f, to, fact: other } = &step.what else { break };
            if (f, other, step.time_us) != (from, fact, first.time_us) {
                break;
            }
            self.sent.insert(*message, (*f, *to, other));
            receivers.push(format!("{} [{message}]", trace.name(*to)));
        }
        self.line(first.time_us, Some(*from), &format!("sends {fact} to {}", receivers.join(", ")));
        receivers.len()
    }

    fn tick(&mut self, time_us: u64, tick: &TickStep) {
        let words = match (tick.deferred, tick.incarnation) {
            (false, 1) => format!("tick {}", tick.tick),
            (true, 1) => format!("tick {}, deferred", tick.tick),
            (false, n) => format!("tick {} of incarnation {n}", tick.tick),
            (true, n) => format!("tick {} of incarnation {n}, deferred", tick.tick),
        };
        self.line(time_us, Some(Peer::Node(tick.node)), &words);
        self.list("in", tick.inputs.iter().map(|f| f.to_string()));
        // What is an input is not news.
        let news: Vec<&Derived> = tick.derived.iter().filter(|d| !tick.inputs.contains(&d.fact)).collect();
        let width = news.iter().map(|d| d.fact.to_string().chars().count()).max().unwrap_or(0).min(60);
        let whole = self.detail == Detail::Everything;
        let lines = news.iter().map(|d| {
            let rules = match &d.rules[..] {
                [one] => brief(&one.to_string(), if whole { usize::MAX } else { 90 }),
                // The writer may not know which of several it was.
                several => {
                    let places: Vec<&str> = several.iter().map(|r| r.place.as_str()).collect();
                    places.join(", ")
                }
            };
            format!("{:<width$}  {rules}", d.fact.to_string())
        });
        self.list("new", lines.collect::<Vec<_>>());
        self.list("gone", tick.gone.iter().map(|f| f.to_string()));
        if self.detail == Detail::Everything {
            self.list("still", tick.kept.iter().map(|f| f.to_string()));
        }
        if !tick.sends.is_empty() {
            let sends: Vec<String> = tick.sends.iter().map(|m| format!("[{m}]")).collect();
            self.under("sends", &sends.join(" "));
        }
        self.list(
            "says",
            tick.replies.iter().map(|r| match r.op {
                Some(op) => format!("{} to operation {op}", r.text),
                None => r.text.clone(),
            }),
        );
    }
}

/// A text on one line, cut to a length.
fn brief(text: &str, length: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= length {
        return line;
    }
    format!("{}…", line.chars().take(length - 1).collect::<String>())
}
