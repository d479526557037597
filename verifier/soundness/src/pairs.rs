//! What the rewriter makes of a program, and what comes of comparing.

use crate::program::Source;
use anabranch_core::value::Value;
use anabranch_dsl::diag::Severity;
use anabranch_dsl::ir::{Protocol, RoleId};
use anabranch_rewriter::cohash::cohash_by;
use anabranch_rewriter::partial::partial;
use anabranch_rewriter::{Cut, cuts};
use anabranch_verifier::equivalence::Pair;
use anabranch_verifier::random::Dice;
use anabranch_verifier::soundness::campaign::Case;
use anabranch_verifier::world::{Call, Scope, System};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A rewrite with its arguments.
#[derive(Clone, Debug)]
pub enum Step {
    /// A decoupling, by its place in [`cuts::DECOUPLINGS`], along a cut.
    Split(usize, Box<Cut>),
    /// Co-hashing of a role by a key.
    Cohash(String, String),
    /// Partial partitioning of a role by a key, with a name for the sequencer.
    Partial(String, String, String),
}

impl Step {
    /// The rewrite's name.
    pub fn name(&self) -> &'static str {
        match self {
            Step::Split(which, _) => cuts::DECOUPLINGS[*which].0,
            Step::Cohash(_, key) if key == "h" => "dependencies",
            Step::Cohash(..) => "cohash",
            Step::Partial(..) => "partial",
        }
    }

    /// The rewritten protocol, if the rewriter accepts it.
    pub fn apply(&self, p: &Protocol) -> Option<Protocol> {
        let role = |name: &str| p.roles.iter().position(|r| r.name == *name).map(|i| RoleId(i as u32));
        let outcome = match self {
            Step::Split(which, cut) => cuts::DECOUPLINGS[*which].1(p, cut),
            Step::Cohash(name, key) => cohash_by(p, role(name)?, key),
            Step::Partial(name, key, sequencer) => partial(p, role(name)?, key, sequencer),
        };
        outcome.ok().map(|r| r.protocol).filter(runs)
    }
}

/// Whether a protocol says nothing that does not run yet, such as streams from partitions.
fn runs(p: &Protocol) -> bool {
    System::of_protocol(Arc::new(p.clone()), &vec![1; p.roles.len()], true).is_ok()
}

/// A program with rewrites that were accepted one after the other.
#[derive(Clone, Debug)]
pub struct Rewriting {
    /// The seed of the program.
    pub seed: u64,
    /// The program.
    pub source: Source,
    /// The rewrites.
    pub steps: Vec<Step>,
}

/// A program's rules, or the first mistake that the checks find.
pub fn check(source: &Source) -> Result<Protocol, String> {
    let parsed = anabranch_dsl::parse_str(&source.to_string());
    match parsed.diagnostics.iter().find(|d| d.severity == Severity::Error) {
        Some(error) => Err(format!("line {}: {}", error.primary.0.start().line, error.message)),
        None => parsed.protocol.ok_or_else(|| "no protocol".into()),
    }
}

/// The same; nothing if the checks refuse it.
pub fn parse(source: &Source) -> Option<Protocol> {
    check(source).ok()
}

/// Every rewrite that may be asked for: all decouplings along all cuts of the roles in `node`'s family, and co-hashing by
/// the key.
fn all(p: &Protocol) -> Vec<Step> {
    let mut steps = Vec::new();
    for (i, role) in p.roles.iter().enumerate() {
        if p.role(p.family(RoleId(i as u32))).name != "node" {
            continue;
        }
        for cut in cuts::cuts(p, &role.name) {
            steps.extend((0..cuts::DECOUPLINGS.len()).map(|which| Step::Split(which, Box::new(cut.clone()))));
        }
        for key in ["k", "h"] {
            if !p.relations.iter().any(|r| r.columns.iter().any(|c| c.name == key)) {
                continue;
            }
            steps.push(Step::Cohash(role.name.clone(), key.into()));
            let sequencer = format!("order{}", p.roles.len());
            steps.push(Step::Partial(role.name.clone(), key.into(), sequencer));
        }
    }
    steps
}

/// What was asked and what was accepted, by rewrite.
pub type Acceptance = BTreeMap<&'static str, (usize, usize)>;

