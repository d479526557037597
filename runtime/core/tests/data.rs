//! The laws of `Data`, typed and erased, for everything that comes with it and for derived types.

use anabranch_core::data::Bytes;
use anabranch_core::data::{Address, Data, Schema, StableHasher, laws};
use anabranch_core::id::{Id, Req};
use anabranch_core::value::Value;
use anabranch_core::wire::Reader;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct Replica(u32);

impl Address for Replica {
    const ROLE: u16 = 2;
    const NAME: &'static str = "replica";
    fn from_index(index: u32) -> Replica {
        Replica(index)
    }
    fn to_index(self) -> u32 {
        self.0
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Data)]
#[data(crate = anabranch_core)]
struct Point {
    x: i32,
    r#type: String,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Data)]
#[data(crate = anabranch_core)]
struct Pair<A, B>(A, B);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Data)]
#[data(crate = anabranch_core)]
struct Nothing;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Data)]
#[data(crate = anabranch_core)]
enum Command {
    Noop,
    Put { key: String, value: Bytes },
    Move(Replica, Option<Pair<u64, Nothing>>),
    Many(Vec<Point>),
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Data)]
#[data(crate = anabranch_core)]
enum Level {
    Low = 1,
    High = 10,
}

fn point(x: i32, name: &str) -> Point {
    Point { x, r#type: name.into() }
}

fn commands() -> Vec<Command> {
    vec![
        Command::Noop,
        Command::Put { key: "".into(), value: Bytes::new() },
        Command::Put { key: "a\"\\\n\0ü".into(), value: Bytes::from_static(b"\x00\xff\"\\") },
        Command::Move(Replica(0), None),
        Command::Move(Replica(u32::MAX), Some(Pair(u64::MAX, Nothing))),
        Command::Many(vec![]),
        Command::Many(vec![point(-1, "x"), point(i32::MAX, "")]),
    ]
}

#[test]
fn laws_hold_for_what_has_no_parts() {
    laws::check(&[()]);
    laws::check(&[false, true]);
    macro_rules! ints {
        ($($ty:ty)*) => {$(
            laws::check(&[<$ty>::MIN, <$ty>::MIN + 1, 0, 1, 2, 63, 64, 127, <$ty>::MAX / 2, <$ty>::MAX - 1, <$ty>::MAX]);
        )*};
    }
    ints!(u8 u16 u32 u64 u128 i8 i16 i32 i64 i128);
    laws::check(&[-1i64, 0, -(1 << 40)]);
    laws::check(&[None, Some(1u8), Some(2)].map(std::sync::Arc::new));
    laws::check(&["", "a", "b", "ab", "\u{1f600}\u{7f}\r\t"].map(String::from));
    laws::check(&[&b""[..], b"a", b"\x00", b"a\"\\\xff"].map(Bytes::from_static));
    laws::check(&[0, 1, 500, u64::MAX].map(Duration::from_millis));
    laws::check(&[
        Id::default(),
        Id { route: 7, node: u32::MAX, serial: 1 << 63 },
        Id { route: 7, node: 1, serial: 2 },
    ]);
    laws::check(&[
        Req::default(),
        Req { session: u64::MAX, number: 1 },
        Req { session: 3, number: u64::MAX },
    ]);
    laws::check(&[Replica(0), Replica(1), Replica(u32::MAX)]);
}

#[test]
fn laws_hold_for_compounds() {
    laws::check(&[(1u8,), (2u8,)]);
    laws::check(&[
        (1u64, Some("x".to_string()), vec![true]),
        (1, None, vec![]),
        (0, None, vec![false, true]),
    ]);
    laws::check(&[(1u8, 2u8, 3u8, 4u8, 5u8, 6u8, 7u8, (8u8, ()))]);
    laws::check(&[[1u16, 2], [2, 1], [500, 0]]);
    laws::check(&[[0u8; 0]]);
    laws::check(&[None, Some(None), Some(Some(1u32))]);
    laws::check(&[vec![], vec![()], vec![(); 300]]);
    laws::check(&[BTreeSet::from([3u64, 1]), BTreeSet::new(), BTreeSet::from([2])]);
    laws::check(&[BTreeMap::from([(3u64, "x".to_string())]), BTreeMap::new()]);
}

#[test]
fn laws_hold_for_derived_types() {
    laws::check(&[point(1, "a"), point(-1, "b"), point(1, "b")]);
    laws::check(&[Pair(1u8, "x".to_string()), Pair(1, "y".into())]);
    laws::check(&[Nothing]);
    laws::check(&[Level::Low, Level::High]);
    laws::check(&commands());
}

#[test]
fn votes_are_small() {
    let mut out = Vec::new();
    (70u64, Replica(2), true).encode(&mut out);
    assert_eq!(out, [140, 4, 1]);
    out.clear();
    Command::Move(Replica(1), Some(Pair(300, Nothing))).encode(&mut out);
    assert_eq!(out, [4, 2, 1, 0xb1, 0x04, 0]);
}

#[test]
fn lengths_do_not_make_the_decoder_allocate() {
    // A list of 2^50 items, with three bytes behind it.
    let mut lie = Vec::new();
    anabranch_core::wire::put_varint(1 << 50, &mut lie);
    lie.extend([0, 0, 0]);
    assert!(Vec::<()>::decode_all(&lie).is_err());
    assert!(Vec::<[u128; 64]>::decode_all(&lie).is_err());
    assert!(String::decode_all(&lie).is_err());
    assert!(Bytes::decode_all(&lie).is_err());
    assert!(Vec::<u8>::schema().decode(&mut Reader::new(&lie)).is_err());
}

#[test]
fn sets_must_be_sorted() {
    let mut out = Vec::new();
    vec![2u64, 1].encode(&mut out);
    assert!(BTreeSet::<u64>::decode_all(&out).is_err());
    out.clear();
    vec![(1u64, 1u64), (1, 2)].encode(&mut out);
    assert!(BTreeMap::<u64, u64>::decode_all(&out).is_err());
}

#[test]
fn an_id_keeps_the_route_of_its_key() {
    let key = "account 7".to_string();
    let id = Id { route: key.route(), node: 3, serial: 9 };
    assert_eq!(id.route(), key.route());
}

#[test]
fn stable_hashes_never_change() {
    let hash = |value: &Value| {
        let mut hasher = StableHasher::new(0);
        value.stable_hash(&mut hasher);
        hasher.finish()
    };
    let all = Value::tuple(commands().iter().map(Data::to_value));
    assert_eq!(format!("{:016x}", hash(&all)), "410e8011174c0216");
    let shape = Schema::fingerprint("protocol x;", [&Command::schema(), &Level::schema()]);
    assert_eq!(format!("{shape:016x}"), "3ebe6a1ab2339b3f");
}

#[test]
fn a_changed_enum_changes_the_fingerprint() {
    mod changed {
        use super::{Bytes, Data, Nothing, Pair, Point, Replica};
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Data)]
        #[data(crate = anabranch_core)]
        pub enum Command {
            Noop,
            Put { key: String, value: Bytes },
            Move(Replica, Option<Pair<u64, Nothing>>),
            Several(Vec<Point>),
        }
    }
    let print = |schema| Schema::fingerprint("", [&schema]);
    assert_ne!(print(Command::schema()), print(changed::Command::schema()));
    assert_eq!(print(Command::schema()), print(Command::schema()));
}

