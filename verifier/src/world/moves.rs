//! What may happen next, and what it leads to.

use super::local::{Given2, Step};
use super::state::{Flight, State};
use super::{World, system::Scope};
use anabranch_dsl::ir::RelationKind;
use std::rc::Rc;

/// Something that may happen.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Move {
    /// A node takes something, and perhaps crashes after one of the macro-step's ticks but the last.
    Tick {
        /// The node.
        node: u32,
        /// What it takes of what is in flight.
        flights: Vec<Flight>,
        /// Timer rows that fire, as facts.
        fired: Vec<u32>,
        /// Which seed.
        choice: u32,
        /// The tick after which it crashes, from 0.
        crash: Option<u32>,
    },
    /// A node, or the parts of an instance that share fate, crash and restart.
    Crash {
        /// One of them.
        node: u32,
        /// Operations whose answers were still on the way and are lost, as bits.
        lost: u64,
    },
    /// A client goes on without an answer: the outcome is unknown.
    GiveUp {
        /// The client.
        client: u32,
    },
    /// A client asks again, under the same identity.
    AskAgain {
        /// The client.
        client: u32,
        /// The node.
        to: u32,
    },
}

/// What a move led to.
pub struct Moved {
    /// The state, or what broke.
    pub state: Result<State, String>,
    /// Whether every complete run has to make it sooner or later, if nothing else takes it away.
    pub must: bool,
    /// What the node did.
    pub(crate) step: Option<Rc<Step>>,
}

impl Move {
    /// The node that moves.
    pub fn node(&self) -> Option<u32> {
        match self {
            Move::Tick { node, .. } | Move::Crash { node, .. } => Some(*node),
            Move::GiveUp { .. } | Move::AskAgain { .. } => None,
        }
    }

    /// Whether it is a fault.
    pub fn is_fault(&self) -> bool {
        matches!(self, Move::Crash { .. } | Move::Tick { crash: Some(_), .. })
    }
}

impl World {
    /// Whether nothing is under way: timers may now fire freely.
    pub fn quiet(&mut self, state: &State) -> bool {
        let risky = state.net.iter().all(|f| f.risk);
        let settled = state.clients.iter().enumerate().all(|(c, a)| !a.doubt || self.finished(c, a.op));
        risky && settled && (0..state.locals.len()).all(|n| !self.restless(state.locals[n]))
    }

    fn finished(&self, client: usize, op: u32) -> bool {
        op as usize >= self.calls[client].len()
    }

    /// All that may happen in a state, in a fixed order.
    pub fn moves(&mut self, state: &State, out: &mut Vec<Move>) {
        out.clear();
        let quiet = self.quiet(state);
        let Scope { timers, quiet_timers, together, crashes, .. } = self.scope;
        for node in 0..state.locals.len() {
            let local = state.locals[node];
            let mut flights: Vec<Flight> = Vec::new();
            for flight in &state.net {
                let own = self.messages.get(flight.message).to == node as u32;
                if own && flights.last() != Some(flight) {
                    flights.push(*flight);
                }
            }
            let left = if quiet && quiet_timers { u32::MAX } else { timers.saturating_sub(state.firings) };
            let waiting = if left > 0 { self.locals.key(local).waiting.clone() } else { Vec::new() };
            let choices = self.choices(node);
            if self.restless(local) {
                self.tick(node, Vec::new(), Vec::new(), choices, state, out);
            }
            let items = flights.len() + waiting.len();
            let mut chosen: Vec<usize> = Vec::new();
            subsets(items, together.max(1), &mut chosen, &mut |chosen| {
                let some: Vec<Flight> =
                    chosen.iter().filter(|i| **i < flights.len()).map(|i| flights[*i]).collect();
                let fired: Vec<u32> = chosen
                    .iter()
                    .filter(|i| **i >= flights.len())
                    .map(|i| waiting[i - flights.len()])
                    .collect();
                if fired.len() as u64 <= u64::from(left) && self.spend(&mut state.spent.clone(), &fired) {
                    self.tick(node, some, fired, choices, state, out);
                }
            });
        }
        if state.crashes < crashes {
            for node in 0..state.locals.len() {
                if self.fates[node][0] == node {
                    self.lost(state, node, &mut |lost| out.push(Move::Crash { node: node as u32, lost }));
                }
            }
        }
        for (client, asking) in state.clients.iter().enumerate() {
            let patient = quiet && asking.repeats < self.scope.repeats;
            if (asking.doubt || patient) && !self.finished(client, asking.op) {
                let client = client as u32;
                if asking.doubt {
                    out.push(Move::GiveUp { client });
                }
                let (_, fact) = self.calls[client as usize][asking.op as usize];
                let rel = self.facts.get(fact).rel;
                let relation = self.system.protocol.relation(rel);
                if matches!(&relation.kind, RelationKind::Request(r) if r.resend) {
                    let size = relation.role.map_or(0, |r| self.system.layout.roles[r.index()].instances);
                    let row = &self.facts.get(fact).row;
                    let receivers: Vec<u32> =
                        (0..size).flat_map(|i| self.system.receivers(rel, i, row)).collect();
                    for to in receivers {
                        let mine = |f: &Flight| {
                            let m = self.messages.get(f.message);
                            m.to == to && m.fact == fact && !f.risk
                        };
                        if (patient || asking.taken >> to & 1 == 0) && !state.net.iter().any(mine) {
                            out.push(Move::AskAgain { client, to });
                        }
                    }
                }
            }
        }
    }

