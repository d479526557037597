//! `plan.toml`: reading a plan with every mistake at its place, and writing one.
//!
//! ```toml
//! protocol = "two_pc"               # which protocol of the file; may be left out where there is one
//! name = "two_pc_scaled"            # what the result is called
//!
//! [[step]]
//! rewrite = "functional"            # or "independent", "monotone", "echo", "state_machine", "asymmetric"
//! role = "coordinator"              # what is split
//! part = "requester"                # the new part
//! move = ["prepare", "decide#0"]    # heads whose rules move; `#0`: only the first rule with that head
//!
//! [[step]]
//! rewrite = "asymmetric"
//! role = "coordinator"
//! part = "ender"
//! move = ["owed", "decide"]
//! general = true                    # the half that feeds the other may forget, replace and negate
//!
//! [[step]]
//! rewrite = "naming"
//! role = "coordinator"
//! head = "decide"                   # what is sent
//! rules = [0]                       # which of its rules, from 0; all if left out
//! event = "announced"               # the new event
//!
//! [[step]]
//! rewrite = "cohash"
//! role = "participant"
//! key = "txn"                       # or "prepare.txn", or "store by digest(&payload)"
//!
//! [[step]]
//! rewrite = "partial"
//! role = "acceptor"
//! key = "slot"
//! sequencer = "arbiter"             # the part that holds what has no key
//!
//! [roles.participant]               # for the deployment that is emitted
//! instances = 3
//! partitions = 5
//! ```

use super::{Plan, Rewrite, Size, Step};
use crate::cuts::{self, DECOUPLINGS};
use crate::{Cut, Naming};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::ops::Range;
use toml::Spanned;

/// A mistake in a plan file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlanError {
    /// What is wrong.
    pub message: String,
    /// Where, in bytes of the text; `None` if it concerns the file as a whole.
    pub place: Option<Range<usize>>,
}

