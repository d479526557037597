//! Hash functions that see a key as words, the last one being what counts up in keys that do.

use rustc_hash::FxHasher;
use std::hash::{Hash, Hasher};

/// A hash function of words.
pub trait Words: Default {
    /// Takes the next word.
    fn word(&mut self, word: u64);
    /// The hash of the words so far.
    fn hash(&self) -> u64;
}

/// The hash of a key.
#[inline(always)]
pub fn hash_by<W: Words>(key: &(impl Hash + ?Sized)) -> u64 {
    let mut words = ByWords(W::default());
    key.hash(&mut words);
    words.0.hash()
}

/// Everything as words: an integer is one, and so is a byte string (by its own hash).
struct ByWords<W>(W);

impl<W: Words> Hasher for ByWords<W> {
    #[inline(always)]
    fn finish(&self) -> u64 {
        self.0.hash()
    }
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let mut hasher = FxHasher::default();
        hasher.write(bytes);
        self.0.word(hasher.finish());
    }
    #[inline(always)]
    fn write_u8(&mut self, n: u8) {
        self.0.word(u64::from(n));
    }
    #[inline(always)]
    fn write_u16(&mut self, n: u16) {
        self.0.word(u64::from(n));
    }
    #[inline(always)]
    fn write_u32(&mut self, n: u32) {
        self.0.word(u64::from(n));
    }
    #[inline(always)]
    fn write_u64(&mut self, n: u64) {
        self.0.word(n);
    }
    #[inline(always)]
    fn write_u128(&mut self, n: u128) {
        self.0.word((n >> 64) as u64);
        self.0.word(n as u64);
    }
    #[inline(always)]
    fn write_usize(&mut self, n: usize) {
        self.0.word(n as u64);
    }
}
