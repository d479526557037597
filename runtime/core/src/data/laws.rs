//! The obligations of [`Data`], for tests of own types.

use super::{Data, StableHasher};
use crate::wire::Reader;

/// Panics, naming the law and the values, unless all laws of [`Data`] hold for these values and each pair
/// of them.
pub fn check<T: Data>(values: &[T]) {
    let hash = |value: &T| {
        let mut hasher = StableHasher::new(7);
        value.stable_hash(&mut hasher);
        hasher.finish()
    };
    let schema = T::schema();
    for x in values {
        let mut bytes = Vec::new();
        x.encode(&mut bytes);
        assert!(!bytes.is_empty(), "{x:?}: an encoding takes a byte at least");
        assert_eq!(T::decode_all(&bytes).as_ref(), Ok(x), "decode(encode(x)) is x");
        for cut in 0..bytes.len() {
            assert!(T::decode_all(&bytes[..cut]).is_err(), "{x:?}: cut after {cut} bytes, but decoded");
        }
        let value = x.to_value();
        assert_eq!(T::from_value(&value).as_ref(), Some(x), "from_value(to_value(x)) is x");
        let mut dynamic = Vec::new();
        schema.encode(&value, &mut dynamic).expect("the erased value has the type's schema");
        assert_eq!(dynamic, bytes, "{x:?}: typed and erased encoding agree");
        let mut reader = Reader::new(&bytes);
        assert_eq!(schema.decode(&mut reader).as_ref(), Ok(&value), "erased decoding gives the erased value");
        assert!(reader.is_empty(), "{x:?}: erased decoding takes all");
        let mut hasher = StableHasher::new(7);
        value.stable_hash(&mut hasher);
        assert_eq!(hash(x), hasher.finish(), "{x:?}: typed and erased value hash alike");
        assert_eq!(x.route(), value.route(), "{x:?}: typed and erased value route alike");
        let text = schema.print(&value, &[]);
        assert_eq!(schema.parse(&text, &[]).as_ref(), Ok(&value), "`{text}` reads as what was printed");
    }
    for x in values {
        for y in values {
            assert_eq!(x.to_value().cmp(&y.to_value()), x.cmp(y), "{x:?}, {y:?}: to_value keeps the order");
            assert_eq!(x == y, x.cmp(y).is_eq(), "{x:?}, {y:?}: equality and order agree");
            if x == y {
                assert_eq!(hash(x), hash(y), "{x:?}, {y:?}: equal values hash alike");
            }
        }
    }
}
