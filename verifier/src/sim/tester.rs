//! A protocol, ready to be simulated.

use super::check::{Check, Checks};
use super::plan::{Plan, Shape};
use super::shadow::Shadow;
use super::shapes::Shapes;
use super::tell::Teller;
use super::workload::Workload;
use super::world::World;
use super::{Outcome, Violation};
use crate::property::Properties;
use crate::trace::Trace;
use anabranch_core::machine::ErasedMachine;
use anabranch_core::node::{Env, Layout, Leaves, Protocol};
use anabranch_core::value::Value;
use anabranch_dsl::diag::Severity;
use anabranch_dsl::ir;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Once};

/// Makes a check for a run.
pub type CheckMaker = Arc<dyn Fn() -> Box<dyn Check> + Send + Sync>;

/// A protocol with its deployment and what is asked of it. Stays on its thread; each thread makes its own.
pub struct Tester {
    /// The protocol.
    pub protocol: &'static dyn Protocol,
    /// How many nodes.
    pub layout: Arc<Layout>,
    /// Parameters that differ from their defaults.
    pub params: BTreeMap<String, Value>,
    /// Its descriptions.
    pub shapes: Shapes,
    ir: Arc<ir::Protocol>,
    properties: Rc<Properties>,
    /// Those for other layouts, which shrinking tries.
    others: RefCell<Vec<(Arc<Layout>, Rc<Properties>)>>,
    checks: Vec<CheckMaker>,
    /// Properties look at a node after so many of its macro-steps (and before it crashes, and at the end).
    pub every: u32,
    /// Whether a request that nothing stands in the way of must be answered.
    pub answers: bool,
}

