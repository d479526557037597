//! The text form of a plan, for tests and explanations: stable, one pipeline per line.
//!
//! A pipeline reads from left to right: start, operations, `=>` head; tails of a shared pipeline on lines of their
//! own. `r[0,1](..)` probes r by the index on columns 0 and 1. In brackets of columns, `x` binds, `=x` compares.

use super::pipeline::*;
use super::step::*;
use super::types::*;
use std::fmt::{self, Display, Formatter};

impl Display for RolePlan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, r) in self.relations.iter().enumerate() {
            let silent =
                r.indexes.is_empty() && r.deltas.is_empty() && !matches!(r.class, Class::View { .. });
            if silent && matches!(r.class, Class::Instances(_)) {
                continue;
            }
            self.relation_line(f, RelIx(i as u32), r)?;
            for p in &r.deltas {
                writeln!(f, "  {}", self.text(p))?;
            }
        }
        for p in &self.init {
            writeln!(f, "at the beginning: {}", self.text(p))?;
        }
        let units: Vec<String> = self.units.iter().map(|u| self.unit(u)).collect();
        if !units.is_empty() {
            writeln!(f, "release in order: {}", units.join(", "))?;
        }
        for (i, unit) in self.recursive.iter().enumerate() {
            writeln!(f, "unit {i}: {}", if unit.insert_only { "insert-only" } else { "recomputed" })?;
            for p in &unit.seeds {
                writeln!(f, "  seed {}", self.text(p))?;
            }
            for p in &unit.steps {
                writeln!(f, "  step {}", self.text(p))?;
            }
        }
        for (i, s) in self.standing.iter().enumerate() {
            let index = &self.relation(s.view).indexes[s.index.index()].columns;
            writeln!(f, "standing {i}: {} from {}{index:?}", self.name(s.table), self.name(s.view))?;
        }
        for step in &self.steps {
            self.step(f, step)?;
        }
        for (what, map) in [("send", &self.sends), ("answer", &self.answers)] {
            for (rel, dedup) in map {
                if *dedup != Dedup::Never {
                    writeln!(f, "{what} {}: dedup {dedup:?}", rel.0)?;
                }
            }
        }
        Ok(())
    }
}

impl RolePlan {
    fn name(&self, rel: RelIx) -> &str {
        &self.relation(rel).name
    }

    fn unit(&self, unit: &Unit) -> String {
        match unit {
            Unit::View(v) => self.name(*v).to_owned(),
            Unit::Recursive(n) => {
                let names: Vec<&str> = self.recursive[*n].members.iter().map(|m| self.name(*m)).collect();
                format!("unit {n} ({})", names.join(", "))
            }
        }
    }

    fn relation_line(&self, f: &mut Formatter<'_>, _rel: RelIx, r: &Relation) -> fmt::Result {
        let columns: Vec<&str> = r.columns.iter().map(|c| c.name.as_str()).collect();
        let columns = match r.key {
            Some(k) => format!("{} => {}", columns[..k].join(", "), columns[k..].join(", ")),
            None => columns.join(", "),
        };
        write!(f, "{}({columns}): {}", r.name, self.class(&r.class))?;
        for (i, index) in r.indexes.iter().enumerate() {
            let primary = if r.primary == Some(IndexIx(i as u32)) { "*" } else { "" };
            write!(f, " {:?}{primary}", index.columns)?;
            if index.unique && !index.membership {
                write!(f, "unique")?;
            }
            if index.old {
                write!(f, "old")?;
            }
            if index.new {
                write!(f, "new")?;
            }
        }
        let mut flags = vec![];
        if r.durable {
            flags.push("durable".to_owned());
        }
        if r.removable {
            flags.push("removable".to_owned());
        }
        if r.track.new {
            flags.push("track new".to_owned());
        }
        if r.track.old {
            flags.push("track old".to_owned());
        }
        if r.track.timer {
            flags.push("track timer".to_owned());
        }
        if r.probed_by_deltas {
            flags.push("probed by deltas".to_owned());
        } else if r.probed {
            flags.push("probed".to_owned());
        }
        let declared: Vec<Vec<usize>> = r.key.map(|k| (0..k).collect()).into_iter().collect();
        if r.keys != declared && !matches!(r.class, Class::Input(_) | Class::MachineOutput(_)) {
            flags.push(format!("keys {:?}", r.keys));
        }
        if r.dedup != Dedup::Never {
            flags.push(format!("dedup {:?}", r.dedup));
        }
        for d in &r.dirties {
            flags.push(format!("dirties unit {d}"));
        }
        for w in &r.watchers {
            flags.push(format!("watched by standing {w}"));
        }
        if !flags.is_empty() {
            write!(f, "; {}", flags.join(", "))?;
        }
        writeln!(f)
    }