    /// A tick, with every way to crash in between.
    fn tick(
        &mut self,
        node: usize,
        flights: Vec<Flight>,
        fired: Vec<u32>,
        choices: u32,
        state: &State,
        out: &mut Vec<Move>,
    ) {
        for choice in 0..choices {
            let whole = Move::Tick {
                node: node as u32,
                flights: flights.clone(),
                fired: fired.clone(),
                choice,
                crash: None,
            };
            if state.crashes < self.scope.crashes {
                let given = self.given_of(state, node as u32, &flights, &fired, choice);
                let crashes = self.step(&given).crashed.len() as u32;
                for k in 0..crashes {
                    out.push(Move::Tick {
                        node: node as u32,
                        flights: flights.clone(),
                        fired: fired.clone(),
                        choice,
                        crash: Some(k),
                    });
                }
            }
            out.push(whole);
        }
    }

    /// All sets of answers that a crash of a node may lose.
    fn lost(&self, state: &State, node: usize, each: &mut dyn FnMut(u64)) {
        let losable = if self.scope.histories { self.losable(state, node) } else { 0 };
        let mut lost = losable;
        loop {
            each(lost);
            if lost == 0 {
                return;
            }
            lost = (lost - 1) & losable;
        }
    }

    /// Operations whose answers, given by a node or by one that shares its fate, may still be on the way: nobody
    /// has taken what their clients ask next.
    fn losable(&self, state: &State, node: usize) -> u64 {
        let history = self.history(state.history);
        let mut bits = 0;
        for (client, asking) in state.clients.iter().enumerate() {
            let Some(last) = asking.op.checked_sub(1) else { continue };
            let number = self.offsets[client] + last as usize;
            let by = |(_, by): (u32, u32)| self.fates[node].contains(&(by as usize));
            let next = !self.finished(client, asking.op) && history.0[number + 1].taken;
            if history.0[number].told.is_some_and(by) && !next {
                bits |= 1 << number;
            }
        }
        bits
    }

    pub(crate) fn given_of(
        &self,
        state: &State,
        node: u32,
        flights: &[Flight],
        fired: &[u32],
        choice: u32,
    ) -> Given2 {
        let arrived = flights.iter().map(|f| self.messages.get(f.message).fact);
        let mut facts: Vec<u32> = arrived.chain(fired.iter().copied()).collect();
        facts.sort_unstable();
        facts.dedup();
        Given2 { local: state.locals[node as usize], facts, choice }
    }

    /// Whether a tick takes a request, and whether it answers one.
    pub(crate) fn shows(
        &mut self,
        state: &State,
        node: u32,
        flights: &[Flight],
        choice: u32,
    ) -> (bool, bool) {
        let nodes = self.seats.len() as u32;
        let asks = flights.iter().any(|f| self.messages.get(f.message).from >= nodes);
        let step = self.step(&self.given_of(state, node, flights, &[], choice));
        let tells = step.ticks.iter().any(|t| !t.answered.is_empty() || !t.redirected.is_empty());
        (asks, tells)
    }

