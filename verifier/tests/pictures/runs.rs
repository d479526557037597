//! Runs to draw: a world that behaves like two-phase commit, without being it. It makes up facts, but sends and loses
//! messages, flushes, crashes and restarts in a believable order.

use anabranch_core::value::Value;
use anabranch_verifier::trace::{
    Answer, Change, Derived, Fact, NodeName, Peer, Reply, RuleRef, Step, TickStep, Trace, What,
};
use std::collections::BTreeMap;

/// What is to happen at a time; equal times in order of planning.
enum Plan {
    Ask(usize),
    Arrive(u64),
    Lose(u64),
    Flushed(usize, u64, Vec<(Peer, Fact)>),
    Crash(usize),
    Restart(usize),
    Cut(u64, Vec<Peer>, Vec<Peer>),
    Heal(u64),
    Fire(usize, Fact),
    Violation,
}

/// The world.
pub struct World {
    trace: Trace,
    plans: BTreeMap<(u64, u64), Plan>,
    planned: u64,
    now: u64,
    rng: u64,
    messages: u64,
    flying: BTreeMap<u64, (Peer, Peer, Fact)>,
    ticks: Vec<(u64, u64)>,
    down: Vec<bool>,
    records: Vec<u64>,
    votes: BTreeMap<String, usize>,
    ops: u64,
    asked: BTreeMap<String, (usize, u64)>,
    cut: Vec<(u64, Vec<Peer>, Vec<Peer>)>,
}

fn rule(line: u32, text: &str) -> RuleRef {
    RuleRef { place: format!("two_pc.rs:{line}"), text: text.into() }
}

impl World {
    fn new(participants: u32, clients: usize, seed: u64) -> World {
        let name = |role: &str, instance| NodeName { role: role.into(), instance, partition: None };
        let mut nodes = vec![name("coordinator", 0)];
        nodes.extend((0..participants).map(|i| name("participant", i)));
        let count = nodes.len();
        World {
            trace: Trace {
                protocol: "two_pc".into(),
                about: vec![format!("seed {seed}")],
                nodes,
                clients,
                steps: Vec::new(),
            },
            plans: BTreeMap::new(),
            planned: 0,
            now: 0,
            rng: seed,
            messages: 0,
            flying: BTreeMap::new(),
            ticks: vec![(1, 0); count],
            down: vec![false; count],
            records: vec![0; count],
            votes: BTreeMap::new(),
            ops: 0,
            asked: BTreeMap::new(),
            cut: Vec::new(),
        }
    }

