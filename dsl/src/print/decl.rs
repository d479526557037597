//! Declarations as tokens.

use super::rule::{bracketed, call, commas, fixed};
use crate::fmt::lex::{Tok, from_stream};
use crate::ir::{
    Column, Constant, Delay, Delivery, Lattice, Machine, Param, Relation, RelationKind, Request, Role,
    Routing, Schedule, Tokens,
};

pub(super) fn column(column: &Column) -> Vec<Tok> {
    let mut out = fixed(&column.name);
    out.extend(fixed(":"));
    let lattice = match column.lattice {
        None => return out.into_iter().chain(from_stream(&column.ty.0)).collect(),
        Some(Lattice::Max) => "Max<",
        Some(Lattice::Min) => "Min<",
    };
    out.extend(fixed(lattice));
    out.extend(from_stream(&column.ty.0));
    out.extend(fixed(">"));
    out
}

fn columns(columns: &[Column]) -> Vec<Tok> {
    commas(columns.iter().map(column))
}

/// Columns of a relation, `=>` behind the key; a key that lattice columns imply is left out.
fn keyed(relation: &Relation) -> Vec<Tok> {
    let all = &relation.columns;
    let key = relation.key.filter(|k| !(all[*k..].iter().all(|c| c.lattice.is_some())));
    let Some(key) = key else { return columns(all) };
    let mut out = columns(&all[..key]);
    out.extend(fixed("=>"));
    out.extend(columns(&all[key..]));
    out
}

fn delay(delay: &Delay) -> Vec<Tok> {
    match delay {
        Delay::Millis(n) => millis(*n),
        Delay::Param(name) => fixed(name),
    }
}

pub(super) fn millis(n: u64) -> Vec<Tok> {
    let units = [(3_600_000, "h"), (60_000, "min"), (1000, "s")];
    let unit = units.iter().find(|(scale, _)| n > 0 && n.is_multiple_of(*scale));
    fixed(&unit.map_or_else(|| format!("{n}ms"), |(scale, unit)| format!("{}{unit}", n / scale)))
}

fn jitter(jitter: Option<&Delay>) -> Vec<Tok> {
    jitter.map_or_else(Vec::new, |j| fixed("jitter").into_iter().chain(delay(j)).collect())
}

fn schedule(schedule: &Schedule) -> Vec<Tok> {
    match schedule {
        Schedule::After { delay: d, jitter: j } => {
            fixed("after").into_iter().chain(delay(d)).chain(jitter(j.as_ref())).collect()
        }
        Schedule::Every { from, to, jitter: j } => {
            let mut out: Vec<Tok> = fixed("every").into_iter().chain(delay(from)).collect();
            if let Some(to) = to {
                out.extend(fixed(".."));
                out.extend(delay(to));
            }
            out.extend(jitter(j.as_ref()));
            out
        }
    }
}

