//! The baseline's coordinator.

use super::wire::{Message, Payload};
use super::{Logic, Out};
use rustc_hash::FxHashMap;
use std::time::{Duration, Instant};

/// How long votes are waited for.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long an ack is waited for before the decision is sent again.
const NAG: Duration = Duration::from_millis(200);
/// How often deadlines are looked at. A scan of the few open transactions is cheaper than a queue of deadlines
/// that each transaction enters and leaves.
const SCAN: Duration = Duration::from_millis(100);

/// An open transaction, or one whose commit is not yet acknowledged by all.
struct Txn {
    client: u32,
    decided: bool,
    req: u64,
    /// Participants that voted yes; once decided, those that owe an ack. A bit set.
    votes: u64,
    /// When it began, or was decided, or the decision was sent again.
    since: Instant,
}

/// The coordinator. Connections `0..participants` lead to participants, all others come from clients.
pub struct Coordinator {
    participants: usize,
    all: u64,
    txns: FxHashMap<u64, Txn>,
    next: u64,
    now: Instant,
    scan: Instant,
    rounds: u64,
    messages: u64,
}

impl Coordinator {
    /// A coordinator of at most 64 participants.
    pub fn new(participants: usize) -> Coordinator {
        assert!((1..=64).contains(&participants), "votes are counted in a word of 64 bits");
        let now = Instant::now();
        Coordinator {
            participants,
            all: u64::MAX >> (64 - participants),
            txns: FxHashMap::default(),
            next: 0,
            now,
            scan: now + SCAN,
            rounds: 0,
            messages: 0,
        }
    }

    #[inline]
    fn broadcast(&self, message: Message, out: &mut Out) {
        for bytes in &mut out.to[..self.participants] {
            message.put(bytes);
        }
    }

    #[inline]
    fn begin(&mut self, client: u32, req: u64, payload: Payload, out: &mut Out) {
        let txn = self.next;
        self.next += 1;
        self.txns.insert(txn, Txn { client, decided: false, req, votes: 0, since: self.now });
        self.broadcast(Message::Prepare { txn, payload }, out);
    }

    #[inline]
    fn vote(&mut self, txn: u64, by: u32, yes: bool, out: &mut Out) {
        let Some(open) = self.txns.get_mut(&txn).filter(|t| !t.decided) else { return };
        open.votes |= 1 << by;
        if !yes {
            self.abort(txn, out);
        } else if open.votes == self.all {
            // From here on the same bits say who owes an ack.
            open.decided = true;
            open.since = self.now;
            Message::Reply { req: open.req, committed: true }.put(&mut out.to[open.client as usize]);
            self.broadcast(Message::Decide { txn, commit: true }, out);
        }
    }

    fn abort(&mut self, txn: u64, out: &mut Out) {
        let Some(Txn { client, req, .. }) = self.txns.remove(&txn) else { return };
        Message::Reply { req, committed: false }.put(&mut out.to[client as usize]);
        self.broadcast(Message::Decide { txn, commit: false }, out);
    }

    #[inline]
    fn ack(&mut self, txn: u64, by: u32) {
        if let Some(owed) = self.txns.get_mut(&txn).filter(|t| t.decided) {
            owed.votes &= !(1 << by);
            if owed.votes == 0 {
                self.txns.remove(&txn);
            }
        }
    }

    fn scan(&mut self, out: &mut Out) {
        let now = self.now;
        let overdue = |t: &Txn| !t.decided && now >= t.since + PATIENCE;
        let late: Vec<u64> = self.txns.iter().filter(|(_, t)| overdue(t)).map(|(txn, _)| *txn).collect();
        for txn in late {
            self.abort(txn, out);
        }
        for (&txn, t) in self.txns.iter_mut().filter(|(_, t)| t.decided && now >= t.since + NAG) {
            t.since = now;
            for p in (0..self.participants).filter(|p| t.votes & (1 << p) != 0) {
                Message::Decide { txn, commit: true }.put(&mut out.to[p]);
            }
        }
    }
}

