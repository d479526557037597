//! States of the world.

use super::{Message, World};

/// A message in flight.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Flight {
    pub(crate) message: u32,
    /// A crash may have lost it.
    pub(crate) risk: bool,
}

/// Where a client stands.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Asking {
    /// The operation that it waits for; as many as it has if it is done.
    pub(crate) op: u32,
    /// Nodes that have taken it in their present incarnation.
    pub(crate) taken: u64,
    /// A node that may have had it crashed.
    pub(crate) doubt: bool,
    /// How often it was repeated when nothing else was under way.
    pub(crate) repeats: u32,
}

/// A state of the world.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    /// By node.
    pub(crate) locals: Vec<u32>,
    /// Sorted.
    pub(crate) net: Vec<Flight>,
    pub(crate) clients: Vec<Asking>,
    pub(crate) crashes: u32,
    pub(crate) firings: u32,
    /// Rows that fired, by limited timer.
    pub(crate) spent: Vec<u32>,
    /// 0 unless histories are kept.
    pub(crate) history: u32,
}

impl State {
    pub(crate) fn send(&mut self, flight: Flight) {
        let place = self.net.binary_search(&flight).unwrap_or_else(|place| place);
        self.net.insert(place, flight);
    }

    /// Takes a message out of flight; false if it is not there.
    pub(crate) fn take(&mut self, flight: Flight) -> bool {
        match self.net.binary_search(&flight) {
            Ok(place) => {
                self.net.remove(place);
                true
            }
            Err(_) => false,
        }
    }

    /// The state in words: equal states have equal words and the reverse.
    pub(crate) fn words(&self, out: &mut Vec<u32>) {
        out.clear();
        out.extend(&self.locals);
        out.push(self.net.len() as u32);
        out.extend(self.net.iter().map(|f| f.message << 1 | u32::from(f.risk)));
        for client in &self.clients {
            out.push(client.op << 1 | u32::from(client.doubt));
            out.push(client.taken as u32);
            out.push((client.taken >> 32) as u32);
            out.push(client.repeats);
        }
        out.extend(&self.spent);
        out.extend([self.crashes, self.firings, self.history]);
    }

    /// How many messages are in flight.
    pub fn in_flight(&self) -> usize {
        self.net.len()
    }
}

impl World {
    /// The state in which nothing has happened but that clients have asked their first requests.
    pub fn first(&mut self) -> State {
        let locals = (0..self.seats.len()).map(|node| self.fresh(node)).collect();
        let spent = vec![0; self.scope.limits.len()];
        let clients = vec![Asking { op: 0, taken: 0, doubt: false, repeats: 0 }; self.calls.len()];
        let mut state = State { locals, net: Vec::new(), clients, crashes: 0, firings: 0, spent, history: 0 };
        for client in 0..self.calls.len() {
            self.ask(&mut state, client);
        }
        state
    }

    /// Sends a client's present request, if there is one.
    pub(crate) fn ask(&mut self, state: &mut State, client: usize) {
        let op = state.clients[client].op as usize;
        if let Some(&(to, fact)) = self.calls[client].get(op) {
            self.ask_at(state, client, to, fact);
        }
    }

    pub(crate) fn ask_at(&mut self, state: &mut State, client: usize, to: u32, fact: u32) {
        let message = self.messages.number(Message { from: self.client(client), to, fact });
        state.send(Flight { message, risk: false });
    }
}