    fn below(&mut self, n: u64) -> u64 {
        self.rng = self.rng.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.rng >> 33) % n
    }

    fn plan(&mut self, at: u64, plan: Plan) {
        self.planned += 1;
        self.plans.insert((at, self.planned), plan);
    }

    fn log(&mut self, what: What) {
        self.trace.steps.push(Step { time_us: self.now, what });
    }

    fn send(&mut self, from: Peer, to: Peer, fact: Fact) -> u64 {
        self.messages += 1;
        let message = self.messages;
        self.log(What::Send { message, from, to, fact: fact.clone() });
        self.flying.insert(message, (from, to, fact));
        let delay = 300 + self.below(1500);
        let between = |a: &[Peer], b: &[Peer]| a.contains(&from) && b.contains(&to);
        let blocked = self.cut.iter().any(|(_, a, b)| between(a, b) || between(b, a));
        self.plan(self.now + delay, if blocked { Plan::Lose(message) } else { Plan::Arrive(message) });
        message
    }

    fn tick(&mut self, node: usize, inputs: Vec<Fact>, derived: Vec<(Fact, RuleRef)>, sends: Vec<u64>) {
        let (incarnation, tick) = self.ticks[node];
        self.ticks[node].1 += 1;
        let derived = derived.into_iter().map(|(fact, rule)| Derived { fact, rules: vec![rule] }).collect();
        let kept = vec![Fact::new("active", [format!("#0.{incarnation:012x}"), "req 1.1".into()])];
        let step = TickStep { node, incarnation, tick, inputs, derived, kept, sends, ..TickStep::default() };
        self.log(What::Tick(step));
    }

    fn arrive(&mut self, message: u64) {
        let Some((from, to, fact)) = self.flying.remove(&message) else { return };
        if let Peer::Node(n) = to
            && self.down[n]
        {
            return self.log(What::Drop { message, why: "the receiver is down".into() });
        }
        self.log(What::Deliver { message });
        let node = match to {
            Peer::Client(client) => {
                let op = self.ops_of(client);
                let value = Value::Bool(fact.row[1] == "true");
                let text = format!("commit({})", fact.row[1]);
                return self.log(What::Return { client, op, answer: Answer::Ok { value, text } });
            }
            Peer::Node(n) => n,
        };
        let me = format!("participant.{}", node.wrapping_sub(1));
        let txn = fact.row[0].clone();
        let next = self.messages + 1;
        match fact.relation.as_str() {
            "commit" => {
                let Peer::Client(client) = from else { panic!("clients ask") };
                let id = format!("#0.{:012x}", 0x8f3a_77c1_0000 + self.ops * 0x1111_1111);
                self.asked.insert(id.clone(), (client, self.ops_of(client)));
                let begin = Fact::new("begin", [id.clone(), txn.clone()]);
                let active = Fact::new("active", [id.clone(), txn.clone()]);
                let parts = self.trace.nodes.len() as u64 - 1;
                self.tick(
                    node,
                    vec![fact.clone()],
                    vec![
                        (begin, rule(31, "begin(unique(), req, payload) <= commit(req, payload)")),
                        (active, rule(33, "active(txn, req) <=")),
                    ],
                    (next..next + parts).collect(),
                );
                for p in 1..=parts as usize {
                    let prepare =
                        Fact::new("prepare", ["coordinator.0".to_owned(), id.clone(), fact.row[1].clone()]);
                    self.send(to, Peer::Node(p), prepare);
                }
            }
            "prepare" => {
                let id = fact.row[1].clone();
                let prepared =
                    Fact::new("prepared", [id.clone(), "coordinator.0".into(), fact.row[2].clone()]);
                self.tick(
                    node,
                    vec![fact.clone()],
                    vec![(prepared.clone(), rule(71, "prepared(txn, c, payload) <= if ok"))],
                    vec![next],
                );
                let vote = Fact::new("vote", [id, me, "true".into()]);
                self.durable(node, prepared, vec![(from, vote)]);
            }
            "vote" => {
                let seen = self.votes.entry(txn.clone()).or_default();
                *seen += 1;
                let (seen, parts) = (*seen, self.trace.nodes.len() - 1);
                let mut derived = vec![(
                    Fact::new("yes", [txn.clone(), fact.row[1].clone()]),
                    rule(39, "yes(txn, by) <= vote(txn, by, true), active(txn, _)"),
                )];
                if seen != parts {
                    return self.tick(node, vec![fact], derived, vec![]);
                }
                derived.push((Fact::new("unanimous", [txn.clone()]), rule(41, "view unanimous(txn) <= …")));
                let owed = Fact::new("owed", [txn.clone(), "participant.0".into()]);
                derived.push((owed.clone(), rule(47, "owed(txn, p) <= participant(p), if ok")));
                self.tick(node, vec![fact], derived, vec![]);
                let decide = Fact::new("decide", ["coordinator.0".to_owned(), txn.clone(), "true".into()]);
                let mut out: Vec<(Peer, Fact)> =
                    (1..=parts).map(|p| (Peer::Node(p), decide.clone())).collect();
                if let Some((client, _)) = self.asked.get(&txn) {
                    out.push((Peer::Client(*client), Fact::new("reply commit", ["req 1.1", "true"])));
                }
                self.durable(node, owed, out);
            }
            "decide" => {
                let id = fact.row[1].clone();
                let applied = Fact::new("applied", [id.clone(), "pay 7".into()]);
                self.tick(
                    node,
                    vec![fact.clone()],
                    vec![(applied.clone(), rule(75, "applied(txn, payload) <= if commit"))],
                    vec![next],
                );
                self.durable(node, applied, vec![(from, Fact::new("ack", [id, me]))]);
            }
            _ => self.tick(node, vec![fact], vec![], vec![]),
        }
    }

    fn ops_of(&self, client: usize) -> u64 {
        self.trace
            .steps
            .iter()
            .rev()
            .find_map(|s| match s.what {
                What::Invoke { client: c, op, .. } if c == client => Some(op),
                _ => None,
            })
            .unwrap_or(0)
    }

    /// A log record, then its flush, then what waited for it.
    fn durable(&mut self, node: usize, fact: Fact, out: Vec<(Peer, Fact)>) {
        self.records[node] += 1;
        let record = self.records[node];
        self.log(What::Append { node, record, changes: vec![Change { added: true, fact }] });
        self.log(What::Flush { node, upto: record });
        let delay = 150 + self.below(300);
        self.plan(self.now + delay, Plan::Flushed(node, record, out));
    }

    fn step(&mut self, plan: Plan) {
        match plan {
            Plan::Ask(client) => {
                self.ops += 1;
                let op = self.ops;
                let payload = format!("\"pay {op}\"");
                let request = Fact::new("commit", [payload.clone()]);
                self.log(What::Invoke { client, op, request, args: Value::str(&payload) });
                let fact = Fact::new("commit", [format!("req {client}.{op}"), payload]);
                self.send(Peer::Client(client), Peer::Node(0), fact);
            }
            Plan::Arrive(message) => self.arrive(message),
            Plan::Lose(message) => {
                self.flying.remove(&message);
                self.log(What::Drop { message, why: "partition".into() });
            }
            Plan::Flushed(node, upto, out) => {
                if self.down[node] {
                    return;
                }
                self.log(What::Stable { node, upto });
                for (to, fact) in out {
                    self.send(Peer::Node(node), to, fact);
                }
            }
            Plan::Crash(node) => {
                self.down[node] = true;
                let incarnation = self.ticks[node].0;
                self.log(What::Crash { node, incarnation, lost: vec!["1 log record".into()] });
            }
            Plan::Restart(node) => {
                self.down[node] = false;
                self.ticks[node] = (self.ticks[node].0 + 1, 0);
                let durable = vec![Fact::new("prepared", ["#0.8f3a88d21111", "coordinator.0", "\"pay 1\""])];
                self.log(What::Restart { node, incarnation: self.ticks[node].0, durable });
                self.tick(node, vec![Fact::new("start", ["2"])], vec![], vec![]);
            }
            Plan::Cut(cut, from, to) => {
                self.cut.push((cut, from.clone(), to.clone()));
                self.log(What::Cut { cut, from, to, both_ways: true });
            }
            Plan::Heal(cut) => {
                self.cut.retain(|(c, ..)| *c != cut);
                self.log(What::Heal { cut });
            }
            Plan::Fire(node, timer) => {
                self.log(What::Fire { node, timer: timer.clone() });
                let next = self.messages + 1;
                self.tick(node, vec![timer.clone()], vec![], vec![next]);
                if node > 0 {
                    let inquire =
                        Fact::new("inquire", [timer.row[0].clone(), format!("participant.{}", node - 1)]);
                    self.send(Peer::Node(node), Peer::Node(0), inquire);
                } else {
                    let decide = Fact::new(
                        "decide",
                        ["coordinator.0".to_owned(), timer.row[0].clone(), "true".into()],
                    );
                    self.send(Peer::Node(0), Peer::Node(2), decide);
                }
            }
            Plan::Violation => self.log(What::Violation {
                property: "split".into(),
                text: "#0.8f3a88d21111 is applied at participant.0 and refused at coordinator.0".into(),
                nodes: vec![0, 1],
                facts: vec![
                    Fact::new("applied", ["#0.8f3a88d21111"]),
                    Fact::new("refused", ["#0.8f3a88d21111"]),
                ],
            }),
        }
    }

    fn run(mut self) -> Trace {
        while let Some(((at, _), plan)) = self.plans.pop_first() {
            self.now = at;
            self.step(plan);
        }
        assert_eq!(self.trace.problems(), [""; 0]);
        self.trace
    }
}

