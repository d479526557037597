//! What happens on a lane.

use super::layout::Layout;
use super::text;
use crate::trace::{Answer, Peer, Step, TickStep, Trace, What};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Cuts of the network, behind everything.
pub(super) fn cuts(trace: &Trace, layout: &Layout, out: &mut String) {
    let mut healed: BTreeMap<u64, f64> = BTreeMap::new();
    for (step, &y) in trace.steps.iter().zip(&layout.y) {
        if let What::Heal { cut } = step.what {
            healed.insert(cut, y);
        }
    }
    for (step, &y) in trace.steps.iter().zip(&layout.y) {
        let What::Cut { cut, from, to, both_ways } = &step.what else { continue };
        let end = healed.get(cut).copied().unwrap_or(layout.height - 14.0);
        let width = layout.width - 82.0;
        let names = |peers: &[Peer]| peers.iter().map(|&p| layout.short(p)).collect::<Vec<_>>().join(" ");
        let words = if *both_ways { "cut off from" } else { "cannot reach" };
        let text = format!("{} {words} {}", names(from), names(to));
        let _ = write!(
            out,
            r#"<g class="cut"><title>network cut {cut} at {}: {}{}</title><rect class="area" x="80" y="{y:.1}" width="{width:.1}" height="{:.1}"/>"#,
            text::time(step.time_us),
            text::escape(&text),
            if healed.contains_key(cut) { "" } else { ", never healed" },
            end - y
        );
        let _ = write!(out, r#"<path d="M80 {y:.1}h{width:.1}M80 {end:.1}h{width:.1}"/>"#);
        // Who stands apart.
        let apart = if *both_ways && to.len() < from.len() { to } else { from };
        for &peer in apart.iter().filter(|&&p| layout.peers().any(|q| q == p)) {
            let _ = write!(
                out,
                r#"<rect class="apart" x="{:.1}" y="{y:.1}" width="28" height="{:.1}"/>"#,
                layout.x(peer) - 14.0,
                end - y
            );
        }
        out.push_str("</g>");
    }
}

/// The lanes: lines, dead where their node is, and bars where a client waits.
pub(super) fn lanes(trace: &Trace, layout: &Layout, out: &mut String) {
    let bottom = layout.height - 10.0;
    for peer in layout.peers() {
        let x = layout.x(peer);
        let _ = write!(out, r#"<path class="lane" d="M{x:.1} {:.1}V{bottom:.1}"/>"#, layout.top());
        let (mut dead, mut open): (Option<f64>, Option<f64>) = (None, None);
        let hatch = |from: f64, to: f64, out: &mut String| {
            let _ = write!(
                out,
                r#"<rect class="dead" x="{:.1}" y="{from:.1}" width="12" height="{:.1}"/>"#,
                x - 6.0,
                to - from
            );
        };
        let bar = |from: f64, to: f64, out: &mut String| {
            let _ = write!(out, r#"<path class="waits" d="M{x:.1} {from:.1}V{to:.1}"/>"#);
        };
        for (step, &y) in trace.steps.iter().zip(&layout.y) {
            match step.what {
                What::Crash { node, .. } if peer == Peer::Node(node) => dead = Some(y),
                What::Restart { node, .. } if peer == Peer::Node(node) => {
                    dead.take().into_iter().for_each(|from| hatch(from, y, out));
                }
                What::Invoke { client, .. } if peer == Peer::Client(client) => open = Some(y),
                What::Return { client, .. } if peer == Peer::Client(client) => {
                    open.take().into_iter().for_each(|from| bar(from, y, out));
                }
                _ => {}
            }
        }
        dead.into_iter().for_each(|from| hatch(from, bottom, out));
        open.into_iter().for_each(|from| bar(from, bottom, out));
    }
}

/// The mark of one step.
pub(super) fn step(trace: &Trace, layout: &Layout, at: usize, step: &Step, out: &mut String) {
    let y = layout.y[at];
    let when = text::time(step.time_us);
    let node = |n: usize| (layout.x(Peer::Node(n)), trace.name(Peer::Node(n)));
    let room = layout.gap - 18.0;
    let list = |facts: &[String]| facts.iter().map(|f| format!("\n  {f}")).collect::<String>();
    match &step.what {
        What::Tick(tick) => {
            let x = layout.x(Peer::Node(tick.node));
            let title = tick_title(trace, tick, &when);
            let class = if tick.deferred { "tick deferred" } else { "tick" };
            group(
                out,
                class,
                &title,
                &format!(r#"<rect x="{:.1}" y="{:.1}" width="11" height="6" rx="1.5"/>"#, x - 5.5, y - 3.0),
            );
        }
        What::Fire { node: n, timer } => {
            let (x, name) = node(*n);
            let title = format!("{name}: timer {timer} fires at {when}");
            let label = text::fit(&text::brief(timer, &layout.roles), room, 5.7);
            group(
                out,
                "timer",
                &title,
                &format!(
                    r#"<circle cx="{x:.1}" cy="{y:.1}" r="5"/><path d="M{x:.1} {y:.1}v-3.4M{x:.1} {y:.1}h2.6"/><text class="label" x="{:.1}" y="{:.1}">{label}</text>"#,
                    x + 9.0,
                    y + 3.5
                ),
            );
        }
        What::Crash { node: n, incarnation, lost } => {
            let (x, name) = node(*n);
            let title = format!("{name} crashes at {when}, ending incarnation {incarnation}{}", list(lost));
            group(
                out,
                "crash",
                &title,
                &format!(
                    r#"<path d="M{:.1} {:.1}l14 14m0-14l-14 14"/><text class="label" x="{:.1}" y="{:.1}">crash</text>"#,
                    x - 7.0,
                    y - 7.0,
                    x + 11.0,
                    y + 4.0
                ),
            );
        }
        What::Restart { node: n, incarnation, durable } => {
            let (x, name) = node(*n);
            let found: Vec<String> = durable.iter().map(|f| f.to_string()).collect();
            let found = if found.is_empty() { "\n  with nothing on disk".into() } else { list(&found) };
            let title = format!("{name} restarts at {when}: incarnation {incarnation}{found}");
            group(
                out,
                "restart",
                &title,
                &format!(
                    r#"<path d="M{x:.1} {:.1}l7 12h-14z"/><text class="label" x="{:.1}" y="{:.1}">restart {incarnation}</text>"#,
                    y - 6.0,
                    x + 11.0,
                    y + 5.0
                ),
            );
        }
        What::Append { node: n, record, changes } => {
            let (x, name) = node(*n);
            let changes: Vec<String> =
                changes.iter().map(|c| format!("{}{}", if c.added { "+" } else { "-" }, c.fact)).collect();
            let title = format!("{name} writes log record {record} at {when}{}", list(&changes));
            group(out, "append", &title, &format!(r#"<path d="M{:.1} {y:.1}h7"/>"#, x - 18.0));
        }
        What::Flush { node: n, upto } => {
            // The bar reaches to the end of the flush, or to the crash that prevents it.
            let (x, name) = node(*n);
            let (end, done) = flush_end(trace, layout, at, *n, *upto);
            let title = format!(
                "{name} flushes its log up to record {upto} from {when}{}",
                if done { "" } else { ", and never ends" }
            );
            let cap = if done {
                format!(r#"<path class="stable" d="M{:.1} {end:.1}h9"/>"#, x - 19.0)
            } else {
                String::new()
            };
            group(
                out,
                "flush",
                &title,
                &format!(r#"<path class="bar" d="M{:.1} {y:.1}V{end:.1}"/>{cap}"#, x - 14.5),
            );
        }
        What::Invoke { client, request, .. } => {
            let x = layout.x(Peer::Client(*client));
            let title = format!("client.{client} asks {request} at {when}");
            group(out, "asks", &title, &format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="3.5"/>"#));
        }
        What::Return { client, answer, .. } => {
            let x = layout.x(Peer::Client(*client));
            let (class, short, whole) = match answer {
                Answer::Ok { text, .. } => ("told", text.clone(), format!("is told {text}")),
                Answer::Fail { error } => {
                    ("told no", format!("failed: {error}"), format!("is told that it failed: {error}"))
                }
                Answer::Unknown { error } => {
                    ("told no", "unknown".into(), format!("gives up, the outcome is unknown: {error}"))
                }
            };
            let title = format!("client.{client} {whole}, at {when}");
            let label = text::fit(&short, 64.0_f64.max(layout.gap - 90.0).min(100.0), 5.7);
            group(
                out,
                class,
                &title,
                &format!(
                    r#"<rect x="{:.1}" y="{:.1}" width="8" height="8" transform="rotate(45 {x:.1} {y:.1})"/><text class="label" x="{:.1}" y="{:.1}" text-anchor="end">{label}</text>"#,
                    x - 4.0,
                    y - 4.0,
                    x - 9.0,
                    y + 10.5
                ),
            );
        }
        What::Cut { from, to, both_ways, .. } => {
            let names = |peers: &[Peer]| peers.iter().map(|&p| layout.short(p)).collect::<Vec<_>>().join(" ");
            let words = if *both_ways { "cut off from" } else { "cannot reach" };
            banner(layout, "cut", y - 3.0, &format!("{} {words} {}", names(from), names(to)), out);
        }
        What::Heal { .. } => banner(layout, "cut", y - 3.0, "healed", out),
        What::Note { at, text } => match at {
            None => banner(layout, "note", y + 3.0, text, out),
            Some(peer) => {
                let label = text::fit(text, room, 5.7);
                let title = format!("{} at {when}: {text}", trace.name(*peer));
                let place = format!(
                    r#"<text class="label" x="{:.1}" y="{:.1}">{label}</text>"#,
                    layout.x(*peer) + 9.0,
                    y + 3.5
                );
                group(out, "note", &title, &place);
            }
        },
        What::Violation { property, text, nodes, facts } => {
            let facts: Vec<String> = facts.iter().map(|f| f.to_string()).collect();
            let title = format!("{property} is violated at {when}: {text}{}", list(&facts));
            let label = text::fit(&format!("✗ {property}: {text}"), layout.width - 100.0, 6.3);
            let rings: String = nodes
                .iter()
                .map(|&n| {
                    format!(r#"<circle class="ring" cx="{:.1}" cy="{:.1}" r="10"/>"#, node(n).0, y - 8.0)
                })
                .collect();
            group(
                out,
                "violation",
                &title,
                &format!(
                    r#"<rect x="80" y="{:.1}" width="{:.1}" height="20" rx="3"/><text x="88" y="{:.1}">{label}</text>{rings}"#,
                    y + 3.0,
                    layout.width - 92.0,
                    y + 17.0
                ),
            );
        }
        What::Send { .. }
        | What::Deliver { .. }
        | What::Drop { .. }
        | What::Duplicate { .. }
        | What::Stable { .. } => {}
    }
}

fn group(out: &mut String, class: &str, title: &str, inner: &str) {
    let _ = write!(out, r#"<g class="{class}"><title>{}</title>{inner}</g>"#, text::escape(title));
}

/// A line of text at the left of the lanes' area.
fn banner(layout: &Layout, class: &str, y: f64, words: &str, out: &mut String) {
    let words = text::fit(words, layout.width - 100.0, 5.7);
    let _ = write!(out, r#"<text class="label banner {class}" x="84" y="{y:.1}">{words}</text>"#);
}

fn flush_end(trace: &Trace, layout: &Layout, at: usize, node: usize, upto: u64) -> (f64, bool) {
    for (step, &y) in trace.steps.iter().zip(&layout.y).skip(at) {
        match step.what {
            What::Stable { node: n, upto: stable } if n == node && stable >= upto => return (y, true),
            What::Crash { node: n, .. } if n == node => return (y, false),
            _ => {}
        }
    }
    (layout.height - 14.0, false)
}

fn tick_title(trace: &Trace, tick: &TickStep, when: &str) -> String {
    let mut title = format!(
        "{}, tick {} of incarnation {}{}, at {when}",
        trace.name(Peer::Node(tick.node)),
        tick.tick,
        tick.incarnation,
        if tick.deferred { ", deferred" } else { "" }
    );
    let mut part = |head: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let _ = write!(title, "\n{head}:");
            for line in lines {
                let _ = write!(title, "\n  {line}");
            }
        }
    };
    part("in", tick.inputs.iter().map(|f| f.to_string()).collect());
    let derived = tick.derived.iter().map(|d| {
        let rules: Vec<&str> = d.rules.iter().map(|r| r.place.as_str()).collect();
        if rules.is_empty() { d.fact.to_string() } else { format!("{}  [{}]", d.fact, rules.join(", ")) }
    });
    part("new", derived.collect());
    part("gone", tick.gone.iter().map(|f| f.to_string()).collect());
    part("answers", tick.replies.iter().map(|r| r.text.clone()).collect());
    title
}
