//! Random programs near the preconditions of decoupling and partitioning.
//!
//! A role `node` takes two requests, asks a role `peer` that answers, and keeps tables and views in between. What
//! carries the identity of a request is kept apart by request, so that answers have the right type. Every construct that
//! a precondition names comes up: maps, stores, joins, edges, thresholds, exact tests, deletions, replacement,
//! negation, timers, echoes, lattices, durable and volatile tables. On top of that a program may have something of
//! one *flavour*: state without a key beside what has one (for partial partitioning and sealing), rows that meet on a
//! function of the key (for dependencies), a counter of events (for state machines).

use anabranch_verifier::random::Dice;
use std::fmt;

/// A program as parts that can be taken away.
#[derive(Clone, Debug)]
pub struct Source {
    /// Declarations in `node`.
    pub declarations: Vec<String>,
    /// Rules in `node`.
    pub rules: Vec<String>,
    /// The requests that clients may make.
    pub requests: Vec<&'static str>,
    /// The keys that they name: from 1 to this.
    pub keys: usize,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "protocol random;\nrole node;\nrole peer;\n\
             message ping(k: u64) to peer;\nmessage pong(k: u64) to node;\n",
        )?;
        for request in &self.requests {
            let column = if *request == "c" { "n" } else { "k" };
            writeln!(f, "request {request}({column}: u64) -> (n: u64) at node;")?;
        }
        f.write_str("at node {\n")?;
        for line in self.declarations.iter().chain(&self.rules) {
            writeln!(f, "    {line}")?;
        }
        f.write_str("}\nat peer {\n    pong(k) @ p <~ ping(k), node(p);\n}\n")
    }
}

impl Source {
    /// Programs with one rule or declaration less.
    pub fn smaller(&self) -> Vec<Source> {
        let mut all = Vec::new();
        for i in 0..self.rules.len() {
            let mut less = self.clone();
            less.rules.remove(i);
            all.push(less);
        }
        for i in 0..self.declarations.len() {
            let mut less = self.clone();
            less.declarations.remove(i);
            all.push(less);
        }
        all
    }
}

/// Relations with a request's identity, by request: events, tables, views.
const EVENTS: [&str; 2] = ["got", "next"];