/// The expressions of a compiled protocol, shared.
pub(super) struct Thunks(pub &'static dyn Protocol);

impl Leaves for Thunks {
    fn eval(&self, leaf: u32, values: &[Value], env: &Env) -> Option<Value> {
        self.0.leaves().eval(leaf, values, env)
    }
    fn matches(&self, leaf: u32, value: &Value, env: &Env) -> Option<Option<Vec<Value>>> {
        self.0.leaves().matches(leaf, value, env)
    }
    fn machine(&self, machine: u32) -> Option<Box<dyn ErasedMachine>> {
        self.0.leaves().machine(machine)
    }
}

fn properties(
    protocol: &'static dyn Protocol,
    ir: &Arc<ir::Protocol>,
    layout: &Arc<Layout>,
    params: &BTreeMap<String, Value>,
) -> Properties {
    let mut all: BTreeMap<String, Value> =
        protocol.params().into_iter().filter_map(|p| Some((p.name.to_string(), p.default?))).collect();
    all.extend(params.clone());
    Properties::new(ir.clone(), Arc::new(Thunks(protocol)), layout.clone(), all)
}

impl Tester {
    /// Takes in a protocol; what is wrong with layout or parameters, one sentence each.
    pub fn new(
        protocol: &'static dyn Protocol,
        layout: Layout,
        params: BTreeMap<String, Value>,
    ) -> Result<Tester, Vec<String>> {
        let problems = protocol.check(&layout, &params);
        if !problems.is_empty() {
            return Err(problems);
        }
        let parsed = anabranch_dsl::parse_str(protocol.text());
        let errors: Vec<String> = parsed
            .diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .map(|d| d.message.clone())
            .collect();
        let ir = match parsed.protocol {
            Some(ir) if errors.is_empty() => Arc::new(ir),
            _ => return Err(errors),
        };
        let layout = Arc::new(layout);
        let properties = Rc::new(properties(protocol, &ir, &layout, &params));
        Ok(Tester {
            protocol,
            layout,
            params,
            shapes: Shapes::new(protocol),
            ir,
            properties,
            others: RefCell::default(),
            checks: Vec::new(),
            every: 4,
            answers: true,
        })
    }

    /// Whether the protocol may be deployed so.
    pub fn allows(&self, layout: &Layout) -> bool {
        *layout == *self.layout || self.protocol.check(layout, &self.params).is_empty()
    }

    fn properties_for(&self, layout: &Arc<Layout>) -> Rc<Properties> {
        if *layout == self.layout {
            return self.properties.clone();
        }
        let mut others = self.others.borrow_mut();
        if let Some((_, known)) = others.iter().find(|(l, _)| l == layout) {
            return known.clone();
        }
        let made = Rc::new(properties(self.protocol, &self.ir, layout, &self.params));
        others.push((layout.clone(), made.clone()));
        made
    }

    /// Adds a check to every run.
    pub fn with_check(mut self, maker: CheckMaker) -> Tester {
        self.checks.push(maker);
        self
    }

    /// The protocol's properties.
    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// The run of a seed.
    pub fn plan(&self, shape: &Shape, workload: &Workload, seed: u64) -> Plan {
        Plan::draw(self.protocol, self.layout.clone(), self.params.clone(), shape, workload, seed)
    }

    /// Runs a plan.
    pub fn run(&self, plan: &Plan) -> Outcome {
        self.go(plan, None, None, self.every, u64::MAX).0
    }

    /// Runs a plan and compares every tick of every node with the reference interpreter.
    pub fn run_compared(&self, plan: &Plan) -> Outcome {
        let shadow = Shadow::new(self.protocol, &self.ir, plan);
        self.go(plan, Some(Box::new(shadow)), None, self.every, u64::MAX).0
    }

    /// Runs a plan and tells what happens, step by step. Properties are looked at after every macro-step.
    pub fn replay(&self, plan: &Plan) -> (Outcome, Trace) {
        let teller = Teller::new(self.protocol, &self.ir, plan);
        let (outcome, trace) = self.go(plan, None, Some(teller), 1, u64::MAX);
        (outcome, trace.unwrap_or_default())
    }

    /// Runs a plan, looking at properties after every macro-step: the first state that violates one ends it.
    pub fn run_closely(&self, plan: &Plan) -> Outcome {
        self.run_closely_for(plan, u64::MAX)
    }

    /// The same for so many events at most. What is asked at the end of a run is not asked of one that was cut off.
    pub fn run_closely_for(&self, plan: &Plan, events: u64) -> Outcome {
        self.go(plan, None, None, 1, events).0
    }

    fn go(
        &self,
        plan: &Plan,
        shadow: Option<Box<Shadow>>,
        teller: Option<Teller>,
        every: u32,
        events: u64,
    ) -> (Outcome, Option<Trace>) {
        let own = self.checks.iter().map(|make| make()).collect();
        let properties = self.properties_for(&plan.layout);
        let checks = Checks::new(&self.shapes, Some(&properties), &plan.layout, own, every, self.answers);
        let mut world = World::new(self.protocol, plan, &self.shapes, checks);
        world.shadow = shadow;
        world.teller = teller;
        world.most_events = events;
        // A node that panics is a finding as well; nothing of the world is looked at again but what it tells.
        let ran = quietly(|| catch_unwind(AssertUnwindSafe(|| world.run())));
        if let Err(payload) = ran {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("(no message)");
            let violation = Violation {
                property: "panic".into(),
                text: text.to_string(),
                time_us: world.now_us,
                nodes: Vec::new(),
            };
            world.tell_violation(&violation);
            world.outcome.violation = Some(violation);
        }
        world.outcome.held = world.checks.held();
        world.outcome.compared = world.shadow.as_ref().map_or(0, |shadow| shadow.ticks);
        (std::mem::take(&mut world.outcome), world.teller.take().map(Teller::finish))
    }
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs something whose panics are findings, to be told once and not on the way.
fn quietly<X>(f: impl FnOnce() -> X) -> X {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                usual(info);
            }
        }));
    });
    QUIET.set(true);
    let result = f();
    QUIET.set(false);
    result
}
