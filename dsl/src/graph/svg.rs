//! `svg`: messages as lanes on top, then every role laid out from left to right.

use super::layered::{Layout, Link, layout};
use super::{Cluster, Edge, EdgeKind, Graph, Node, NodeKind};
use std::fmt::Write;

/// Height of a node.
const HEIGHT: f64 = 30.0;
const MARGIN: f64 = 24.0;
/// Between clusters.
const GAP: f64 = 18.0;

const STYLE: &str = "\
text { font-family: Helvetica, Arial, sans-serif; font-size: 11px; fill: #1b1f24 }
.heading { font-size: 20px; font-weight: bold } .about { font-size: 12px; fill: #57606a }
.role { font-size: 14px; font-weight: bold } .place { font-size: 9px; fill: #6e7781 }
.middle { text-anchor: middle } .halo { stroke: #fff; stroke-width: 4px; stroke-linejoin: round }
.cluster { fill: #f6f8fa; stroke: #d0d7de } .lane { stroke: #d0d7de; stroke-width: 2 }
path { fill: none; stroke: #57606a; stroke-width: 1.1; marker-end: url(#arrow) }
.wire { stroke: #0969da; stroke-width: 1.4; marker-end: url(#blue) }
.client { stroke: #8250df; marker-end: url(#violet) }
.trigger { stroke: #1b1f24; stroke-width: 1.4 } .read { stroke: #afb8c1 } .inner { stroke: #d4a72c; stroke-dasharray: 1 2 }
.negated { stroke: #afb8c1; stroke-dasharray: 5 3 } .now { stroke: #1a7f37; stroke-width: 1.4; marker-end: url(#green) }
.next { stroke: #1a7f37; stroke-dasharray: 6 3; marker-end: url(#green) }
.delete { stroke: #cf222e; stroke-dasharray: 2 2; marker-end: url(#red) }
.node { stroke: #57606a; fill: #fff } .message { fill: #ddf4ff; stroke: #0969da } .request { fill: #fbefff; stroke: #8250df }
.output { fill: #ddf4ff; stroke: #0969da; stroke-width: 1.8 } .timer { fill: #fff8c5; stroke: #bf8700 }
.table { fill: #dafbe1; stroke: #1a7f37 } .durable { stroke-width: 2.6 } .view { fill: #fff; stroke: #1a7f37; stroke-dasharray: 4 2 }
.event { fill: #fff; stroke: #1b1f24 } .machine { fill: #ffebda; stroke: #bc4c00 } .rule { fill: #eaeef2; stroke: #8c959f }
";

/// A cluster whose insides have their places.
struct Laid {
    boxes: Vec<(f64, f64)>,
    layout: Layout,
    size: (f64, f64),
}

/// What is drawn so far.
pub(super) struct Canvas {
    out: String,
}

/// How wide a text will be, near enough.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    let width = |c: char| match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | '\'' | '|' | ' ' | '(' | ')' => 0.31,
        'm' | 'w' | 'M' | 'W' => 0.86,
        'A'..='Z' => 0.7,
        '⇒' | '→' => 1.0,
        _ => 0.56,
    };
    text.chars().map(width).sum::<f64>() * size
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl Canvas {
    pub fn text(&mut self, x: f64, y: f64, text: &str, class: &str) {
        let _ =
            writeln!(self.out, "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{}</text>", escape(text));
    }
    /// A text that lines behind it do not disturb; gives its width.
    pub fn halo(&mut self, x: f64, y: f64, text: &str, class: &str) -> f64 {
        self.text(x, y, text, &format!("{class} halo"));
        self.text(x, y, text, class);
        text_width(text, 11.0)
    }
    pub fn line(&mut self, a: (f64, f64), b: (f64, f64), class: &str) {
        let _ = writeln!(
            self.out,
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" class=\"{class}\"/>",
            a.0, a.1, b.0, b.1
        );
    }
    pub fn path(&mut self, d: &str, class: &str, title: &str) {
        if title.is_empty() {
            let _ = writeln!(self.out, "<path d=\"{d}\" class=\"{class}\"/>");
        } else {
            let _ = writeln!(
                self.out,
                "<path d=\"{d}\" class=\"{class}\"><title>{}</title></path>",
                escape(title)
            );
        }
    }
    fn rect(&mut self, at: (f64, f64), size: (f64, f64), round: f64, class: &str) {
        let _ = writeln!(
            self.out,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"{round}\" class=\"{class}\"/>",
            at.0, at.1, size.0, size.1
        );
    }
}

impl Graph {
    /// A picture of its own.
    pub fn svg(&self) -> String {
        let mut canvas = Canvas { out: String::new() };
        let (mut width, mut y) = (0.0_f64, MARGIN);
        canvas.text(MARGIN, y + 14.0, &self.name, "heading");
        let heading = text_width(&self.name, 20.0) * 1.1 + MARGIN + 14.0;
        canvas.text(heading, y + 14.0, &format!("{}   ({})", self.about, self.file), "about");
        y += 34.0;
        let (w, h) = self.lanes(&mut canvas, MARGIN, y);
        let legend = legend(&mut canvas, MARGIN + w + 20.0, y + 4.0);
        width = width.max(w + 20.0 + legend.0);
        y += h.max(legend.1) + 20.0;
        // Roles stand side by side as far as the widest leaves room.
        // Parts stand behind their whole.
        let order: Vec<usize> = self.families().into_iter().flatten().collect();
        let laid: Vec<(Laid, usize)> = order.iter().map(|&c| (self.lay(&self.roles[c]), c)).collect();
        width = laid.iter().map(|(l, _)| l.size.0).fold(width, f64::max);
        let (mut x, mut row) = (0.0_f64, 0.0_f64);
        for (laid, role) in &laid {
            if x > 0.0 && x + laid.size.0 > width {
                y += row + GAP;
                (x, row) = (0.0, 0.0);
            }
            self.cluster(&mut canvas, *role, laid, (MARGIN + x, y));
            x += laid.size.0 + GAP;
            row = row.max(laid.size.1);
        }
        y += row + GAP;
        let (width, height) = (width + 2.0 * MARGIN, y + 6.0);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\">\n<style>\n{STYLE}</style>\n<defs>\n"
        );
        for (name, colour) in [
            ("arrow", "#57606a"),
            ("blue", "#0969da"),
            ("violet", "#8250df"),
            ("green", "#1a7f37"),
            ("red", "#cf222e"),
        ] {
            let _ = writeln!(
                out,
                "<marker id=\"{name}\" viewBox=\"0 0 8 8\" refX=\"7.5\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" markerUnits=\"userSpaceOnUse\" orient=\"auto\"><polygon points=\"0,0.5 8,4 0,7.5\" fill=\"{colour}\"/></marker>"
            );
        }
        let _ = write!(
            out,
            "</defs>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{}</svg>\n",
            canvas.out
        );
        out
    }

    fn labels(&self, node: &Node) -> (String, String) {
        (node.title.clone(), self.place(node.line))
    }

    fn size(&self, node: &Node) -> (f64, f64) {
        let (title, place) = self.labels(node);
        let text = text_width(&title, 11.0).max(text_width(&place, 9.0));
        (text + 16.0, HEIGHT)
    }

    fn lay(&self, cluster: &Cluster) -> Laid {
        let boxes: Vec<(f64, f64)> = cluster.nodes.iter().map(|n| self.size(n)).collect();
        let links: Vec<Link> = cluster.edges.iter().map(link).collect();
        let layout = layout(&boxes, &links);
        let size = (layout.size.0 + 32.0, layout.size.1 + 52.0);
        Laid { boxes, layout, size }
    }

    fn cluster(&self, canvas: &mut Canvas, role: usize, laid: &Laid, (x, y): (f64, f64)) {
        let cluster = &self.roles[role];
        let Laid { boxes, layout, size } = laid;
        canvas.rect((x, y), *size, 8.0, "cluster");
        canvas.text(x + 14.0, y + 22.0, &self.role_title(role), "role");
        let shift = |p: (f64, f64)| (p.0 + x + 16.0, p.1 + y + 36.0);
        for (edge, path) in cluster.edges.iter().zip(&layout.paths) {
            let points: Vec<(f64, f64)> = path.iter().map(|p| shift(*p)).collect();
            let title = format!(
                "{} → {}",
                self.title(&cluster.nodes[edge.from]),
                self.title(&cluster.nodes[edge.to])
            );
            canvas.path(&curve(&points), edge.class(), &title);
        }
        for ((node, at), size) in cluster.nodes.iter().zip(&layout.at).zip(boxes) {
            self.node(canvas, node, shift(*at), *size);
        }
    }

    fn title(&self, node: &Node) -> String {
        format!("{} {}", node.title, self.place(node.line))
    }

    fn node(&self, canvas: &mut Canvas, node: &Node, at: (f64, f64), size: (f64, f64)) {
        let (title, place) = self.labels(node);
        let _ = writeln!(
            canvas.out,
            "<g><title>{}</title>",
            escape(&format!("{}\n{}", self.title(node), node.full))
        );
        let (x, y, w, h) = (at.0, at.1, size.0, size.1);
        match node.kind {
            NodeKind::Message | NodeKind::Request | NodeKind::Output => {
                let _ = writeln!(
                    canvas.out,
                    "<polygon points=\"{x:.1},{y:.1} {:.1},{y:.1} {:.1},{:.1} {:.1},{:.1} {x:.1},{:.1}\" class=\"node {}\"/>",
                    x + w - 7.0,
                    x + w,
                    y + h / 2.0,
                    x + w - 7.0,
                    y + h,
                    y + h,
                    node.class()
                );
            }
            NodeKind::Event | NodeKind::Rule | NodeKind::Timer => {
                canvas.rect(at, size, h / 2.0, &format!("node {}", node.class()))
            }
            _ => canvas.rect(at, size, 3.0, &format!("node {}", node.class())),
        }
        canvas.text(x + w / 2.0, y + 13.0, &title, "middle");
        canvas.text(x + w / 2.0, y + 25.0, &place, "place middle");
        canvas.out.push_str("</g>\n");
    }
}

impl Node {
    fn class(&self) -> &'static str {
        match self.kind {
            NodeKind::Message => "message",
            NodeKind::Request => "request",
            NodeKind::Timer => "timer",
            NodeKind::Event => "event",
            NodeKind::Table(false) => "table",
            NodeKind::Table(true) => "table durable",
            NodeKind::View => "view",
            NodeKind::Machine => "machine",
            NodeKind::Output => "output",
            NodeKind::Rule => "rule",
        }
    }
}

impl Edge {
    fn class(&self) -> &'static str {
        match self.kind {
            EdgeKind::Trigger => "trigger",
            EdgeKind::Read => "read",
            EdgeKind::Negated => "negated",
            EdgeKind::Now => "now",
            EdgeKind::Next => "next",
            EdgeKind::Delete => "delete",
            EdgeKind::Inner => "inner",
        }
    }
}

fn link(edge: &Edge) -> Link {
    Link { from: edge.from, to: edge.to, weak: matches!(edge.kind, EdgeKind::Delete | EdgeKind::Next) }
}

/// A smooth line through points, level at each of them.
fn curve(points: &[(f64, f64)]) -> String {
    let mut out = format!("M{:.1},{:.1}", points[0].0, points[0].1);
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        if (y0 - y1).abs() < 0.5 {
            let _ = write!(out, " L{x1:.1},{y1:.1}");
        } else {
            let middle = (x0 + x1) / 2.0;
            let _ = write!(out, " C{middle:.1},{y0:.1} {middle:.1},{y1:.1} {x1:.1},{y1:.1}");
        }
    }
    out
}

fn legend(canvas: &mut Canvas, x: f64, y: f64) -> (f64, f64) {
    let kinds = [
        ("message", "message in"),
        ("request", "request"),
        ("output", "message or answer out"),
        ("timer", "timer"),
        ("event", "event"),
        ("table", "table, var"),
        ("table durable", "durable table, var"),
        ("view", "view"),
        ("machine", "machine"),
        ("rule", "rule or on block"),
    ];
    let lines = [
        ("trigger", "happens: the rule runs"),
        ("read", "is read"),
        ("negated", "must be absent"),
        ("now", "<= and <~"),
        ("next", "<+ at the next tick"),
        ("delete", "<- deletes"),
    ];
    for (i, (class, text)) in kinds.iter().enumerate() {
        let at = y + 18.0 * i as f64;
        canvas.rect((x, at), (24.0, 12.0), 3.0, &format!("node {class}"));
        canvas.text(x + 32.0, at + 10.0, text, "label");
    }
    for (i, (class, text)) in lines.iter().enumerate() {
        let at = y + 18.0 * (kinds.len() + i) as f64;
        canvas.path(&format!("M{x:.1},{:.1} h24", at + 6.0), class, "");
        canvas.text(x + 32.0, at + 10.0, text, "label");
    }
    (190.0, 18.0 * (kinds.len() + lines.len()) as f64 + 8.0)
}
