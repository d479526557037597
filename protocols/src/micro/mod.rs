//! The microbenchmarks of *Optimizing Distributed Protocols with Query Rewrites* (Chu et al., SIGMOD 2024, section 5.4
//! and its technical report), one small program for each rewrite, written anew in the language.
//!
//! Every message costs real work, as in the paper: payloads are decrypted where they arrive and encrypted where
//! they leave ([`cipher`]). What the paper keeps in an unread `storage` relation goes to the application as a durable event, so
//! memory stays flat.

pub mod cipher;
pub mod cohash;
pub mod dependencies;
pub mod functional;
pub mod independent;
pub mod monotone;
pub mod partial;
pub mod state_machine;