/// The program of a seed.
pub fn program(seed: u64) -> Source {
    let mut dice = Dice::part(seed, 20);
    let d = &mut dice;
    let mut source =
        Source { declarations: Vec::new(), rules: Vec::new(), requests: vec!["a", "b"], keys: 2 };
    // Shared state over keys alone.
    let durable = |d: &mut Dice| if d.percent(30) { "durable " } else { "" };
    let seen = durable(d);
    source.declarations.push(format!("{seen}table seen(k: u64);"));
    source.declarations.push("table spent(k: u64);".into());
    source.declarations.push("table last(k: u64 => v: u64);".into());
    for q in ["a", "b"] {
        for e in EVENTS {
            source.declarations.push(format!("event {e}_{q}(r: Req, k: u64);"));
        }
        let kept = durable(d);
        source.declarations.push(format!("{kept}table held_{q}(r: Req, k: u64);"));
        if d.percent(20) {
            let schedule = *d.pick(&["after", "after", "every"]);
            source
                .declarations
                .push(format!("timer late_{q}(r: Req, k: u64) {schedule} 1s while held_{q}(r, k);"));
            source.rules.push(match d.below(3) {
                0 => format!("reply {q}(r, 9) <~ late_{q}(r, _);"),
                1 => format!("held_{q}(r, k) <- late_{q}(r, k);"),
                _ => format!("seen(k) <= late_{q}(_, k);"),
            });
        }
        // An event or two from the request.
        source.rules.push(format!("got_{q}(r, k) <= {q}(r, k){};", guard(d)));
        if d.percent(50) {
            let from = *d.pick(&["got", "got", "req"]);
            let atom = if from == "req" { format!("{q}(r, k)") } else { format!("got_{q}(r, k)") };
            source.rules.push(format!("next_{q}(r, k) <= {atom}{};", guard(d)));
        }
        if d.percent(75) {
            source.rules.push(format!("held_{q}(r, k) <= {};", event(d, q)));
        }
        let with = *d.pick(&["seen(k)", "seen(k)", "!seen(k)", "seen(k), !spent(k)", "last(k, _)"]);
        source.rules.push(format!("view answer_{q}(r, k) <= held_{q}(r, k), {with};"));
        source.rules.push(match d.below(8) {
            0 | 1 => format!("reply {q}(r, 1) <~ new answer_{q}(r, _);"),
            2 => format!("reply {q}(r, k) <~ {};", event(d, q)),
            3 => format!("reply {q}(r, v) <~ {}, last(k, v);", event(d, q)),
            4 => format!("reply {q}(r, 2) <~ {}, seen(k);", event(d, q)),
            5 => format!("reply {q}(r, 3) <~ new seen(k), held_{q}(r, k);"),
            6 => format!("reply {q}(r, 4) <~ pong(k), held_{q}(r, k);"),
            _ => format!("reply {q}(r, 5) <~ {}, !seen(k);", event(d, q)),
        });
        if d.percent(40) {
            source.rules.push(format!("view many_{q}(k => count(r)) <= held_{q}(r, k);"));
            let test = *d.pick(&["n >= 1", "n >= 2", "n == 1", "n >= 2"]);
            source.rules.push(format!("view enough_{q}(k) <= many_{q}(k, n), if {test};"));
            source.rules.push(match d.below(4) {
                0 => format!("spent(k) <= new enough_{q}(k);"),
                1 => format!("seen(k) <= new enough_{q}(k);"),
                2 => format!("ping(k) @ p <~ new enough_{q}(k), peer(p);"),
                _ => format!("reply {q}(r, 6) <~ new (enough_{q}(k), held_{q}(r, k));"),
            });
        }
        if d.percent(35) {
            source.rules.push(match d.below(5) {
                0 => format!("held_{q}(r, k) <- new answer_{q}(r, k);"),
                1 => format!("held_{q}(_, k) <- new spent(k);"),
                2 => format!("spent(k) <+ new answer_{q}(_, k);"),
                3 => format!("seen(k) <- {};", bare(d, q)),
                _ => format!("held_{q}(r, k) <- new held_{q}(r, k), spent(k);"),
            });
        }
        if d.percent(10) {
            source.rules.push(format!("forget held_{q}(r, k) <- new spent(k), held_{q}(r, k);"));
        }
    }
    flavour(d, &mut source);
    // What touches keys alone.
    for _ in 0..d.within(1, 3) {
        let q = *d.pick(&["a", "b"]);
        let rule = match d.below(7) {
            0 | 1 => format!("seen(k) <= {};", bare(d, q)),
            2 => "seen(k) <= pong(k);".to_string(),
            3 => format!("ping(k) @ p <~ {}, peer(p);", bare(d, q)),
            4 => format!("last(k, 1) <+ {};", bare(d, q)),
            5 => format!("spent(k) <= {};", bare(d, q)),
            _ => "last(k, 2) <+ pong(k);".to_string(),
        };
        source.rules.push(rule);
    }
    if !source.rules.iter().any(|r| r.starts_with("ping")) && d.percent(60) {
        source.rules.push("ping(k) @ p <~ got_a(_, k), peer(p);".into());
        if d.percent(50) {
            source.rules.push("seen(k) <= pong(k);".into());
        }
    }
    source.rules.sort();
    source.rules.dedup();
    source
}