/// Two nodes, five messages.
pub fn small() -> Trace {
    let mut world = World::new(1, 1, 1);
    world.plan(500, Plan::Ask(0));
    let mut trace = world.run();
    let sends = |s: &Step| matches!(s.what, What::Send { .. });
    let last = trace.steps.iter().rposition(sends).unwrap();
    let What::Send { message, .. } = trace.steps[last].what else { panic!("it sends") };
    trace.steps.retain(
        |s| !matches!(s.what, What::Send { message: m, .. } | What::Deliver { message: m } if m == message),
    );
    let at = trace.steps.iter().position(|s| matches!(s.what, What::Tick(_))).unwrap();
    if let What::Tick(tick) = &mut trace.steps[at].what {
        tick.replies.push(Reply { op: Some(1), text: "nothing yet".into() });
    }
    trace
}

/// Five nodes, three overlapping transactions, sixty messages.
pub fn large() -> Trace {
    let mut world = World::new(4, 2, 3);
    world.plan(500, Plan::Ask(0));
    world.plan(2200, Plan::Ask(1));
    world.plan(9000, Plan::Ask(0));
    let txn = "#0.8f3a88d21111".to_owned();
    world.plan(7000, Plan::Fire(0, Fact::new("nag", [txn.clone(), "participant.1".into()])));
    world.plan(12000, Plan::Fire(0, Fact::new("nag", [txn.clone(), "participant.1".into()])));
    world.plan(12000, Plan::Fire(3, Fact::new("doubt", [txn, "coordinator.0".into()])));
    world.plan(12500, Plan::Fire(0, Fact::new("nag", ["#0.8f3a99e32222", "participant.1"])));
    world.run()
}

