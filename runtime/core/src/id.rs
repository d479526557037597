//! Identities: requests, and ids drawn by `unique()`.

use std::fmt;
use std::hash::{Hash, Hasher};

/// A request's identity: the client's session and its number in it. Unique, and determines the arguments.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Req {
    /// A random number that the client drew.
    pub session: u64,
    /// Position in the session, from 1.
    pub number: u64,
}

impl fmt::Debug for Req {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "req {:x}.{}", self.session, self.number)
    }
}

/// An id drawn by `unique()`; never drawn twice, also not by different nodes or after a crash.
#[derive(Clone, Copy, Eq, PartialOrd, Ord, Default)]
pub struct Id {
    /// Routing value, inherited from the event that drew it, so that an id belongs to the partition that
    /// drew it, also after rescaling.
    pub route: u32,
    /// Dense number of the node that drew it.
    pub node: u32,
    /// Incarnation of the node in the upper 24 bits, counter in the lower 40.
    pub serial: u64,
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}.{:x}", self.node, self.serial)
    }
}

// Most look-ups in tables are by these: one word each costs the hasher a third of what the fields do. (For tables
// only; what is stable across versions is `Data::stable_hash`.)

impl Hash for Req {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.number ^ self.session.rotate_left(32));
    }
}

impl PartialEq for Id {
    #[inline(always)]
    fn eq(&self, other: &Id) -> bool {
        self.serial == other.serial && self.place() == other.place()
    }
}

impl Hash for Id {
    /// Without the route, which an id of a node and a number has once and for all: the ids of a node count up,
    /// and so do these.
    #[inline(always)]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.serial ^ u64::from(self.node).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
}

impl Id {
    /// Route and node as one word, as they lie in memory.
    #[inline(always)]
    fn place(&self) -> u64 {
        u64::from(self.node) << 32 | u64::from(self.route)
    }
}