impl super::Printer<'_> {
    pub(super) fn role(&self, role: &Role) -> Vec<Tok> {
        let mut out = format!("role {}", role.name);
        if let Some(whole) = role.part_of {
            out += &format!(" of {}", self.ir.role(whole).name);
        }
        let words = [
            (role.partitioned, "partitioned"),
            (role.shares_fate, "shares fate"),
            (role.held, "held"),
            (role.sequencer, "sequencer"),
        ];
        for (_, word) in words.iter().filter(|(said, _)| *said) {
            out += &format!(", {word}");
        }
        fixed(&out)
    }

    /// `routed ..`.
    fn routing(&self, relation: &Relation) -> Vec<Tok> {
        let (words, e) = match &relation.routing {
            None => return Vec::new(),
            Some(Routing::All) => return fixed("routed to all"),
            Some(Routing::By(e)) => ("routed by", e),
            Some(Routing::To(e)) => ("routed to", e),
        };
        let mut out = fixed(words);
        out.extend(self.expr(e));
        out
    }

    /// `ordered, logged, sealed`.
    fn delivery(relation: &Relation) -> Vec<Tok> {
        let Delivery { ordered, logged, sealed } = relation.delivery;
        let words = [(ordered, "ordered"), (logged, "logged"), (sealed, "sealed")];
        let said: Vec<&str> = words.iter().filter(|(said, _)| *said).map(|(_, word)| *word).collect();
        let comma = if relation.routing.is_some() && !said.is_empty() { ", " } else { "" };
        fixed(&format!("{comma}{}", said.join(", ")))
    }

    pub(super) fn param(&self, param: &Param) -> Vec<Tok> {
        let mut out = fixed(&format!("param {}:", param.name));
        out.extend(from_stream(&param.ty.0));
        if let Some(default) = &param.default {
            out.extend(fixed("="));
            out.extend(match default {
                Constant::Millis(n) => millis(*n),
                Constant::Rust(Tokens(tokens)) => from_stream(tokens),
            });
        }
        out
    }

    /// `message …` or `request …`; `None` for other relations.
    pub(super) fn communication(&self, relation: &Relation) -> Option<Vec<Tok>> {
        let role = &self.ir.role(relation.role?).name;
        match &relation.kind {
            RelationKind::Message => {
                let mut out = fixed("message");
                out.extend(call(&relation.name, columns(&relation.columns)));
                out.extend(fixed(&format!("to {role}")));
                out.extend(self.routing(relation));
                out.extend(Self::delivery(relation));
                Some(out)
            }
            RelationKind::Request(request) => Some(self.request(relation, request, role)),
            _ => None,
        }
    }

    fn request(&self, relation: &Relation, request: &Request, role: &str) -> Vec<Tok> {
        let mut out = fixed("request");
        // The first column is the `Req`, which nobody writes.
        out.extend(call(&relation.name, columns(&relation.columns[1..])));
        out.extend(fixed("->"));
        out.extend(bracketed("(", columns(&request.reply), ")"));
        if let Some(error) = &request.error {
            out.extend(fixed("else"));
            out.extend(from_stream(&error.0));
        }
        out.extend(fixed(&format!("at {role}")));
        if let Some(by) = request.by {
            out.extend(fixed(&format!("by {}", relation.columns[by].name)));
        }
        out.extend(self.routing(relation));
        if request.resend {
            out.extend(fixed(", resend"));
        }
        out
    }

    /// What stands before the relation's kind.
    pub(super) fn qualifiers(relation: &Relation) -> String {
        let words =
            [(relation.durable, "durable"), (relation.ghost, "ghost"), (relation.replicated, "replicated")];
        let said: Vec<&str> = words.iter().filter(|(said, _)| *said).map(|(_, word)| *word).collect();
        said.join(" ")
    }

    /// The word that declares a relation of a role; `None` for those that come by themselves.
    pub(super) fn keyword(relation: &Relation) -> Option<&'static str> {
        match relation.kind {
            RelationKind::Event => Some("event"),
            RelationKind::Table => Some("table"),
            RelationKind::Var(_) => Some("var"),
            RelationKind::View => Some("view"),
            RelationKind::Timer(_) => Some("timer"),
            _ => None,
        }
    }

    /// The declaration of a relation of a role, by itself; `None` for those that come by themselves.
    pub(super) fn local(&self, relation: &Relation) -> Option<Vec<Tok>> {
        let mut out = fixed(&Self::qualifiers(relation));
        match &relation.kind {
            RelationKind::MachineFeed(id) => {
                return Some(self.machine(&self.ir.machines[id.index()], relation));
            }
            RelationKind::Var(first) => {
                out.extend(fixed("var"));
                out.extend(call(&relation.name, columns(&relation.columns)));
                out.extend(self.routing(relation));
                if let Some(first) = first {
                    out.extend(fixed("="));
                    out.extend(self.expr(first));
                }
            }
            RelationKind::Timer(timer) => {
                out.extend(fixed("timer"));
                out.extend(if relation.columns.is_empty() {
                    fixed(&relation.name)
                } else {
                    call(&relation.name, columns(&relation.columns))
                });
                out.extend(schedule(&timer.schedule));
                if !timer.rows.is_empty() {
                    out.extend(fixed("while"));
                    out.extend(self.body(&timer.rows));
                }
            }
            _ => {
                out.extend(fixed(Self::keyword(relation)?));
                out.extend(call(&relation.name, keyed(relation)));
                out.extend(self.routing(relation));
            }
        }
        Some(out)
    }

    fn machine(&self, machine: &Machine, feed: &Relation) -> Vec<Tok> {
        let mut out = fixed(if machine.durable { "durable machine" } else { "machine" });
        out.extend(call(&machine.name, columns(&feed.columns)));
        out.extend(fixed("->"));
        // `done` repeats the slot before what the machine answers.
        let done = &self.ir.relation(machine.done).columns;
        out.extend(bracketed("(", columns(&done[1..]), ")"));
        out.extend(fixed("="));
        out.extend(from_stream(&machine.implementation.0));
        out
    }
}