    /// Makes a move that [`World::moves`] offered. `None` if it is not possible in this state.
    pub fn make(&mut self, state: &State, chosen: &Move) -> Option<Moved> {
        let mut next = state.clone();
        match chosen {
            Move::Tick { node, flights, fired, choice, crash } => {
                if flights.iter().any(|f| !next.take(*f)) {
                    return None;
                }
                let local = state.locals[*node as usize];
                if !fired.iter().all(|f| self.locals.key(local).waiting.contains(f)) {
                    return None;
                }
                if flights.is_empty() && fired.is_empty() && !self.restless(local) {
                    return None;
                }
                let mut must = crash.is_none() && flights.iter().all(|f| !f.risk);
                if !self.spend(&mut next.spent, fired) {
                    return None;
                }
                if !fired.is_empty() {
                    let quiet = self.quiet(state) && self.scope.quiet_timers;
                    if !quiet {
                        next.firings += fired.len() as u32;
                        must = false;
                        if next.firings > self.scope.timers {
                            return None;
                        }
                    }
                }
                for flight in flights {
                    self.requested(&mut next, *node, flight.message);
                }
                let given = self.given_of(state, *node, flights, fired, *choice);
                let step = self.step(&given);
                let state = self.finish(next, *node, &step, *crash)?;
                Some(Moved { state, must, step: Some(step) })
            }
            Move::Crash { node, lost } => {
                if next.crashes >= self.scope.crashes {
                    return None;
                }
                self.crash(&mut next, *node, None, *lost);
                Some(Moved { state: Ok(next), must: false, step: None })
            }
            Move::GiveUp { client } => {
                let client = *client as usize;
                if !next.clients[client].doubt || self.finished(client, next.clients[client].op) {
                    return None;
                }
                if self.scope.histories {
                    let number = self.offsets[client] + next.clients[client].op as usize;
                    next.history = self.histories.change(next.history, |h| h.0[number].unknown = true);
                }
                self.proceed(&mut next, client);
                Some(Moved { state: Ok(next), must: true, step: None })
            }
            Move::AskAgain { client, to } => {
                let quiet = self.quiet(state);
                let asking = &mut next.clients[*client as usize];
                if self.finished(*client as usize, asking.op) {
                    return None;
                }
                let op = asking.op as usize;
                if !asking.doubt {
                    asking.repeats += 1;
                    if !quiet || asking.repeats > self.scope.repeats {
                        return None;
                    }
                }
                let (_, fact) = self.calls[*client as usize][op];
                self.ask_at(&mut next, *client as usize, *to, fact);
                Some(Moved { state: Ok(next), must: quiet, step: None })
            }
        }
    }

    /// A client goes on to its next request.
    fn proceed(&mut self, state: &mut State, client: usize) {
        let asking = &mut state.clients[client];
        asking.op += 1;
        asking.taken = 0;
        asking.doubt = false;
        asking.repeats = 0;
        self.ask(state, client);
    }

    /// If a fact is a row of a limited timer: the timer's place, and how many rows may fire.
    fn limited(&self, fact: u32) -> Option<(usize, u32)> {
        if self.scope.limits.is_empty() {
            return None;
        }
        let name = &self.system.protocol.relation(self.facts.get(fact).rel).name;
        let mut all = self.scope.limits.iter().enumerate();
        all.find(|(_, (limited, _))| *limited == name).map(|(place, (_, most))| (place, *most))
    }

    /// Counts rows of limited timers that fire; false if they are too many.
    fn spend(&self, spent: &mut [u32], fired: &[u32]) -> bool {
        fired.iter().filter_map(|f| self.limited(*f)).all(|(place, most)| {
            spent[place] += 1;
            spent[place] <= most
        })
    }

    /// Notes that a node takes a request, if the message is one.
    fn requested(&mut self, state: &mut State, node: u32, message: u32) {
        let from = self.messages.get(message).from as usize;
        let Some(client) = from.checked_sub(self.seats.len()) else { return };
        let fact = self.messages.get(message).fact;
        let Some(op) = self.calls[client].iter().position(|(_, f)| *f == fact) else { return };
        if state.clients[client].op as usize == op {
            state.clients[client].taken |= 1 << node;
        }
        if self.scope.histories {
            let number = self.offsets[client] + op;
            let history = self.histories.get(state.history);
            if !history.0[number].taken {
                let ended = history.ended();
                state.history = self.histories.change(state.history, |h| {
                    h.0[number].taken = true;
                    h.0[number].after = ended;
                });
            }
        }
    }