    fn class(&self, class: &Class) -> String {
        match class {
            Class::Input(InputKind::Start) => "start".into(),
            Class::Input(InputKind::Message) => "message".into(),
            Class::Input(InputKind::Request { .. }) => "request".into(),
            Class::Input(InputKind::Timer { rows }) => format!("timer of {}", self.name(*rows)),
            Class::Event { aggregate: None } => "event".into(),
            Class::Event { aggregate: Some(spec) } => format!("event, {}", spec_text(spec)),
            Class::Table => "table".into(),
            Class::Var(_) => "var".into(),
            Class::View { kind, storage } => {
                let kind = match kind {
                    ViewKind::Counted => "view".to_owned(),
                    ViewKind::Recursive(n) => format!("view of unit {n}"),
                    ViewKind::Aggregate(spec) => format!("view, {}", spec_text(spec)),
                };
                let storage = match storage {
                    ViewStorage::Counts => "counts".to_owned(),
                    ViewStorage::Set => "set".to_owned(),
                    ViewStorage::Nothing => "nothing stored".to_owned(),
                    ViewStorage::Projection { rel, index, columns } => format!(
                        "projection of {}{:?} as {columns:?}",
                        self.name(*rel),
                        self.relation(*rel).indexes[index.index()].columns
                    ),
                    ViewStorage::GroupSize { rel, index, lags, .. } => format!(
                        "group size of {}{:?}{}",
                        self.name(*rel),
                        self.relation(*rel).indexes[index.index()].columns,
                        if *lags { ", lags" } else { "" }
                    ),
                };
                format!("{kind}, {storage}")
            }
            Class::Instances(_) => "instances".into(),
            Class::MachineInput(_) => "machine input".into(),
            Class::MachineOutput(_) => "machine output".into(),
            Class::MachineNext(_) => "machine next".into(),
        }
    }

    fn step(&self, f: &mut Formatter<'_>, step: &Step) -> fmt::Result {
        match step {
            Step::Run(pipelines) => {
                writeln!(f, "run")?;
                for p in pipelines {
                    writeln!(f, "  {}", self.text(p))?;
                }
                Ok(())
            }
            Step::Finish(rel) => writeln!(f, "finish {}", self.name(*rel)),
            Step::Release(unit) => writeln!(f, "release {}", self.unit(unit)),
            Step::Stand(n) => writeln!(f, "stand {n} into {}", self.name(self.standing[*n].table)),
            Step::Machine(m) => writeln!(f, "machine {}", m.0),
            Step::Save(m) => writeln!(f, "save machine {}", m.0),
            Step::Fixpoint(fix) => {
                let names: Vec<&str> = fix.members.iter().map(|m| self.name(*m)).collect();
                writeln!(f, "fixpoint of {}", names.join(", "))?;
                for p in &fix.seeds {
                    writeln!(f, "  seed {}", self.text(p))?;
                }
                for d in &fix.deltas {
                    let new = if d.new { "new " } else { "" };
                    writeln!(f, "  {new}{}", self.text(&d.pipeline))?;
                }
                for u in &fix.units {
                    writeln!(f, "  release {}", self.unit(u))?;
                }
                for s in &fix.standing {
                    writeln!(f, "  stand {s}")?;
                }
                Ok(())
            }
        }
    }

    /// A pipeline on one line (more if it has several tails).
    pub fn text(&self, p: &Pipeline) -> String {
        let mut out = String::new();
        match &p.start {
            Start::Unit => out.push_str("once"),
            Start::Rows { rel, source, cols } => {
                let sign = match (source, p.negated) {
                    (Source::All, _) => "",
                    (Source::New, _) => "new ",
                    (Source::Change, false) => "± ",
                    (Source::Change, true) => "∓ ",
                };
                out.push_str(&format!("{sign}{}({})", self.name(*rel), cols_text(p, cols)));
            }
        }
        out.push_str(&self.ops_text(p, &p.ops));
        if let [tail] = &p.tails[..] {
            out.push_str(&self.ops_text(p, &tail.ops));
            out.push_str(&format!(" => {}", self.tail_text(p, tail)));
        } else {
            for tail in &p.tails {
                out.push_str(&format!("\n   {} => {}", self.ops_text(p, &tail.ops), self.tail_text(p, tail)));
            }
        }
        out
    }

    fn tail_text(&self, p: &Pipeline, tail: &Tail) -> String {
        let distinct = if tail.distinct { " distinct" } else { "" };
        format!("{}{distinct}", self.emit_text(p, &tail.emit))
    }

    fn ops_text(&self, p: &Pipeline, ops: &[Op]) -> String {
        let access = |a: &Access| {
            let version = match a.version {
                Version::Now => "",
                Version::Old => "old ",
                Version::New => "new ",
                Version::Work => "work ",
            };
            let index = &self.relation(a.rel).indexes[a.index.index()].columns;
            let mut flags = String::new();
            if a.exclude_start {
                flags.push_str(" but-start");
            }
            if a.unique {
                flags.push_str(" unique");
            } else if a.once {
                flags.push_str(" once");
            }
            format!("{version}{}{index:?}({}){flags}", self.name(a.rel), cols_text(p, &a.cols))
        };
        let mut out = String::new();
        for op in ops {
            out.push_str(", ");
            out.push_str(&match op {
                Op::Probe(a) => access(a),
                Op::Absent(a) => format!("!{}", access(a)),
                Op::If(e) => format!("if {}", self.expr_text(p, e)),
                Op::Let(c, e) => {
                    format!("let {} = {}", cols_text(p, std::slice::from_ref(c)), self.expr_text(p, e))
                }
                Op::For(c, e) => {
                    format!("for {} in {}", cols_text(p, std::slice::from_ref(c)), self.expr_text(p, e))
                }
            });
        }
        out
    }

