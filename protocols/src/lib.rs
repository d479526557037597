//! Protocols written in Anabranch.
//!
//! Each folder holds the rules in one `protocol!` block, with what the rules call in Rust beside it.

pub mod kv;
pub mod micro;
pub mod multi_paxos;
pub mod two_pc;
pub mod voting;