/// What only some programs have.
fn flavour(d: &mut Dice, source: &mut Source) {
    let q = *d.pick(&["a", "b"]);
    let mut declare = |line: &str| source.declarations.push(line.into());
    match d.below(8) {
        // State without a key, which keyed rules read.
        0..=2 => {
            declare("var top(n: Max<u64>);");
            source.requests.push("c");
            let rules = &mut source.rules;
            rules.push("top(n) <= c(_, n);".into());
            match d.below(4) {
                0 | 1 => rules.push("reply c(r, t) <~ c(r, _), top(t);".into()),
                2 => {
                    let what = *d.pick(&["count(k)", "count()", "max(k)", "sum(k)"]);
                    source.declarations.push("event all_c(r: Req => n: u64);".into());
                    rules.push(format!("all_c(r, {what}) <= c(r, _), seen(k);"));
                    rules.push("reply c(r, all_c[r].unwrap_or(0)) <~ c(r, _);".into());
                }
                _ => {
                    rules.push("reply c(r, n) <~ c(r, n);".into());
                    let table = *d.pick(&["seen", "spent"]);
                    rules.push(format!("{table}(k) <- c(_, n), {table}(k), if k < n;"));
                }
            }
            rules.push(match d.below(4) {
                0 => format!("reply {q}(r, t) <~ {}, top(t);", event(d, q)),
                1 => format!("reply {q}(r, 7) <~ {}, top(t), if t < k;", event(d, q)),
                2 => format!("seen(k) <= {}, top(t), if t >= k;", bare(d, q)),
                _ => "ping(k) @ p <~ c(_, n), seen(k), if k <= n, peer(p);".into(),
            });
            if d.percent(20) {
                source.declarations.push("timer pulse every 1s;".into());
                rules.push("top(3) <= pulse();".into());
            }
        }
        // Rows that meet on a function of the key.
        3 | 4 => {
            let kept = if d.percent(30) { "durable " } else { "" };
            source.declarations.push(format!("{kept}table by(h: u64, k: u64);"));
            source.keys = 3;
            let rules = &mut source.rules;
            rules.push(format!("by(k % 2, k) <= {};", bare(d, q)));
            if d.percent(60) {
                source.declarations.push("view pair(h: u64 => n: u64);".into());
                rules.push("pair(h, count(k)) <= by(h, k);".into());
                rules.push(format!("reply {q}(r, n) <~ {}, let h = k % 2, pair(h, n);", event(d, q)));
            } else {
                rules.push(format!("reply {q}(r, j) <~ {}, let h = k % 2, by(h, j);", event(d, q)));
            }
            // The rest would have to meet by the key itself.
            if d.percent(60) {
                rules.retain(|r| !["spent", "last", "many", "enough"].iter().any(|w| r.contains(w)));
            }
        }
        // A counter: who comes when is told.
        5 | 6 => {
            declare("var hits(n: u64) = 0;");
            let rules = &mut source.rules;
            let counted = event(d, q);
            rules.push(format!("hits(n + 1) <+ {counted}, hits(n);"));
            rules.push(format!("reply {q}(r, n) <~ {counted}, hits(n);"));
            if d.percent(30) {
                rules.push(format!("seen(k) <= {}, hits(n), if n >= 1;", bare(d, q)));
            }
        }
        // A lattice with an edge.
        _ => {
            declare("table rank(k: u64 => n: Max<u64>);");
            let rules = &mut source.rules;
            rules.push(format!("rank(k, 1) <= {};", bare(d, q)));
            rules.push(format!("rank(k, 2) <= {};", *d.pick(&["pong(k)", "new seen(k)"])));
            source.declarations.push("view high(k: u64);".into());
            rules.push("high(k) <= rank(k, n), if n >= 2;".into());
            rules.push(match d.below(3) {
                0 => format!("reply {q}(r, 8) <~ new (high(k), held_{q}(r, k));"),
                1 => format!("reply {q}(r, n) <~ {}, rank(k, n);", event(d, q)),
                _ => "spent(k) <= new high(k);".into(),
            });
        }
    }
}

fn guard(d: &mut Dice) -> &'static str {
    let guards =
        ["", "", "", "", "", ", seen(k)", ", !seen(k)", ", if k != 2", ", !spent(k)", ", old seen(k)"];
    d.pick::<&str>(&guards)
}

/// An event with a request's identity.
fn event(d: &mut Dice, q: &str) -> String {
    match d.below(4) {
        0 => format!("{q}(r, k)"),
        1 => format!("next_{q}(r, k)"),
        _ => format!("got_{q}(r, k)"),
    }
}

/// An event of a key.
fn bare(d: &mut Dice, q: &str) -> String {
    match d.below(5) {
        0 => format!("{q}(_, k)"),
        1 => format!("next_{q}(_, k)"),
        2 => "pong(k)".into(),
        3 => format!("new answer_{q}(_, k)"),
        _ => format!("got_{q}(_, k)"),
    }
}