    fn exprs_text(&self, p: &Pipeline, es: &[PExpr]) -> String {
        es.iter().map(|e| self.expr_text(p, e)).collect::<Vec<_>>().join(", ")
    }

    fn expr_text(&self, p: &Pipeline, e: &PExpr) -> String {
        match e {
            PExpr::Var(s) => var(p, *s),
            PExpr::Found(_, slots) => format!("Some({})", slots_text(p, slots)),
            PExpr::Missing(_) => "None".to_owned(),
            PExpr::Rust(e) => {
                let mut text = e.expr.tokens.0.to_string();
                for (i, hole) in e.holes.iter().enumerate() {
                    let value = match hole {
                        Hole::Lookup { rel, key, .. } => {
                            format!("{}[{}]", self.name(*rel), self.exprs_text(p, key))
                        }
                        Hole::Slot(s) => var(p, *s),
                        Hole::Unique { fresh: true, .. } => "unique()".to_owned(),
                        Hole::Unique { .. } => "unique() per binding".to_owned(),
                        Hole::Random { .. } => "random()".to_owned(),
                        Hole::NowMs => "now_ms()".to_owned(),
                    };
                    text = text.replace(&format!("__hole{i}"), &value);
                }
                text
            }
        }
    }

    fn emit_text(&self, p: &Pipeline, emit: &Emit) -> String {
        match emit {
            Emit::Row { rel, args } => format!("{}({})", self.name(*rel), self.exprs_text(p, args)),
            Emit::Contribute { rel, group, args, .. } => {
                let args: Vec<String> = args.iter().map(|a| self.exprs_text(p, a)).collect();
                format!("{} group ({}) of ({})", self.name(*rel), slots_text(p, group), args.join("; "))
            }
            Emit::Next { rel, args } => format!("{}({}) <+", self.name(*rel), self.exprs_text(p, args)),
            Emit::Delete { rel, index, args, .. } => {
                let args: Vec<String> = args
                    .iter()
                    .map(|a| a.as_ref().map_or("_".to_owned(), |e| self.expr_text(p, e)))
                    .collect();
                let index = &self.relation(*rel).indexes[index.index()].columns;
                format!("{}{index:?}({}) <-", self.name(*rel), args.join(", "))
            }
            Emit::Send { rel, args, to } => {
                format!("send {} ({}) @ {}", rel.0, self.exprs_text(p, args), self.expr_text(p, to))
            }
            Emit::Reply { rel, req, args } => {
                format!("reply {} ({}) to {}", rel.0, self.exprs_text(p, args), self.expr_text(p, req))
            }
            Emit::Refuse { rel, req, error } => {
                format!("refuse {} ({}) to {}", rel.0, self.expr_text(p, error), self.expr_text(p, req))
            }
            Emit::Redirect { rel, req, to } => {
                format!("redirect {} to {} for {}", rel.0, self.expr_text(p, to), self.expr_text(p, req))
            }
        }
    }
}

fn var(p: &Pipeline, slot: Slot) -> String {
    p.vars[slot.index()].name.clone()
}

fn slots_text(p: &Pipeline, slots: &[Slot]) -> String {
    slots.iter().map(|s| var(p, *s)).collect::<Vec<_>>().join(", ")
}

fn cols_text(p: &Pipeline, cols: &[Col]) -> String {
    let col = |c: &Col| match c {
        Col::Skip => "_".to_owned(),
        Col::Bind(s) => var(p, *s),
        Col::Same(s) => format!("={}", var(p, *s)),
        Col::Check(PExpr::Var(s)) => format!("={}", var(p, *s)),
        Col::Check(PExpr::Rust(e)) => format!("={}", e.expr.tokens.0),
        Col::Check(_) => "=found".to_owned(),
        Col::Match(n, vars) => {
            let compared: Vec<String> =
                vars.iter().filter(|(_, b)| !b).map(|(s, _)| format!("={}", var(p, *s))).collect();
            format!("{}{}", n.tokens.0, compared.join(""))
        }
    };
    cols.iter().map(col).collect::<Vec<_>>().join(", ")
}

fn spec_text(spec: &AggregateSpec) -> String {
    let group: Vec<&str> = spec.group.iter().map(|(n, _)| n.as_str()).collect();
    let functions: Vec<String> = spec
        .functions
        .iter()
        .map(|f| {
            let once = if f.each_once { " each once" } else { "" };
            let retracts = if f.retracts { " retracts" } else { "" };
            format!("{:?}{once}{retracts}", f.function)
        })
        .collect();
    let merges = if spec.merges { " merging" } else { "" };
    format!("aggregate by ({}) of {}{merges}", group.join(", "), functions.join(", "))
}