impl Logic for Coordinator {
    fn take(&mut self, from: usize, bytes: &[u8], out: &mut Out) -> usize {
        let mut at = 0;
        while let Some((message, n)) = Message::get(&bytes[at..]) {
            at += n;
            self.messages += 1;
            match message {
                Message::Commit { req, payload } => self.begin(from as u32, req, payload, out),
                Message::Vote { txn, by, yes } => self.vote(txn, by, yes, out),
                Message::Ack { txn, by } => self.ack(txn, by),
                Message::Ask => {
                    Message::Counters { rounds: self.rounds, messages: self.messages }.put(&mut out.to[from])
                }
                other => panic!("{other:?} is not for a coordinator"),
            }
        }
        at
    }

    fn end_round(&mut self, now: Instant, out: &mut Out) -> Option<Duration> {
        self.rounds += 1;
        self.now = now;
        if now >= self.scan {
            self.scan = now + SCAN;
            self.scan(out);
        }
        (!self.txns.is_empty()).then(|| self.scan.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(c: &mut Coordinator, from: usize, message: Message, out: &mut Out) {
        let mut bytes = Vec::new();
        message.put(&mut bytes);
        assert_eq!(c.take(from, &bytes, out), bytes.len());
    }

    fn taken(out: &mut Out, to: usize) -> Vec<Message> {
        let bytes = std::mem::take(&mut out.to[to]);
        let mut at = 0;
        let mut all = Vec::new();
        while let Some((message, n)) = Message::get(&bytes[at..]) {
            all.push(message);
            at += n;
        }
        all
    }

    #[test]
    fn commits_when_all_voted_and_forgets_when_all_acknowledged() {
        let mut c = Coordinator::new(3);
        let mut out = Out { to: vec![Vec::new(); 4] };
        feed(&mut c, 3, Message::Commit { req: 9, payload: [1; 16] }, &mut out);
        assert_eq!(taken(&mut out, 2), [Message::Prepare { txn: 0, payload: [1; 16] }]);
        feed(&mut c, 0, Message::Vote { txn: 0, by: 0, yes: true }, &mut out);
        feed(&mut c, 0, Message::Vote { txn: 0, by: 0, yes: true }, &mut out);
        feed(&mut c, 1, Message::Vote { txn: 0, by: 1, yes: true }, &mut out);
        assert_eq!(taken(&mut out, 3), []);
        feed(&mut c, 2, Message::Vote { txn: 0, by: 2, yes: true }, &mut out);
        assert_eq!(taken(&mut out, 3), [Message::Reply { req: 9, committed: true }]);
        assert_eq!(taken(&mut out, 1).last(), Some(&Message::Decide { txn: 0, commit: true }));
        for by in 0..3 {
            assert_eq!(c.txns.len(), 1);
            feed(&mut c, by as usize, Message::Ack { txn: 0, by }, &mut out);
        }
        assert!(c.txns.is_empty());
        assert_eq!(c.end_round(c.now, &mut out), None);
    }

    #[test]
    fn one_no_aborts_and_so_does_patience() {
        let mut c = Coordinator::new(2);
        let mut out = Out { to: vec![Vec::new(); 3] };
        feed(&mut c, 2, Message::Commit { req: 1, payload: [0; 16] }, &mut out);
        feed(&mut c, 0, Message::Vote { txn: 0, by: 0, yes: false }, &mut out);
        feed(&mut c, 2, Message::Commit { req: 2, payload: [0; 16] }, &mut out);
        assert_eq!(taken(&mut out, 2), [Message::Reply { req: 1, committed: false }]);
        c.end_round(c.now + PATIENCE * 2, &mut out);
        assert_eq!(taken(&mut out, 2), [Message::Reply { req: 2, committed: false }]);
    }

    #[test]
    fn a_decision_without_ack_is_sent_again() {
        let mut c = Coordinator::new(1);
        let mut out = Out { to: vec![Vec::new(); 2] };
        feed(&mut c, 1, Message::Commit { req: 1, payload: [0; 16] }, &mut out);
        feed(&mut c, 0, Message::Vote { txn: 0, by: 0, yes: true }, &mut out);
        taken(&mut out, 0);
        c.end_round(c.now + NAG, &mut out);
        assert_eq!(taken(&mut out, 0), [Message::Decide { txn: 0, commit: true }]);
        c.end_round(c.now + SCAN, &mut out);
        assert_eq!(taken(&mut out, 0), []);
    }
}
