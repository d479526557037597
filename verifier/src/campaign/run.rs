//! Runs one program on two engines side by side.

use super::echo::Echo;
use super::script::{Script, Step, draw};
use crate::engine::{Engine, Facts, Input, Outcome, ROWS, is_endless};
use crate::eval::Closed;
use crate::interp::Interp;
use crate::random::Dice;
use anabranch_core::node::{Broken, Ids, Layout, Leaves, Seat, Setup, TickArgs};
use anabranch_core::value::Value;
use anabranch_dsl::diag::Severity;
use anabranch_dsl::ir::Protocol;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A program, ready to run.
pub struct Program {
    /// The rules.
    pub protocol: Arc<Protocol>,
    /// Its expressions.
    pub leaves: Arc<dyn Leaves>,
    /// Parameters' defaults.
    pub defaults: BTreeMap<String, Value>,
    /// A node of instance 0 of the first role.
    pub setup: Setup,
    /// Ticks with more rows than this in a relation are taken for endless.
    pub bound: Option<usize>,
}

/// Why a program does not run.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The diagnostic's code; empty if an expression lies outside the closed subset.
    pub code: String,
    /// Line and message.
    pub text: String,
}

impl Refused {
    /// What the generator does not look for, and the checks see through: a reason to leave a program out, no
    /// mistake of either. The diagnostic's code.
    pub fn foreseen(&self) -> Option<&'static str> {
        match self.code.as_str() {
            // Two random rules with one body, one key and different constants.
            "contradicting-keys" => Some("contradicting-keys"),
            // Draws make reads of lattice columns exact, which may close a cycle.
            "unstratified" if self.text.contains("reads the exact value of") => Some("unstratified"),
            _ => None,
        }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// Makes the engine that is compared with the interpreter.
pub type Maker<'a> = dyn Fn(&Program) -> Box<dyn Engine> + Sync + 'a;

/// Ticks of a macro-step after which a run gives up: the program never comes to rest.
const ENDLESS: usize = 10;

impl Program {
    /// Takes in a program's text; what is wrong with it as one text.
    pub fn new(text: &str) -> Result<Program, Refused> {
        let parsed = anabranch_dsl::parse_str(text);
        if let Some(error) = parsed.diagnostics.iter().find(|d| d.severity == Severity::Error) {
            let text = format!("{}: {}", error.primary.0.start().line, error.message);
            return Err(Refused { code: error.code.to_string(), text });
        }
        let own = |text: &str| Refused { code: String::new(), text: text.into() };
        let protocol = Arc::new(parsed.protocol.ok_or_else(|| own("no protocol"))?);
        let closed = Closed::new(&protocol).map_err(|e| own(&e[0].to_string()))?;
        let mut layout = Layout::of(&[2, 3]);
        for (i, role) in protocol.roles.iter().enumerate() {
            layout.roles[i].instances = layout.roles[role.part_of.map_or(i, |whole| whole.index())].instances;
            layout.roles[i].partitions = if role.partitioned { 3 } else { 1 };
        }
        let seat = Seat { role: 0, instance: 0, partition: u32::from(protocol.roles[0].partitioned) };
        let setup = Setup {
            layout: Arc::new(layout),
            seat,
            params: BTreeMap::new(),
            incarnation: 1,
            ids: Ids::Hashed,
        };
        let defaults = closed.defaults();
        Ok(Program { protocol, leaves: Arc::new(closed), defaults, setup, bound: Some(ROWS) })
    }

