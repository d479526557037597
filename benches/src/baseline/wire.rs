//! The baseline's messages: a tag byte, then fixed fields in little-endian order.
//!
//! A hand-written protocol would not carry more: no frames, no lengths but the payload's, ids of eight bytes.

/// Length of a payload.
pub const PAYLOAD: usize = 16;
/// A payload.
pub type Payload = [u8; PAYLOAD];

/// A message, all directions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message {
    /// Client to coordinator: please commit.
    Commit {
        /// The client's number for it.
        req: u64,
        /// What to commit.
        payload: Payload,
    },
    /// Coordinator to client.
    Reply {
        /// The client's number for it.
        req: u64,
        /// How it ended.
        committed: bool,
    },
    /// Coordinator to participants.
    Prepare {
        /// The transaction.
        txn: u64,
        /// What to commit.
        payload: Payload,
    },
    /// Participant to coordinator.
    Vote {
        /// The transaction.
        txn: u64,
        /// Which participant.
        by: u32,
        /// Its vote.
        yes: bool,
    },
    /// Coordinator to participants.
    Decide {
        /// The transaction.
        txn: u64,
        /// The decision.
        commit: bool,
    },
    /// Participant to coordinator.
    Ack {
        /// The transaction.
        txn: u64,
        /// Which participant.
        by: u32,
    },
    /// Client to any node: your counters, please.
    Ask,
    /// The answer to `Ask`.
    Counters {
        /// Rounds in which something was taken.
        rounds: u64,
        /// Messages taken.
        messages: u64,
    },
}

const COMMIT: u8 = 0;
const REPLY: u8 = 1;
const PREPARE: u8 = 2;
const VOTE: u8 = 3;
const DECIDE: u8 = 4;
const ACK: u8 = 5;
const ASK: u8 = 6;
const COUNTERS: u8 = 7;

impl Message {
    /// Appends the message. Every arm copies a constant number of bytes: that is a few stores, not a call.
    #[inline(always)]
    pub fn put(&self, out: &mut Vec<u8>) {
        match *self {
            Message::Commit { req, payload } => out.extend_from_slice(&with_payload(COMMIT, req, &payload)),
            Message::Reply { req, committed } => out.extend_from_slice(&with_flag(REPLY, req, committed)),
            Message::Prepare { txn, payload } => out.extend_from_slice(&with_payload(PREPARE, txn, &payload)),
            Message::Vote { txn, by, yes } => {
                let mut bytes = [0; 14];
                bytes[..10].copy_from_slice(&with_flag(VOTE, txn, yes));
                bytes[10..].copy_from_slice(&by.to_le_bytes());
                out.extend_from_slice(&bytes);
            }
            Message::Decide { txn, commit } => out.extend_from_slice(&with_flag(DECIDE, txn, commit)),
            Message::Ack { txn, by } => {
                let mut bytes = [ACK; 13];
                bytes[1..9].copy_from_slice(&txn.to_le_bytes());
                bytes[9..].copy_from_slice(&by.to_le_bytes());
                out.extend_from_slice(&bytes);
            }
            Message::Ask => out.push(ASK),
            Message::Counters { rounds, messages } => {
                out.push(COUNTERS);
                out.extend_from_slice(&rounds.to_le_bytes());
                out.extend_from_slice(&messages.to_le_bytes());
            }
        }
    }

    /// Reads the message at the front and its length; `None` if it is not there in full.
    ///
    /// # Panics
    /// On a tag that no baseline node sends: both ends are in this file.
    #[inline]
    pub fn get(bytes: &[u8]) -> Option<(Message, usize)> {
        let word =
            |at: usize| bytes.get(at..at + 8).map(|b| u64::from_le_bytes(b.try_into().unwrap_or_default()));
        let half =
            |at: usize| bytes.get(at..at + 4).map(|b| u32::from_le_bytes(b.try_into().unwrap_or_default()));
        let payload = || bytes.get(9..25).and_then(|b| b.try_into().ok());
        Some(match *bytes.first()? {
            COMMIT => (Message::Commit { req: word(1)?, payload: payload()? }, 25),
            REPLY => (Message::Reply { req: word(1)?, committed: *bytes.get(9)? != 0 }, 10),
            PREPARE => (Message::Prepare { txn: word(1)?, payload: payload()? }, 25),
            VOTE => (Message::Vote { txn: word(1)?, yes: *bytes.get(9)? != 0, by: half(10)? }, 14),
            DECIDE => (Message::Decide { txn: word(1)?, commit: *bytes.get(9)? != 0 }, 10),
            ACK => (Message::Ack { txn: word(1)?, by: half(9)? }, 13),
            ASK => (Message::Ask, 1),
            COUNTERS => (Message::Counters { rounds: word(1)?, messages: word(9)? }, 17),
            tag => panic!("a baseline node sent the unknown tag {tag}"),
        })
    }
}

#[inline(always)]
fn with_payload(tag: u8, id: u64, payload: &Payload) -> [u8; 25] {
    let mut bytes = [tag; 25];
    bytes[1..9].copy_from_slice(&id.to_le_bytes());
    bytes[9..].copy_from_slice(payload);
    bytes
}

#[inline(always)]
fn with_flag(tag: u8, id: u64, flag: bool) -> [u8; 10] {
    let mut bytes = [tag; 10];
    bytes[1..9].copy_from_slice(&id.to_le_bytes());
    bytes[9] = u8::from(flag);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_reads_back_and_no_prefix_does() {
        let all = [
            Message::Commit { req: 7, payload: [3; PAYLOAD] },
            Message::Reply { req: u64::MAX, committed: true },
            Message::Prepare { txn: 1 << 40, payload: [9; PAYLOAD] },
            Message::Vote { txn: 5, by: 2, yes: false },
            Message::Decide { txn: 6, commit: true },
            Message::Ack { txn: 8, by: 1 },
            Message::Ask,
            Message::Counters { rounds: 1, messages: 2 },
        ];
        for message in all {
            let mut bytes = Vec::new();
            message.put(&mut bytes);
            assert_eq!(Message::get(&bytes), Some((message, bytes.len())));
            for short in 0..bytes.len() {
                assert_eq!(Message::get(&bytes[..short]), None, "{message:?} cut at {short}");
            }
        }
    }
}
