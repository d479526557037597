//! Handshakes: who is there, whether both run the same program, and how far each stream is.
//!
//! The dialling side sends a [`Hello`]; the accepting side answers with a [`Welcome`], or with a reason and
//! closes. Two different programs, two layouts, or a client of another deployment never get further.

use std::fmt;

/// Who dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A node, by its dense number.
    Node(u32),
    /// A client, by its session.
    Client(u64),
    /// A tool that asks for counters or tables.
    Tool,
}

/// The dialling side's introduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The protocol's fingerprint.
    pub fingerprint: u64,
    /// Hash of the layout.
    pub layout: u64,
    /// Who says so.
    pub from: Who,
    /// The node that it means to reach.
    pub to: u32,
    /// A number that no other incarnation of the sender has.
    pub boot: u64,
    /// The incarnation that its stream is with, 0 for none yet, and how much of it has arrived.
    pub peer_boot: u64,
    /// How many frames of that stream have arrived.
    pub received: u64,
}

/// The accepting side's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// A number that no other incarnation of the accepting node has.
    pub boot: u64,
    /// The incarnation that it takes the dialling side to be.
    pub peer_boot: u64,
    /// How many frames of that one's stream have arrived.
    pub received: u64,
}

/// Why a connection is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The other side runs another program, or another version of it.
    Fingerprint {
        /// Ours.
        expected: u64,
        /// Theirs.
        found: u64,
    },
    /// The other side has another number of instances or partitions.
    Layout,
    /// The address belongs to another node.
    Seat {
        /// The node that was meant.
        meant: u32,
        /// The node that it is.
        is: u32,
    },
    /// The other side fell so far behind that messages to it were dropped: it must start anew.
    GivenUp,
    /// Bytes that are no introduction.
    Malformed,
    /// The node is about to stop.
    Stopping,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Fingerprint { expected, found } => write!(
                f,
                "the other side runs another protocol, or another version of it (fingerprint {found:016x}, here {expected:016x}): \
                 build both from the same source"
            ),
            Refusal::Layout => {
                f.write_str("the other side has another number of nodes: use one deployment file for all")
            }
            Refusal::Seat { meant, is } => {
                write!(
                    f,
                    "node {meant} was expected at this address, but node {is} is there: check the addresses"
                )
            }
            Refusal::GivenUp => f.write_str(
                "this node fell too far behind and messages to it were dropped: it must be restarted",
            ),
            Refusal::Malformed => f.write_str("malformed handshake"),
            Refusal::Stopping => f.write_str("the node is stopping"),
        }
    }
}

const MAGIC: u64 = u64::from_le_bytes(*b"anabran1");

impl Hello {
    /// The wire form.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, who) = match self.from {
            Who::Node(index) => (0, u64::from(index)),
            Who::Client(session) => (1, session),
            Who::Tool => (2, 0),
        };
        let to = u64::from(self.to);
        words(&[
            MAGIC,
            self.fingerprint,
            self.layout,
            kind,
            who,
            to,
            self.boot,
            self.peer_boot,
            self.received,
        ])
    }

    /// Reads the wire form; `None` if it is malformed.
    pub fn decode(bytes: &[u8]) -> Option<Hello> {
        let [magic, fingerprint, layout, kind, who, to, boot, peer_boot, received] = unwords(bytes)?;
        let from = match kind {
            0 => Who::Node(u32::try_from(who).ok()?),
            1 => Who::Client(who),
            2 => Who::Tool,
            _ => return None,
        };
        let to = u32::try_from(to).ok()?;
        (magic == MAGIC).then_some(Hello { fingerprint, layout, from, to, boot, peer_boot, received })
    }
}

impl Welcome {
    /// The wire form.
    pub fn encode(&self) -> Vec<u8> {
        words(&[MAGIC, self.boot, self.peer_boot, self.received])
    }

    /// Reads the wire form; `None` if it is malformed.
    pub fn decode(bytes: &[u8]) -> Option<Welcome> {
        let [magic, boot, peer_boot, received] = unwords(bytes)?;
        (magic == MAGIC).then_some(Welcome { boot, peer_boot, received })
    }
}

impl Refusal {
    /// The wire form.
    pub fn encode(&self) -> Vec<u8> {
        let (code, a, b) = match *self {
            Refusal::Fingerprint { expected, found } => (1, expected, found),
            Refusal::Layout => (2, 0, 0),
            Refusal::Seat { meant, is } => (3, meant.into(), is.into()),
            Refusal::GivenUp => (4, 0, 0),
            Refusal::Malformed => (5, 0, 0),
            Refusal::Stopping => (6, 0, 0),
        };
        words(&[code, a, b])
    }

    /// Reads the wire form; what cannot be read is `Malformed`.
    pub fn decode(bytes: &[u8]) -> Refusal {
        match unwords(bytes) {
            // Seen from here, what the other side expected is what it has.
            Some([1, expected, found]) => Refusal::Fingerprint { expected: found, found: expected },
            Some([2, ..]) => Refusal::Layout,
            Some([3, meant, is]) => Refusal::Seat { meant: meant as u32, is: is as u32 },
            Some([4, ..]) => Refusal::GivenUp,
            Some([6, ..]) => Refusal::Stopping,
            _ => Refusal::Malformed,
        }
    }
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

fn unwords<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    let (words, rest) = bytes.as_chunks::<8>();
    let words: [[u8; 8]; N] = words.try_into().ok()?;
    rest.is_empty().then(|| words.map(u64::from_le_bytes))
}

/// A layout's hash, for handshakes.
pub fn layout_hash(layout: &crate::node::Layout) -> u64 {
    let mut hasher = crate::data::StableHasher::new(1);
    for role in &layout.roles {
        hasher.word(role.instances.into());
        hasher.word(role.partitions.into());
    }
    hasher.finish()
}
