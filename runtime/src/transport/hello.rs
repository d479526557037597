//! Handshakes: [core's](anabranch_core::session::hello), and the clock that makes incarnations' numbers.

pub use anabranch_core::session::hello::*;

/// A number that no other incarnation has: time and process, mixed.
pub(crate) fn fresh_boot() -> u64 {
    use anabranch_core::data::StableHasher;
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut hasher = StableHasher::new(now.as_nanos() as u64);
    hasher.word(u64::from(std::process::id()));
    hasher.word(COUNT.fetch_add(1, Ordering::Relaxed));
    // Stack addresses differ between machines that start in the same nanosecond with the same pid.
    hasher.word(std::ptr::from_ref(&hasher) as u64);
    hasher.finish().max(1)
}