impl PlanError {
    fn at(place: Range<usize>, message: impl Into<String>) -> PlanError {
        PlanError { message: message.into(), place: Some(place) }
    }
    /// Line and column, from 1.
    pub fn line_column(&self, text: &str) -> Option<(usize, usize)> {
        let before = text.get(..self.place.as_ref()?.start)?;
        let line = before.matches('\n').count() + 1;
        Some((line, before[before.rfind('\n').map_or(0, |i| i + 1)..].chars().count() + 1))
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
impl std::error::Error for PlanError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPlan {
    protocol: Option<String>,
    name: Spanned<String>,
    #[serde(default)]
    step: Vec<Spanned<RawStep>>,
    #[serde(default)]
    roles: BTreeMap<String, RawSize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSize {
    instances: Option<Spanned<u32>>,
    partitions: Option<Spanned<u32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStep {
    rewrite: Spanned<String>,
    role: Option<Spanned<String>>,
    part: Option<Spanned<String>>,
    #[serde(rename = "move")]
    heads: Option<Vec<Spanned<String>>>,
    head: Option<Spanned<String>>,
    rules: Option<Spanned<Vec<usize>>>,
    event: Option<Spanned<String>>,
    key: Option<Spanned<String>>,
    sequencer: Option<Spanned<String>>,
    general: Option<Spanned<bool>>,
}

const REWRITES: &str = "`naming`, `independent`, `functional`, `monotone`, `echo`, `state_machine`, `asymmetric`, `cohash` or `partial`";

/// Reads a plan.
///
/// # Errors
/// The first mistake, with its place.
pub fn parse(text: &str) -> Result<Plan, PlanError> {
    let raw: RawPlan =
        toml::from_str(text).map_err(|e| PlanError { message: e.message().to_owned(), place: e.span() })?;
    if syn::parse_str::<proc_macro2::Ident>(raw.name.get_ref()).is_err() {
        let message = format!("`{}` is no name for a protocol", raw.name.get_ref());
        return Err(PlanError::at(raw.name.span(), message));
    }
    let mut roles = BTreeMap::new();
    for (name, size) in raw.roles {
        for (what, n) in [("instances", &size.instances), ("partitions", &size.partitions)] {
            if let Some(n) = n
                && *n.get_ref() == 0
            {
                return Err(PlanError::at(n.span(), format!("`{name}` needs at least one of `{what}`")));
            }
        }
        let [instances, partitions] = [size.instances, size.partitions].map(|n| n.map(Spanned::into_inner));
        roles.insert(name, Size { instances, partitions });
    }
    let steps = raw.step.into_iter().map(step).collect::<Result<_, _>>()?;
    Ok(Plan { protocol: raw.protocol, name: raw.name.into_inner(), steps, roles })
}

fn step(raw: Spanned<RawStep>) -> Result<Step, PlanError> {
    let place = raw.span();
    let raw = raw.into_inner();
    let kind = raw.rewrite.get_ref().as_str();
    let allowed: &[&str] = match kind {
        "naming" => &["role", "head", "rules", "event"],
        "asymmetric" => &["role", "part", "move", "general"],
        "cohash" => &["role", "key"],
        "partial" => &["role", "key", "sequencer"],
        cut if DECOUPLINGS.iter().any(|(name, ..)| *name == cut) => &["role", "part", "move"],
        other => {
            let message = format!("there is no rewrite `{other}`: write {REWRITES}");
            return Err(PlanError::at(raw.rewrite.span(), message));
        }
    };
    let heads = raw.heads.as_ref().and_then(|all| all.first()).map(Spanned::span);
    let given = [
        ("role", raw.role.as_ref().map(Spanned::span)),
        ("part", raw.part.as_ref().map(Spanned::span)),
        ("move", heads),
        ("head", raw.head.as_ref().map(Spanned::span)),
        ("rules", raw.rules.as_ref().map(Spanned::span)),
        ("event", raw.event.as_ref().map(Spanned::span)),
        ("key", raw.key.as_ref().map(Spanned::span)),
        ("sequencer", raw.sequencer.as_ref().map(Spanned::span)),
        ("general", raw.general.as_ref().map(Spanned::span)),
    ];
    for (name, span) in given {
        if let Some(span) = span
            && !allowed.contains(&name)
        {
            let message = format!("`{kind}` takes no `{name}`: it takes {}", allowed.join(", "));
            return Err(PlanError::at(span, message));
        }
    }
    let need = |field: Option<Spanned<String>>, name: &str| {
        field.map(Spanned::into_inner).ok_or_else(|| {
            PlanError::at(
                raw.rewrite.span(),
                format!("`{kind}` needs `{name}`: it takes {}", allowed.join(", ")),
            )
        })
    };
    let role = need(raw.role, "role")?;
    let rewrite = match kind {
        "naming" => Rewrite::Naming(Naming {
            role,
            head: need(raw.head, "head")?,
            rules: raw.rules.map(Spanned::into_inner).unwrap_or_default(),
            event: need(raw.event, "event")?,
        }),
        "cohash" => Rewrite::Cohash { role, key: need(raw.key, "key")? },
        "partial" => Rewrite::Partial {
            role,
            key: need(raw.key, "key")?,
            sequencer: need(raw.sequencer, "sequencer")?,
        },
        _ => {
            let part = need(raw.part, "part")?;
            let moved = raw.heads.unwrap_or_default();
            if moved.is_empty() {
                let message = format!("`{kind}` needs `move`: the heads whose rules go to `{part}`");
                return Err(PlanError::at(raw.rewrite.span(), message));
            }
            let mut heads = Vec::new();
            for head in moved {
                let parsed = head
                    .get_ref()
                    .parse()
                    .map_err(|e: crate::BadHead| PlanError::at(head.span(), e.to_string()))?;
                heads.push(parsed);
            }
            let cut = Cut { role, part, heads, force: false };
            match kind {
                "asymmetric" => {
                    let general = raw.general.is_some_and(Spanned::into_inner);
                    Rewrite::Asymmetric { cut, general }
                }
                _ => cuts::step(kind, cut).expect("other kinds are dealt with above"),
            }
        }
    };
    Ok(Step { rewrite, place })
}

/// A plan as a file: `parse(&write(plan))` is the plan, but for places.
pub fn write(plan: &Plan) -> String {
    let quote = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let mut out = String::new();
    if let Some(protocol) = &plan.protocol {
        let _ = writeln!(out, "protocol = {}", quote(protocol));
    }
    let _ = writeln!(out, "name = {}", quote(&plan.name));
    for step in &plan.steps {
        let rewrite = &step.rewrite;
        let _ = writeln!(
            out,
            "\n[[step]]\nrewrite = {}\nrole = {}",
            quote(rewrite.name()),
            quote(rewrite.role())
        );
        match rewrite {
            Rewrite::Naming(naming) => {
                let _ = writeln!(out, "head = {}", quote(&naming.head));
                if !naming.rules.is_empty() {
                    let _ = writeln!(out, "rules = {:?}", naming.rules);
                }
                let _ = writeln!(out, "event = {}", quote(&naming.event));
            }
            Rewrite::Independent(cut)
            | Rewrite::Functional(cut)
            | Rewrite::Monotone(cut)
            | Rewrite::Echo(cut)
            | Rewrite::StateMachine(cut)
            | Rewrite::Asymmetric { cut, .. } => {
                let heads: Vec<String> = cut.heads.iter().map(|h| quote(&h.to_string())).collect();
                let _ = writeln!(out, "part = {}\nmove = [{}]", quote(&cut.part), heads.join(", "));
                if let Rewrite::Asymmetric { general: true, .. } = rewrite {
                    let _ = writeln!(out, "general = true");
                }
            }
            Rewrite::Cohash { key, .. } => {
                let _ = writeln!(out, "key = {}", quote(key));
            }
            Rewrite::Partial { key, sequencer, .. } => {
                let _ = writeln!(out, "key = {}\nsequencer = {}", quote(key), quote(sequencer));
            }
        }
    }
    for (role, size) in &plan.roles {
        let _ = writeln!(out, "\n[roles.{role}]");
        for (what, n) in [("instances", size.instances), ("partitions", size.partitions)] {
            if let Some(n) = n {
                let _ = writeln!(out, "{what} = {n}");
            }
        }
    }
    out
}