/// Three nodes; a participant crashes amid a flush, the network is cut and heals, and an invariant breaks.
pub fn faulty() -> Trace {
    let mut world = World::new(2, 1, 5);
    let txn = "#0.8f3a88d21111".to_owned();
    world.plan(500, Plan::Ask(0));
    world.plan(3600, Plan::Crash(1));
    world.plan(4400, Plan::Restart(1));
    world.plan(3000, Plan::Crash(2));
    world.plan(5200, Plan::Restart(2));
    world.plan(5600, Plan::Cut(1, vec![Peer::Node(1)], vec![Peer::Node(0), Peer::Node(2)]));
    world.plan(6400, Plan::Fire(1, Fact::new("doubt", [txn.clone(), "coordinator.0".into()])));
    world.plan(6900, Plan::Fire(2, Fact::new("doubt", [txn.clone(), "coordinator.0".into()])));
    world.plan(8600, Plan::Heal(1));
    world.plan(9000, Plan::Fire(0, Fact::new("nag", [txn.clone(), "participant.1".into()])));
    world.plan(11000, Plan::Violation);
    let mut trace = world.run();
    // One message twice.
    let at = trace.steps.iter().rposition(|s| matches!(s.what, What::Deliver { .. })).unwrap();
    let What::Deliver { message } = trace.steps[at].what else { panic!("it arrives") };
    let time_us = trace.steps[at].time_us;
    let copy = 1000;
    trace.steps.insert(at, Step { time_us, what: What::Duplicate { message, copy } });
    let end = trace.steps.len() - 1;
    let time_us = trace.steps[end - 1].time_us;
    trace.steps.insert(end, Step { time_us, what: What::Deliver { message: copy } });
    assert_eq!(trace.problems(), [""; 0]);
    trace
}
