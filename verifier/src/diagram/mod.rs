//! Space-time diagrams of runs: one SVG that needs nothing else, or a page around it.
//!
//! Lanes stand side by side, clients left, then nodes; time runs down. Each step has a row of its own, so time is
//! in order but not to scale (the axis says when). That way a label has a place that no other label can claim:
//! a message's stands under its arrowhead, on the side that the arrow comes from, where its own line, coming from
//! above, never is. What is too long is cut, and whole in the title that hovering shows, with the facts of ticks.
//!
//! Colours are Okabe and Ito's, and never the only sign: dropped messages end in a cross, copies are dotted, dead
//! nodes hatched. Dark backgrounds are noticed (`prefers-color-scheme`).
//!
//! Omitted: clients that do nothing; ticks' facts outside the titles.

mod layout;
mod mark;
mod message;
mod style;
mod text;

use crate::trace::Trace;
use layout::Layout;
use std::fmt::Write;

/// The diagram as SVG.
pub fn svg(trace: &Trace) -> String {
    let layout = Layout::of(trace);
    let title = format!("{}: {}", trace.protocol, trace.about.join("; "));
    let title = text::fit(&title, layout.width - 24.0, 7.2);
    drawing(trace, &layout, 0.0, &format!(r#"<text class="head" x="12" y="20">{title}</text>"#))
}

/// The drawing from a height on.
fn drawing(trace: &Trace, layout: &Layout, top: f64, head: &str) -> String {
    let mut out = String::new();
    let (w, h) = (layout.width, layout.height + style::LEGEND + 30.0);
    let _ = write!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 {top:.0} {w:.0} {:.0}" width="{w:.0}" height="{:.0}" role="img">"#,
        h - top,
        h - top
    );
    out += "<style>";
    out += style::CSS;
    out += "</style>";
    out += style::DEFS;
    let _ = write!(out, r#"<rect class="paper" width="{w:.0}" height="{h:.0}"/>"#);
    out += head;
    body(trace, layout, &mut out);
    style::legend(layout.height + 36.0, &mut out);
    out += "</svg>\n";
    out
}

/// The diagram as a page, with lane names that stay in sight and what hovering shows on a click, too.
pub fn html(trace: &Trace) -> String {
    let layout = Layout::of(trace);
    let w = layout.width;
    let mut names = String::new();
    layout.names(22.0, &mut names);
    let about: String = trace.about.iter().map(|line| format!("<p>{}</p>", text::escape(line))).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{name}</title><style>{page}</style></head>\n\
         <body><h1>{name}</h1>{about}\n<div id=\"names\"><svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w:.0}\" height=\"32\"><style>{css}</style>{names}</svg></div>\n\
         {svg}<pre id=\"facts\" hidden></pre><script>{script}</script></body></html>\n",
        name = text::escape(&trace.protocol),
        page = style::PAGE,
        css = style::CSS,
        svg = drawing(trace, &layout, 48.0, ""),
        script = style::SCRIPT,
    )
}

fn body(trace: &Trace, layout: &Layout, out: &mut String) {
    mark::cuts(trace, layout, out);
    mark::lanes(trace, layout, out);
    layout.names(40.0, out);
    layout.axis(trace, out);
    message::arrows(trace, layout, out);
    for (i, step) in trace.steps.iter().enumerate() {
        mark::step(trace, layout, i, step, out);
    }
    message::labels(trace, layout, out);
    layout.names(layout.height + 16.0, out);
}
