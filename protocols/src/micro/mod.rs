//! The microbenchmarks of *Optimizing Distributed Protocols with Query Rewrites* (Chu et al., SIGMOD 2024, section 5.4
//! and its technical report), one small program for each rewrite, written anew in the language.
//!
//! Every message costs real work, as in the paper: payloads are decrypted where they arrive and encrypted where
//! they leave ([`cipher`]). What the paper keeps in an unread `storage` relation goes to the application as a durable event, so
//! memory stays flat.

//! Each base stands beside its plan (`*.plan.toml`) and what the rewriter makes of it by that plan
//! (`*_scaled.rs`).

pub mod cipher;
pub mod cohash;
pub mod cohash_scaled;
pub mod dependencies;
pub mod dependencies_scaled;
pub mod functional;
pub mod functional_scaled;
pub mod independent;
pub mod independent_scaled;
pub mod monotone;
pub mod monotone_scaled;
pub mod partial;
pub mod partial_scaled;
pub mod state_machine;
pub mod state_machine_scaled;
