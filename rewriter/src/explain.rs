//! Every way in which a role could be split or partitioned, with the verdict on each.

use crate::plan::{Plan, Rewrite, Step, carry_out, file};
use crate::{Cut, Justification, Refusal, cohash, cuts};
use anabranch_dsl::ir::{Protocol, RoleId};

/// A way to rewrite a role.
#[derive(Debug)]
pub struct Way {
    /// What to do, as a plan says it.
    pub rewrite: Rewrite,
    /// The same in a line.
    pub title: String,
    /// Why it is right, or the rule that prevents it.
    pub verdict: Result<Justification, Box<Refusal>>,
}

impl Way {
    /// The step to write into a plan.
    pub fn step(&self) -> String {
        let steps = vec![Step { rewrite: self.rewrite.clone(), place: 0..0 }];
        let text = file::write(&Plan { steps, name: "scaled".into(), ..Plan::default() });
        text.split_once("\n\n").map_or(String::new(), |(_, step)| step.to_owned())
    }
}

/// All ways to rewrite a role: cuts first, then keys. Of a cut that some decoupling admits only the first that does is
/// told; of one that none admits, the refusal of the decoupling that asks least.
pub fn ways(p: &Protocol, role: RoleId) -> Vec<Way> {
    let mut ways = Vec::new();
    for cut in cuts::cuts(p, &p.role(role).name) {
        ways.extend(split_way(p, &cut));
    }
    for candidate in cohash::find_keys(p, role) {
        let name = &p.role(role).name;
        let title = format!("partition {name} by {}", candidate.key);
        let rewrite = Rewrite::Cohash { role: name.clone(), key: candidate.key };
        ways.push(Way { rewrite, title, verdict: candidate.verdict });
    }
    ways
}

fn split_way(p: &Protocol, cut: &Cut) -> Option<Way> {
    let moved: Vec<String> = cut.heads.iter().map(|h| format!("`{h}`")).collect();
    let kinds =
        [Rewrite::Independent as fn(Cut) -> Rewrite, Rewrite::Functional, Rewrite::Echo, Rewrite::Monotone];
    let mut refused = None;
    for kind in kinds {
        let rewrite = kind(cut.clone());
        let title = format!("{}: split {} off {}", rewrite.name(), moved.join(", "), cut.role);
        match carry_out(p, &rewrite) {
            Ok(done) => return Some(Way { rewrite, title, verdict: Ok(done.justification) }),
            Err(refusal) => refused = Some(Way { rewrite, title, verdict: Err(refusal) }),
        }
    }
    // These ask more of a deployment, and are told only where they hold.
    let more: [fn(Cut) -> Rewrite; 2] =
        [Rewrite::StateMachine, |cut| Rewrite::Asymmetric { cut, general: true }];
    for kind in more {
        let rewrite = kind(cut.clone());
        if let Ok(done) = carry_out(p, &rewrite) {
            let title = format!("{}: split {} off {}", rewrite.name(), moved.join(", "), cut.role);
            return Some(Way { rewrite, title, verdict: Ok(done.justification) });
        }
    }
    refused
}