    /// The reference interpreter.
    pub fn interp(&self) -> Interp {
        Interp::new(self.protocol.clone(), self.leaves.clone(), &self.setup, &self.defaults)
    }
}

/// What a run showed.
#[derive(Clone, Debug, Default)]
pub struct Ran {
    /// The inputs.
    pub script: Script,
    /// Ticks.
    pub ticks: usize,
    /// Crashes.
    pub crashes: usize,
    /// Ticks that broke an invariant, in both engines.
    pub broken: usize,
    /// It ended because a macro-step did not.
    pub endless: bool,
    /// Where the engines differ.
    pub difference: Option<String>,
}

/// Who looks on: is given each tick's outcome and the resting state after it.
pub type Watch<'a> = dyn FnMut(&Interp, &Outcome, &Facts) + 'a;

/// Where the inputs come from.
pub enum Inputs<'a> {
    /// Drawn, so many macro-steps.
    Drawn(Dice, usize),
    /// Drawn by shapes: for compiled protocols.
    Echo(&'a mut Echo),
    /// Repeated.
    Script(&'a Script),
}

/// Runs a program on the interpreter and on another engine until they differ or the inputs end.
pub fn run(
    program: &Program,
    mut inputs: Inputs<'_>,
    maker: Option<&Maker<'_>>,
    watch: &mut Watch<'_>,
) -> Ran {
    let mut ran = Ran::default();
    let mut reference = program.interp();
    reference.count(true);
    if let Some(rows) = program.bound {
        reference.bound(rows);
    }
    let mut other = match maker.map(|m| caught(|| m(program))).transpose() {
        Ok(other) => other,
        Err(panic) => {
            ran.difference = Some(format!("making the engine panicked: {panic}"));
            return ran;
        }
    };
    let breaks_off = program.bound.is_some_and(|rows| other.as_mut().is_some_and(|o| o.bound(rows)));
    let mut last: Option<Outcome> = None;
    let mut now_ms = 1000;
    for number in 0.. {
        let step: Step = match &mut inputs {
            Inputs::Drawn(_, steps) if number >= *steps => break,
            Inputs::Drawn(dice, _) => {
                now_ms += dice.below(30) as u64;
                draw(dice, &program.protocol, last.as_ref(), number, now_ms)
            }
            Inputs::Echo(echo) => match echo.step(&program.protocol, last.as_ref()) {
                Some(step) => step,
                None => break,
            },
            Inputs::Script(script) => match script.0.get(number) {
                Some(step) => step.clone(),
                None => break,
            },
        };
        ran.script.0.push(step.clone());
        let mut input = step.input(&program.protocol, program.setup.seat.role);
        for tick in 1.. {
            ran.ticks += 1;
            let expected = reference.tick(&input);
            let resting = reference.resting();
            let endless = matches!(&expected, Err(broken) if is_endless(broken));
            if endless && !breaks_off {
                ran.endless = true;
                return ran;
            }
            if let Some(other) = &mut other {
                ran.difference = differ(program, &expected, &resting, other.as_mut(), &input);
                if let Some(difference) = &mut ran.difference {
                    *difference = format!("step {number}, tick {tick}: {difference}");
                    return ran;
                }
            }
            if endless {
                ran.endless = true;
                return ran;
            }
            let outcome = match expected {
                Ok(outcome) => outcome,
                Err(_) => {
                    ran.broken += 1;
                    ran.crashes += 1;
                    crash(&mut reference, other.as_mut());
                    last = None;
                    break;
                }
            };
            watch(&reference, &outcome, &resting);
            let deferred = outcome.deferred;
            last = Some(outcome);
            if step.crash == Some(tick) {
                ran.crashes += 1;
                crash(&mut reference, other.as_mut());
                last = None;
                break;
            }
            if !deferred {
                break;
            }
            if tick >= ENDLESS {
                ran.endless = true;
                return ran;
            }
            input = Input::empty(TickArgs { now_ms: step.now_ms, seed: step.seed.wrapping_add(tick as u64) });
        }
    }
    ran
}

fn crash(reference: &mut Interp, other: Option<&mut Box<dyn Engine>>) {
    reference.crash();
    if let Some(other) = other {
        other.crash();
    }
}

/// How the other engine's tick differs from what was expected.
fn differ(
    program: &Program,
    expected: &Result<Outcome, Broken>,
    resting: &Facts,
    other: &mut dyn Engine,
    input: &Input,
) -> Option<String> {
    let protocol = &program.protocol;
    let found = match caught(|| other.tick(input)) {
        Ok(found) => found,
        Err(panic) => return Some(format!("the engine panicked: {panic}")),
    };
    match (expected, &found) {
        // Where a tick has no end and keys clash, it is chance which of both shows first.
        (Err(_), Err(_)) => None,
        (Ok(_), Err(broken)) => Some(format!("the engine broke, the interpreter did not: {broken}")),
        (Err(broken), Ok(_)) => Some(format!("the interpreter broke, the engine did not: {broken}")),
        (Ok(expected), Ok(found)) => difference(protocol, expected, resting, found, &other.resting()),
    }
}

/// How a tick and the state after it differ from what was expected.
pub fn difference(
    protocol: &Protocol,
    expected: &Outcome,
    resting: &Facts,
    found: &Outcome,
    after: &Facts,
) -> Option<String> {
    let expected = expected.clone().without_jitter(protocol);
    let found = found.clone().without_jitter(protocol);
    facts(protocol, "now", &expected.facts, &found.facts)
        .or_else(|| parts("sent", &expected.sent, &found.sent))
        .or_else(|| parts("answered", &expected.answered, &found.answered))
        .or_else(|| parts("deferred", &expected.deferred, &found.deferred))
        .or_else(|| facts(protocol, "after", resting, after))
        .or_else(|| parts("waiting", &expected.waiting, &found.waiting))
}

fn parts<X: PartialEq + std::fmt::Debug>(what: &str, expected: &X, found: &X) -> Option<String> {
    (expected != found).then(|| format!("{what}: expected {expected:?}, found {found:?}"))
}

fn facts(protocol: &Protocol, what: &str, expected: &Facts, found: &Facts) -> Option<String> {
    let none = Default::default();
    for rel in expected.keys().chain(found.keys()) {
        let (e, f) = (expected.get(rel).unwrap_or(&none), found.get(rel).unwrap_or(&none));
        if e != f {
            let missing: Vec<_> = e.difference(f).collect();
            let extra: Vec<_> = f.difference(e).collect();
            let name = &protocol.relation(*rel).name;
            return Some(format!("{what}, `{name}`: missing {missing:?}, extra {extra:?}"));
        }
    }
    None
}

/// Runs something that may panic; the panic's message.
pub fn caught<X>(f: impl FnOnce() -> X) -> Result<X, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("(no message)").to_string()
    })
}
