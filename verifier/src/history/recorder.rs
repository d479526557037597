//! Writes a history as it happens.

use super::{Event, History, Kind, Process};
use anabranch_core::value::Value;

/// Writes the history of some clients, numbered from 0, and gives them process numbers: a client begins as the
/// process of its own number; after an unknown outcome it continues as that plus the number of clients.
#[derive(Clone, Debug)]
pub struct Recorder {
    processes: Vec<Process>,
    open: Vec<Option<(String, Value)>>,
    history: History,
}

impl Recorder {
    /// For so many clients.
    pub fn new(clients: usize) -> Recorder {
        Recorder {
            processes: (0..clients as u64).map(Process).collect(),
            open: vec![None; clients],
            history: History::default(),
        }
    }

    /// A client asks.
    ///
    /// # Panics
    /// If the client has not had its last answer: a client is one thread.
    pub fn invoke(&mut self, client: usize, time_us: u64, f: &str, args: Value) {
        assert!(self.open[client].is_none(), "client {client} asks before its last operation is closed");
        self.open[client] = Some((f.to_owned(), args.clone()));
        self.push(client, time_us, Kind::Invoke, f.to_owned(), args, None);
    }

    /// A client is answered.
    pub fn ok(&mut self, client: usize, time_us: u64, reply: Value) {
        let (f, _) = self.close(client);
        self.push(client, time_us, Kind::Ok, f, reply, None);
    }

    /// A client is told that it did not happen and will not.
    pub fn fail(&mut self, client: usize, time_us: u64, error: &str) {
        let (f, args) = self.close(client);
        self.push(client, time_us, Kind::Fail, f, args, Some(error.to_owned()));
    }

    /// A client gives up; its process number is spent.
    pub fn info(&mut self, client: usize, time_us: u64, error: &str) {
        let (f, args) = self.close(client);
        self.push(client, time_us, Kind::Info, f, args, Some(error.to_owned()));
        self.processes[client].0 += self.processes.len() as u64;
    }

    /// Whether the client waits for an answer.
    pub fn is_open(&self, client: usize) -> bool {
        self.open[client].is_some()
    }

    /// What was written so far.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The history. Operations that are open stay so, which means unknown.
    pub fn finish(self) -> History {
        self.history
    }

    fn close(&mut self, client: usize) -> (String, Value) {
        self.open[client].take().expect("an operation is open when it is closed")
    }

    fn push(
        &mut self,
        client: usize,
        time_us: u64,
        kind: Kind,
        f: String,
        value: Value,
        error: Option<String>,
    ) {
        let (index, process) = (self.history.events.len(), self.processes[client]);
        self.history.events.push(Event { index, time_us, process, kind, f, value, error });
    }
}
