//! Every way in which a role could be split or partitioned, with the verdict on each.

use crate::cuts::{self, DECOUPLINGS};
use crate::plan::{Plan, Rewrite, Step, carry_out, file};
use crate::split::{fresh, names};
use crate::{Cut, Item, Justification, Refusal, cohash, monotone};
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
    /// What stands against doing the same by the other rewrites that could, if none can.
    pub also: Vec<Item>,
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
/// told; of one that none admits, the refusal of the monotone rewrite, which asks least of the rules, and what the
/// others find. A key that co-hashing refuses is tried with a sequencer.
pub fn ways(p: &Protocol, role: RoleId) -> Vec<Way> {
    let mut ways = Vec::new();
    for cut in cuts::cuts(p, &p.role(role).name) {
        ways.extend(split_way(p, &cut));
    }
    for candidate in cohash::find_keys(p, role) {
        ways.extend(key_ways(p, role, candidate));
    }
    ways
}

fn split_way(p: &Protocol, cut: &Cut) -> Option<Way> {
    let moved: Vec<String> = cut.heads.iter().map(|h| format!("`{h}`")).collect();
    let (mut told, mut also): (Option<Way>, Vec<Item>) = (None, Vec::new());
    for (name, _, step) in DECOUPLINGS {
        let rewrite = step(cut.clone());
        let title = format!("{name}: split {} off {}", moved.join(", "), cut.role);
        match carry_out(p, &rewrite) {
            Ok(done) => {
                let also = Vec::new();
                return Some(Way { rewrite, title, verdict: Ok(done.justification), also });
            }
            Err(refusal) if *name == monotone::NAME => {
                told = Some(Way { rewrite, title, verdict: Err(refusal), also: Vec::new() });
            }
            Err(refusal) => also.push(refusal.item),
        }
    }
    told.map(|way| Way { also, ..way })
}

/// A key by co-hashing; where that is refused, each of the keys that are for this reason with a sequencer.
fn key_ways(p: &Protocol, role: RoleId, candidate: cohash::Candidate) -> Vec<Way> {
    let name = &p.role(role).name;
    let of = |key: &str| format!("partition {name} by {key}");
    let mut keys = vec![candidate.key.clone()];
    keys.extend(candidate.also);
    let rewrite = Rewrite::Cohash { role: name.clone(), key: candidate.key };
    let more = keys.len().saturating_sub(3);
    let first = keys[..keys.len() - more].join(" or ");
    let title = of(&if more == 0 { first } else { format!("{first} (or {more} others)") });
    let whole = Way { rewrite, title, verdict: candidate.verdict, also: Vec::new() };
    if whole.verdict.is_ok() {
        return vec![whole];
    }
    let sequencer = sequencer(p, name);
    let mut ways = vec![whole];
    let mut refused: Vec<Item> = Vec::new();
    for key in keys {
        let rewrite = Rewrite::Partial { role: name.clone(), key: key.clone(), sequencer: sequencer.clone() };
        match carry_out(p, &rewrite) {
            Ok(done) => {
                let title = format!("{}, with a sequencer", of(&key));
                ways.push(Way { rewrite, title, verdict: Ok(done.justification), also: Vec::new() });
            }
            Err(refusal) => {
                // One refusal of a kind is enough.
                if !refused.contains(&refusal.item) {
                    refused.push(refusal.item);
                    let title = format!("{}, with a sequencer", of(&key));
                    ways.push(Way { rewrite, title, verdict: Err(refusal), also: Vec::new() });
                }
            }
        }
    }
    ways
}

/// A name for a role's sequencer.
pub(crate) fn sequencer(p: &Protocol, role: &str) -> String {
    fresh(&mut names(p), &format!("{role}_sequencer"))
}
