//! `dot` and `mermaid`: the layout is left to Graphviz and to whoever renders Markdown.

use super::{EdgeKind, Graph, Node, NodeKind};
use std::fmt::Write;

impl Graph {
    /// For Graphviz.
    pub fn dot(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "digraph {} {{", self.name);
        let _ = writeln!(out, "    rankdir=LR; compound=true; fontname=\"Helvetica\";");
        let _ = writeln!(out, "    node [fontname=\"Helvetica\", fontsize=10]; edge [fontsize=9];");
        for (c, cluster, first, last) in self.drawn() {
            if first {
                let _ = writeln!(out, "    subgraph cluster_family_{c} {{\n        style=dashed;");
            }
            let _ = writeln!(out, "    subgraph cluster_{c} {{\n        label={:?};", self.role_title(c));
            for (n, node) in cluster.nodes.iter().enumerate() {
                let label = format!("{}\n{}", node.title, self.place(node.line));
                let style = match node.kind {
                    NodeKind::Message | NodeKind::Request | NodeKind::Output => "shape=cds",
                    NodeKind::Timer => "shape=octagon",
                    NodeKind::Event => "shape=box, style=rounded",
                    NodeKind::Table(true) => "shape=cylinder, penwidth=2",
                    NodeKind::Table(false) => "shape=cylinder",
                    NodeKind::View => "shape=box, style=dashed",
                    NodeKind::Machine => "shape=component",
                    NodeKind::Rule => "shape=plain, fontcolor=gray30",
                };
                let _ =
                    writeln!(out, "        n{c}_{n} [label={label:?}, tooltip={:?}, {style}];", node.full);
            }
            for edge in &cluster.edges {
                let style = match edge.kind {
                    EdgeKind::Trigger => "color=black",
                    EdgeKind::Read => "color=gray50",
                    EdgeKind::Negated => "color=gray50, arrowhead=odot",
                    EdgeKind::Now => "color=black",
                    EdgeKind::Next => "style=dashed, label=\"<+\"",
                    EdgeKind::Delete => "color=red3, style=dotted, arrowhead=tee",
                    EdgeKind::Inner => "color=gray70",
                };
                let _ = writeln!(out, "        n{c}_{} -> n{c}_{} [{style}];", edge.from, edge.to);
            }
            out.push_str("    }\n");
            if last {
                out.push_str("    }\n");
            }
        }
        for (from, to) in self.links() {
            let _ = writeln!(
                out,
                "    n{}_{} -> n{}_{} [color=blue, penwidth=1.5, constraint=false];",
                from.0, from.1, to.0, to.1
            );
        }
        out.push_str("}\n");
        out
    }

    /// For Markdown.
    pub fn mermaid(&self) -> String {
        let mut out = String::from("flowchart LR\n");
        let escape = |text: &str| text.replace('"', "#quot;").replace('<', "#lt;").replace('>', "#gt;");
        for (c, cluster, first, last) in self.drawn() {
            if first {
                let _ = writeln!(out, "    subgraph family_{c} [\"{} and its parts\"]", cluster.name);
            }
            match cluster.whole {
                Some(_) => writeln!(out, "    subgraph {} [\"{}\"]", cluster.name, self.role_title(c)),
                None => writeln!(out, "    subgraph {}", cluster.name),
            }
            .expect("text has room");
            for (n, node) in cluster.nodes.iter().enumerate() {
                let (open, close) = match node.kind {
                    NodeKind::Message | NodeKind::Request => (">", "]"),
                    NodeKind::Output => ("[/", "/]"),
                    NodeKind::Timer => ("{{", "}}"),
                    NodeKind::Event => ("(", ")"),
                    NodeKind::Table(_) | NodeKind::Machine => ("[(", ")]"),
                    NodeKind::View => ("[", "]"),
                    NodeKind::Rule => ("([", "])"),
                };
                let label = format!("{}<br>{}", escape(&node.title), self.place(node.line));
                let _ = writeln!(out, "        n{c}_{n}{open}\"{label}\"{close}");
            }
            for edge in &cluster.edges {
                let arrow = match edge.kind {
                    EdgeKind::Trigger | EdgeKind::Now => "==>",
                    EdgeKind::Read | EdgeKind::Inner => "-->",
                    EdgeKind::Negated => "--o",
                    EdgeKind::Next => "-. next .->",
                    EdgeKind::Delete => "-. delete .-x",
                };
                let _ = writeln!(out, "        n{c}_{} {arrow} n{c}_{}", edge.from, edge.to);
            }
            out.push_str("    end\n");
            if last {
                out.push_str("    end\n");
            }
        }
        for (from, to) in self.links() {
            let _ = writeln!(out, "    n{}_{} ==> n{}_{}", from.0, from.1, to.0, to.1);
        }
        out
    }

    /// Roles in order, each with whether it opens a family of several and whether it closes one.
    fn drawn(&self) -> Vec<(usize, &super::Cluster, bool, bool)> {
        let mut out = Vec::new();
        for family in self.families() {
            let (several, n) = (family.len() > 1, family.len());
            for (i, role) in family.into_iter().enumerate() {
                out.push((role, &self.roles[role], several && i == 0, several && i + 1 == n));
            }
        }
        out
    }

    /// From messages that leave to where they arrive: cluster and node of both ends.
    fn links(&self) -> Vec<((usize, usize), (usize, usize))> {
        let mut links = Vec::new();
        for (c, cluster) in self.roles.iter().enumerate() {
            for (n, node) in cluster.nodes.iter().enumerate().filter(|(_, n)| n.kind == NodeKind::Output) {
                let Some((message, role)) = node.title.split_once(" → ") else { continue };
                let target = self.roles.iter().position(|r| r.name == role).and_then(|r| {
                    let arrives =
                        |n: &Node| n.kind == NodeKind::Message && n.title.split('(').next() == Some(message);
                    Some((r, self.roles[r].nodes.iter().position(arrives)?))
                });
                links.extend(target.map(|to| ((c, n), to)));
            }
        }
        links
    }
}
