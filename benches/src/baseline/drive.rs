//! The baseline's load generator: all logical clients over one connection, on the same event loop as the nodes.

use super::wire::{Message, PAYLOAD};
use super::{Logic, Out};
use crate::measure::{Outcome, Recorder};
use std::time::{Duration, Instant};

/// Closed-loop clients. A request's number is its client's.
pub struct Clients<'a> {
    recorder: &'a mut Recorder,
    issued: Vec<Instant>,
    now: Instant,
    open: usize,
    started: bool,
    running: bool,
}

impl<'a> Clients<'a> {
    /// As many clients as the recorder says.
    pub fn new(recorder: &'a mut Recorder) -> Clients<'a> {
        let now = Instant::now();
        Clients { issued: vec![now; recorder.clients], recorder, now, open: 0, started: false, running: true }
    }

    fn issue(&mut self, client: usize, out: &mut Out) {
        self.issued[client] = self.now;
        self.open += 1;
        Message::Commit { req: client as u64, payload: [client as u8 & 0x7f; PAYLOAD] }.put(&mut out.to[0]);
    }
}

impl Logic for Clients<'_> {
    fn take(&mut self, _from: usize, bytes: &[u8], out: &mut Out) -> usize {
        self.now = Instant::now();
        let mut at = 0;
        while let Some((message, n)) = Message::get(&bytes[at..]) {
            at += n;
            let Message::Reply { req, .. } = message else { panic!("{message:?} is not for a client") };
            let client = req as usize;
            self.open -= 1;
            self.recorder.ended(self.issued[client], self.now, Outcome::Answered);
            if self.running {
                self.issue(client, out);
            }
        }
        at
    }

    fn end_round(&mut self, now: Instant, out: &mut Out) -> Option<Duration> {
        self.now = now;
        if !self.started {
            self.started = true;
            for client in 0..self.issued.len() {
                self.issue(client, out);
            }
        }
        self.recorder.at(now);
        self.running = self.recorder.running();
        None
    }

    fn finished(&self) -> bool {
        !self.running && self.open == 0
    }
}
