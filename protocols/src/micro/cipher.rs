//! The work of the microbenchmarks: encryption, decryption and hashing of payloads.
//!
//! Functions named in rules must be pure, so the cipher is deterministic: ChaCha20 (RFC 8439) with a fixed key and
//! nonce, [`ROUNDS`] times over. That is work to measure, not a way to keep a secret.

use anabranch::Bytes;
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use sha2::{Digest, Sha256};

/// How often a payload is run through the cipher: as often as in the published programs, which encrypt a hundred times
/// with AES-GCM (or once with RSA). ChaCha20 is faster; this is some 15 to 20 microseconds a message.
pub const ROUNDS: u8 = 100;

/// Encrypts.
pub fn seal(payload: &Bytes) -> Bytes {
    run(payload, 0..ROUNDS)
}

/// Decrypts: `open(&seal(x)) == x`. Any bytes decrypt to something, so a load generator may send what it likes.
pub fn open(sealed: &Bytes) -> Bytes {
    run(sealed, (0..ROUNDS).rev())
}

fn run(payload: &Bytes, rounds: impl Iterator<Item = u8>) -> Bytes {
    let mut text = payload.to_vec();
    for round in rounds {
        ChaCha20::new(&[round; 32].into(), &[7; 12].into()).apply_keystream(&mut text);
    }
    text.into()
}

/// A payload's hash: the first eight bytes of SHA-256.
pub fn digest(payload: &Bytes) -> u64 {
    first(Sha256::digest(payload).as_slice())
}

/// A running hash over payloads in order.
pub fn chain(before: u64, payload: &Bytes) -> u64 {
    first(Sha256::new().chain_update(before.to_le_bytes()).chain_update(payload).finalize().as_slice())
}

fn first(hash: &[u8]) -> u64 {
    hash.iter().take(8).rev().fold(0, |n, byte| n << 8 | u64::from(*byte))
}