/// The accepted rewritings of a seed's program: each single one, and up to three compositions of up to four.
pub fn rewritings(seed: u64, source: &Source, acceptance: &mut Acceptance) -> Vec<Rewriting> {
    let Some(p) = parse(source) else { return Vec::new() };
    let mut found = Vec::new();
    let mut dice = Dice::part(seed, 21);
    for step in all(&p) {
        let figures = acceptance.entry(step.name()).or_default();
        figures.0 += 1;
        if step.apply(&p).is_some() {
            figures.1 += 1;
            found.push(Rewriting { seed, source: source.clone(), steps: vec![step] });
        }
    }
    if found.is_empty() {
        return found;
    }
    let single = found.len();
    for _ in 0..3 {
        let first = found[dice.below(single)].steps[0].clone();
        let steps = composition(&p, first, &mut dice);
        if steps.len() > 1 {
            found.push(Rewriting { seed, source: source.clone(), steps });
        }
    }
    found
}

/// One rewrite after the other, up to four, as long as any is accepted.
fn composition(p: &Protocol, first: Step, dice: &mut Dice) -> Vec<Step> {
    let mut now = first.apply(p).expect("accepted before");
    let mut steps = vec![first];
    let most = dice.within(2, 4);
    while steps.len() < most {
        let mut more = all(&now);
        let mut next = None;
        while next.is_none() && !more.is_empty() {
            let step = more.swap_remove(dice.below(more.len()));
            next = step.apply(&now).map(|p| (step, p));
        }
        let Some((step, p)) = next else { break };
        steps.push(step);
        now = p;
    }
    steps
}

impl Rewriting {
    fn rewritten(&self) -> Option<(Protocol, Protocol)> {
        let base = parse(&self.source)?;
        let derived = self.steps.iter().try_fold(base.clone(), |p, step| step.apply(&p))?;
        Some((base, derived))
    }
}

impl Case for Rewriting {
    fn name(&self) -> String {
        let steps: Vec<String> = self.steps.iter().map(|s| format!("{s:?}")).collect();
        let derived = self.rewritten().map(|(_, p)| anabranch_dsl::print::print(&p)).unwrap_or_default();
        format!("seed {}, {}\n{}\nbecomes\n{derived}", self.seed, steps.join("; "), self.source)
    }

    fn rewrite(&self) -> String {
        match &self.steps[..] {
            [one] => one.name().to_string(),
            many => format!("composition of {}", many.len()),
        }
    }

    fn pair(&self) -> Result<Pair, String> {
        let (base, derived) = self.rewritten().ok_or("the rewriter does not accept it any more")?;
        let ones = |p: &Protocol| vec![1; p.roles.len()];
        let whole = System::of_protocol(Arc::new(base.clone()), &ones(&base), true)?;
        let mut parts = System::of_protocol(Arc::new(derived.clone()), &ones(&derived), true)?;
        for role in derived.roles.iter().filter(|r| r.partitioned) {
            parts = parts.partitioned(&role.name, 2)?;
        }
        let mut dice = Dice::part(self.seed, 22);
        let call = |dice: &mut Dice| Call {
            request: (*dice.pick(&self.source.requests)).into(),
            at: 0,
            args: vec![Value::Int(dice.within(1, self.source.keys) as i128)],
        };
        let clients = match dice.below(3) {
            0 => vec![vec![call(&mut dice), call(&mut dice), call(&mut dice)]],
            1 => vec![vec![call(&mut dice), call(&mut dice)], vec![call(&mut dice)]],
            _ => vec![vec![call(&mut dice)], vec![call(&mut dice)]],
        };
        let crashes = u32::from(dice.percent(40));
        let (timers, together) = (u32::from(dice.percent(20)), 1 + usize::from(dice.percent(25)));
        let scope = Scope { clients, crashes, timers, together, ..Scope::default() };
        Ok(Pair { base: whole, derived: parts, scope })
    }

    fn smaller(&self) -> Vec<Box<dyn Case>> {
        let mut all: Vec<Box<dyn Case>> = Vec::new();
        for source in self.source.smaller() {
            let less = Rewriting { source, ..self.clone() };
            if less.rewritten().is_some() {
                all.push(Box::new(less));
            }
        }
        if self.steps.len() > 1 {
            for i in 0..self.steps.len() {
                let mut less = self.clone();
                less.steps.remove(i);
                if less.rewritten().is_some() {
                    all.push(Box::new(less));
                }
            }
        }
        all
    }
}
