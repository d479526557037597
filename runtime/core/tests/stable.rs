//! Stable hashes decide where a message goes, which id belongs to which partition, and what `choose` and `index()`
//! give. Nodes of different versions must agree on them, so they never change: here they are, written down.
//!
//! The numbers were computed by a second implementation from the definition (SplitMix64's finaliser over words,
//! the state starting from the seed xor 0x9e3779b97f4a7c15), not by the code under test.

use anabranch_core::data::Bytes;
use anabranch_core::data::{Data, StableHasher};
use anabranch_core::id::{Id, Req};
use std::time::Duration;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Data)]
#[data(crate = anabranch_core)]
enum Shape {
    Dot,
    Line(u64, bool),
    Box { side: u8 },
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Data)]
#[data(crate = anabranch_core)]
struct Pair {
    a: u64,
    b: u32,
}

/// Of a value, typed and erased.
fn hashed<T: Data>(value: &T, seed: u64) -> u64 {
    let (mut typed, mut erased) = (StableHasher::new(seed), StableHasher::new(seed));
    value.stable_hash(&mut typed);
    value.to_value().stable_hash(&mut erased);
    assert_eq!(typed.finish(), erased.finish(), "{value:?} hashes differently when its type is not known");
    typed.finish()
}

macro_rules! pinned {
    ($($value:expr => $hash:literal,)*) => {$(
        let found = hashed(&$value, 0);
        assert_eq!(found, $hash, "the stable hash of `{}` has changed: {found:#x}", stringify!($value));
    )*};
}

#[test]
fn stable_hashes_never_change() {
    pinned! {
        () => 0x4821_8226_ff3c_d4bf,
        true => 0x0ffb_4e67_9eae_7e2d,
        0u64 => 0x4821_8226_ff3c_d4bf,
        7u64 => 0x4762_8586_e199_e17e,
        u64::MAX => 0x957b_376a_8434_dee6,
        -1i64 => 0x6b8c_9dae_aa41_c7e6,
        i64::MIN => 0x7586_1c3a_71c0_79c4,
        200u8 => 0xf9e9_a52e_7ed2_753e,
        u128::MAX => 0x8304_3afe_d464_7786,
        1i128 << 100 => 0x0b99_e368_0a62_9f55,
        String::new() => 0x4821_8226_ff3c_d4bf,
        String::from("anabranch") => 0xc99d_0fbb_5a8a_66e9,
        Bytes::from_static(b"\x00\x01\x02") => 0xfade_81c7_f7ca_e203,
        Id { route: 3, node: 5, serial: 9 } => 0xcab4_b29b_4e43_9ed4,
        Req { session: 4, number: 6 } => 0xe9c7_3624_6654_98a3,
        (1u64, String::from("x")) => 0x17cd_d737_e346_417e,
        (1u64,) => 0x0ffb_4e67_9eae_7e2d,
        None::<u64> => 0x4821_8226_ff3c_d4bf,
        Some(5u64) => 0x5290_69ea_7faf_6a37,
        vec![1u64, 2] => 0xc825_85a3_ff72_5712,
        Shape::Dot => 0x4821_8226_ff3c_d4bf,
        Shape::Line(2, true) => 0xfc50_c206_2e84_34e8,
        Shape::Box { side: 3 } => 0x6754_e49b_a58c_8a4e,
        Pair { a: 1, b: 2 } => 0x455d_8e1e_e7ba_83f1,
        Duration::from_millis(1500) => 0x05a7_bd4b_dcdf_9be9,
    }
    assert_eq!(hashed(&7u64, 42), 0xefb5_45db_b6d5_79d4, "the seed counts");
}

#[test]
fn an_id_routes_by_what_it_inherited_and_others_by_their_hash() {
    assert_eq!(Id { route: 3, node: 5, serial: 9 }.route(), 3);
    assert_eq!(7u64.route(), 0x4762_8586_e199_e17eu64 as u32);
}
