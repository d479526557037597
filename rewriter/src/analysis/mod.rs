//! Facts about a role that rewrites rest on. Each answers with what establishes it, or with an [`Against`].
//!
//! [`sides`] says what a cut does to a role, [`cone`] what depends on what crosses, [`maps`] and [`repeats`] which rules
//! may follow one fact, [`accumulate`] what only grows, [`forget`] which deletions are harmless, [`echo`] which messages
//! answer what has crossed,
//! [`answers`] which of several answers is the first, [`apart`] which deliveries concern different keys, [`units`] what may cross in units, [`fate`] what a crash of one part means.

pub mod accumulate;
mod against;
pub mod answers;
pub mod apart;
pub mod cone;
pub mod determine;
pub mod echo;
pub mod fate;
pub mod forget;
pub mod maps;
pub mod repeats;
pub mod sides;
pub mod units;
pub mod walk;

pub use against::Against;
pub use cone::Cone;
pub use fate::Fate;
pub use sides::{Crossing, Side, Sides, Way, local_head};