    /// The state after a macro-step, or after a crash in its midst.
    fn finish(
        &mut self,
        mut next: State,
        node: u32,
        step: &Step,
        crash: Option<u32>,
    ) -> Option<Result<State, String>> {
        let ticks = crash.map_or(step.ticks.len(), |k| k as usize + 1);
        for tick in step.ticks.get(..ticks)? {
            for message in &tick.sent {
                next.send(Flight { message: *message, risk: false });
            }
            for (client, op, answer) in &tick.answered {
                self.answered(&mut next, node, *client as usize, *op, *answer);
            }
            for (client, op, to) in &tick.redirected {
                // It goes there, unless it was there already: then the client waits, and asks again.
                let (client, asking) = (*client as usize, &mut next.clients[*client as usize]);
                if asking.op == *op {
                    asking.repeats = asking.repeats.saturating_sub(1);
                }
                if asking.op == *op && asking.taken >> to & 1 == 0 {
                    let fact = self.calls[client][*op as usize].1;
                    self.ask_at(&mut next, client, *to, fact);
                }
            }
        }
        Some(match (crash, &step.next) {
            (Some(k), _) => {
                let fallen = *step.crashed.get(k as usize)?;
                self.crash(&mut next, node, Some(fallen), 0);
                Ok(next)
            }
            (None, Err(broken)) => Err(broken.clone()),
            (None, Ok(local)) => {
                next.locals[node as usize] = *local;
                Ok(next)
            }
        })
    }

    fn answered(&mut self, state: &mut State, node: u32, client: usize, op: u32, answer: u32) {
        if state.clients[client].op != op {
            let number = self.offsets[client] + op as usize;
            let told = self.histories.get(state.history).0[number].told;
            self.contradicted |= told.is_some_and(|(first, _)| first != answer);
            return;
        }
        if self.scope.histories {
            let number = self.offsets[client] + op as usize;
            state.history = self.histories.change(state.history, |h| h.0[number].told = Some((answer, node)));
        }
        self.proceed(state, client);
    }

    /// A crash of all nodes that share a node's fate; `fallen` is where that one restarts, if it crashed in the
    /// midst of a macro-step.
    fn crash(&mut self, state: &mut State, node: u32, fallen: Option<u32>, lost: u64) {
        state.crashes += 1;
        let group = self.fates[node as usize].clone();
        for member in &group {
            state.locals[*member] = match fallen {
                Some(fallen) if *member == node as usize => fallen,
                _ => self.crashed(state.locals[*member]),
            };
        }
        let hit = |n: u32| group.contains(&(n as usize));
        let logged =
            |m: &super::Message| self.system.protocol.relation(self.facts.get(m.fact).rel).delivery.logged;
        // Parts restart behind a barrier: what one sent another before is gone with both.
        state.net.retain(|flight| {
            let m = self.messages.get(flight.message);
            !(hit(m.from) && hit(m.to) && m.from != m.to) || logged(m)
        });
        for flight in &mut state.net {
            let message = *self.messages.get(flight.message);
            if (hit(message.from) || hit(message.to)) && !logged(&message) {
                flight.risk = true;
            }
        }
        state.net.sort_unstable();
        for client in 0..state.clients.len() {
            let me = self.client(client);
            let fact = self.calls[client].get(state.clients[client].op as usize).map(|c| c.1);
            let sent = state.net.iter().any(|f| {
                let m = self.messages.get(f.message);
                f.risk && m.from == me && Some(m.fact) == fact
            });
            let asking = &mut state.clients[client];
            let held = group.iter().any(|n| asking.taken >> n & 1 == 1);
            asking.doubt |= sent || held;
            for n in &group {
                asking.taken &= !(1 << n);
            }
        }
        for number in 0..64 {
            if lost >> number & 1 == 1 {
                state.history = self.histories.change(state.history, |h| h.lose(number));
                // The client asked again only after the crash, so that request is not at risk.
                let client = self.offsets.partition_point(|first| *first <= number) - 1;
                let me = self.client(client);
                for flight in &mut state.net {
                    flight.risk &= self.messages.get(flight.message).from != me;
                }
                state.net.sort_unstable();
                state.clients[client].doubt = false;
            }
        }
    }
}

/// All sets of 1 to `most` numbers below `n`.
fn subsets(n: usize, most: usize, chosen: &mut Vec<usize>, each: &mut dyn FnMut(&[usize])) {
    fn go(from: usize, n: usize, most: usize, chosen: &mut Vec<usize>, each: &mut dyn FnMut(&[usize])) {
        for i in from..n {
            chosen.push(i);
            each(chosen);
            if chosen.len() < most {
                go(i + 1, n, most, chosen, each);
            }
            chosen.pop();
        }
    }
    go(0, n, most, chosen, each);
}