#[test]
fn text_is_read_as_one_would_type_it() {
    let roles = ["client", "x", "replica"];
    let ok = |schema: &Schema, text: &str, printed: &str| {
        let value = schema.parse(text, &roles).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(schema.print(&value, &roles), printed);
    };
    ok(&String::schema(), "plain text", "\"plain text\"");
    ok(&String::schema(), r#""\u{fc}\x41\n""#, "\"üA\\n\"");
    ok(&Bytes::schema(), "hello", "b\"hello\"");
    ok(&Bytes::schema(), "0x00ff", "b\"\\0\\xff\"");
    ok(&u64::schema(), " 1_000 ", "1000");
    ok(&i8::schema(), "-0x80", "-128");
    ok(&Replica::schema(), "replica.3", "replica.3");
    ok(&Replica::schema(), "@3", "replica.3");
    ok(&Replica::schema(), "3", "replica.3");
    ok(&Command::schema(), "Noop", "Noop");
    ok(&Command::schema(), "Command::Put{value:\"v\",key:\"k\"}", "Put { key: \"k\", value: b\"v\" }");
    ok(&Command::schema(), "Move(1, Some((5, Nothing)))", "Move(replica.1, Some(Pair(5, Nothing)))");
    ok(&Vec::<(u8, bool)>::schema(), "[(1, true), (2,false,),]", "[(1, true), (2, false)]");
    ok(&Level::schema(), "High", "High");
}

#[test]
fn wrong_text_says_what_was_expected() {
    let roles = ["client", "x", "replica"];
    let fails = |schema: &Schema, text: &str, message: &str| {
        assert_eq!(schema.parse(text, &roles).unwrap_err().to_string(), message, "{text}");
    };
    fails(&u8::schema(), "256", "expected an integer of type u8 at column 1");
    fails(&u8::schema(), "1 2", "expected the end at column 3");
    fails(&u64::schema(), "-1", "expected an integer of type u64 at column 1");
    fails(&bool::schema(), "yes", "expected `true` or `false` at column 1");
    fails(&Replica::schema(), "client.1", "expected an address: `replica.0` at column 1");
    fails(&Command::schema(), "Get(1)", "expected one of Noop, Put, Move, Many at column 1");
    fails(&Command::schema(), "Put { key: \"k\" }", "expected the field `value` at column 17");
    fails(&Command::schema(), "Put { k: 1 }", "expected a field (key, value) at column 7");
    fails(&<(u8, u8)>::schema(), "(1)", "expected `,` at column 3");
    fails(&String::schema(), "\"open", "expected `\"` at column 6");
    fails(&Bytes::schema(), "0x123", "expected pairs of hexadecimal digits at column 1");
    fails(&Id::schema(), "7", "expected an id: `#route.node.serial` at column 1");
}
