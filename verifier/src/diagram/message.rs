//! Messages: lines from lane to lane, and their labels.

use super::layout::Layout;
use super::text;
use crate::trace::{Fact, Peer, Trace, What};
use std::collections::BTreeMap;
use std::fmt::Write;

/// A message on its way.
#[derive(Clone)]
struct Flight<'a> {
    from: Peer,
    to: Peer,
    fact: &'a Fact,
    start: f64,
    sent_us: u64,
    copy: bool,
    /// Where and when it ended, and why if it was lost.
    end: Option<(f64, u64, Option<&'a str>)>,
}

fn flights<'a>(trace: &'a Trace, layout: &Layout) -> BTreeMap<u64, Flight<'a>> {
    let mut flights: BTreeMap<u64, Flight<'a>> = BTreeMap::new();
    for (step, &y) in trace.steps.iter().zip(&layout.y) {
        match &step.what {
            What::Send { message, from, to, fact } => {
                let (sent_us, start) = (step.time_us, y);
                let flight = Flight { from: *from, to: *to, fact, start, sent_us, copy: false, end: None };
                flights.insert(*message, flight);
            }
            What::Duplicate { message, copy } => {
                if let Some(original) = flights.get(message).cloned() {
                    flights.insert(*copy, Flight { copy: true, end: None, ..original });
                }
            }
            What::Deliver { message } => {
                if let Some(flight) = flights.get_mut(message) {
                    flight.end = Some((y, step.time_us, None));
                }
            }
            What::Drop { message, why } => {
                if let Some(flight) = flights.get_mut(message) {
                    flight.end = Some((y, step.time_us, Some(why)));
                }
            }
            _ => {}
        }
    }
    flights
}

impl Flight<'_> {
    fn class(&self) -> &'static str {
        match (self.end, self.copy, self.from, self.to) {
            (Some((_, _, Some(_))), ..) => "m lost",
            (_, true, ..) => "m copy",
            (_, _, Peer::Client(_), _) | (_, _, _, Peer::Client(_)) => "m client",
            _ => "m",
        }
    }

    /// Where the line ends.
    fn tip(&self, layout: &Layout) -> (f64, f64) {
        let (from, to) = (layout.x(self.from), layout.x(self.to));
        match self.end {
            // A little before the lane, so that the head is seen.
            Some((y, _, None)) => (to - (to - from).signum() * 4.0, y),
            // Where nothing else is: between the last two lanes on the way.
            Some((y, _, Some(_))) => (to - (to - from).signum() * layout.gap * 0.3, y),
            None => (from + (to - from).signum() * layout.gap * 0.25, (self.start + 22.0).min(layout.height)),
        }
    }

    fn title(&self, trace: &Trace) -> String {
        let mut title = format!(
            "{}\n{} to {}, sent at {}",
            self.fact,
            trace.name(self.from),
            trace.name(self.to),
            text::time(self.sent_us)
        );
        let _ = match self.end {
            Some((_, us, None)) => write!(title, ", arrived at {}", text::time(us)),
            Some((_, us, Some(why))) => write!(title, ", lost at {} ({why})", text::time(us)),
            None => write!(title, ", still on its way"),
        };
        if self.copy {
            title += "\na copy: the network delivers it once more";
        }
        text::escape(&title)
    }
}

/// The lines.
pub(super) fn arrows(trace: &Trace, layout: &Layout, out: &mut String) {
    for flight in flights(trace, layout).values() {
        let x = layout.x(flight.from);
        let (tip_x, tip_y) = flight.tip(layout);
        let class = flight.class();
        let _ = write!(out, r#"<g class="{class}"><title>{}</title>"#, flight.title(trace));
        let head = if matches!(flight.end, Some((_, _, None))) { r#" marker-end="url(#head)""# } else { "" };
        let path = if flight.from == flight.to {
            // To itself: a bow at the right.
            let out_x = x + 26.0;
            format!(
                "M{x:.1} {:.1}C{out_x:.1} {:.1} {out_x:.1} {tip_y:.1} {:.1} {tip_y:.1}",
                flight.start,
                flight.start,
                x + 4.0
            )
        } else {
            format!("M{x:.1} {:.1}L{tip_x:.1} {tip_y:.1}", flight.start)
        };
        // A wide invisible line below makes hovering easy.
        let _ = write!(out, r#"<path class="reach" d="{path}"/><path class="line" d="{path}"{head}/>"#);
        match flight.end {
            Some((_, _, Some(_))) => {
                let _ = write!(
                    out,
                    r#"<path class="cross" d="M{:.1} {:.1}l10 10m0-10l-10 10"/>"#,
                    tip_x - 5.0,
                    tip_y - 5.0
                );
            }
            None => {
                let _ = write!(out, r#"<circle class="open" cx="{tip_x:.1}" cy="{tip_y:.1}" r="2.5"/>"#);
            }
            _ => {}
        }
        out.push_str("</g>");
    }
}

/// The labels, above all lines.
pub(super) fn labels(trace: &Trace, layout: &Layout, out: &mut String) {
    for flight in flights(trace, layout).values() {
        let Some((y, _, lost)) = flight.end else { continue };
        let (tip_x, _) = flight.tip(layout);
        let rightward = layout.x(flight.to) > layout.x(flight.from);
        let room = layout.gap - if lost.is_some() { layout.gap * 0.3 + 16.0 } else { 18.0 };
        let mut label = text::brief(flight.fact, &layout.roles);
        if flight.copy {
            label = format!("again: {label}");
        }
        let (x, anchor) = match (flight.from == flight.to, rightward) {
            (true, _) => (layout.x(flight.to) + 10.0, "start"),
            (false, true) => (tip_x - 5.0, "end"),
            (false, false) => (tip_x + 5.0, "start"),
        };
        let _ = write!(
            out,
            r#"<text class="label {}" x="{x:.1}" y="{:.1}" text-anchor="{anchor}"><title>{}</title>{}</text>"#,
            flight.class(),
            y + 10.5,
            flight.title(trace),
            text::fit(&label, room, 5.7)
        );
    }
}
