//! Carrying out a plan.

use super::{Plan, Rewrite};
use crate::{
    Justification, Outcome, Refusal, asymmetric, cohash, echo, functional, independent, monotone, naming,
    partial, state_machine,
};
use anabranch_dsl::diag::Diagnostic;
use anabranch_dsl::ir::{Protocol, RoleId};
use anabranch_dsl::print::print;

/// What a plan made of a protocol.
#[derive(Clone, Debug)]
pub struct Derivation {
    /// The name of the protocol that it began with.
    pub base: String,
    /// The steps that were taken.
    pub steps: Vec<Applied>,
    /// The result, under the plan's name.
    pub protocol: Protocol,
}

/// A step that was taken.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The rewrite.
    pub rewrite: Rewrite,
    /// Why it holds.
    pub justification: Justification,
    /// The canonical text before it.
    pub before: String,
    /// The canonical text after it.
    pub after: String,
}

/// A step that cannot be taken.
#[derive(Clone, Debug)]
pub struct Stuck {
    /// Which step of the plan, from 0.
    pub step: usize,
    /// The text that the refusal's places are in: `None` for that of the base protocol's own file.
    pub text: Option<String>,
    /// Why not.
    pub refusal: Box<Refusal>,
}

/// Carries out a plan.
///
/// # Errors
/// The first step that is refused, with the rule that prevents it.
pub fn apply(base: &Protocol, plan: &Plan) -> Result<Derivation, Stuck> {
    let mut protocol = base.clone();
    let mut steps: Vec<Applied> = Vec::new();
    for (n, step) in plan.steps.iter().enumerate() {
        // What the last step gave is printed already.
        let before = steps.last().map_or_else(|| print(base), |last| last.after.clone());
        let rewritten = carry_out(&protocol, &step.rewrite).map_err(|refusal| Stuck {
            step: n,
            text: (n > 0).then(|| before.clone()),
            refusal,
        })?;
        // Places of the next refusal are those of the text that it is shown with.
        let after = print(&rewritten.protocol);
        let outcome = anabranch_dsl::parse_str(&after);
        protocol = outcome.protocol.unwrap_or_else(|| {
            panic!("the text of a rewritten protocol is one: {:?}\n{after}", outcome.diagnostics)
        });
        let justification = rewritten.justification;
        steps.push(Applied { rewrite: step.rewrite.clone(), justification, before, after });
    }
    let name = base.name.clone();
    protocol.name.clone_from(&plan.name);
    Ok(Derivation { base: name, steps, protocol })
}

/// Carries out one rewrite.
pub fn carry_out(p: &Protocol, rewrite: &Rewrite) -> Outcome {
    match rewrite {
        Rewrite::Naming(wanted) => naming(p, wanted),
        Rewrite::Independent(cut) => independent(p, cut),
        Rewrite::Functional(cut) => functional(p, cut),
        Rewrite::Monotone(cut) => monotone(p, cut),
        Rewrite::Echo(cut) => echo::echo(p, cut),
        Rewrite::StateMachine(cut) => state_machine::state_machine(p, cut),
        Rewrite::Asymmetric { cut, general } => asymmetric::asymmetric(p, cut, *general),
        Rewrite::Partial { role, key, sequencer } => {
            partial::partial(p, find(p, role, "partial")?, key, sequencer)
        }
        Rewrite::Cohash { role, key } => cohash::cohash_by(p, find(p, role, "cohash")?, key),
    }
}

/// A role by its name.
fn find(p: &Protocol, name: &str, rewrite: &'static str) -> Result<RoleId, Box<Refusal>> {
    let found = p.roles.iter().position(|r| r.name == name);
    found.map(|i| RoleId(i as u32)).ok_or_else(|| {
        let names: Vec<String> = p.roles.iter().map(|r| format!("`{}`", r.name)).collect();
        let diagnostic = Diagnostic::error("role", p.place.0, format!("there is no role `{name}`"))
            .help(format!("there is {}", names.join(", ")));
        Box::new(Refusal { item: crate::Item { rewrite, name: "role" }, diagnostic })
    })
}
