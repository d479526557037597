//! Protocols written in Anabranch: two-phase commit, MultiPaxos.
