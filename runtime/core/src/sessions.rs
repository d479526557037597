//! `Sessions<M>`: a machine that executes a request once, however often it is chosen.

use crate::data::{Bytes, Data};
use crate::id::Req;
use crate::machine::Machine;
use crate::wire::Reader;
use std::collections::{BTreeMap, VecDeque};

/// How many outcomes of a session are remembered: more than a client ever has outstanding. A request that far
/// behind its session's newest is taken for a repeat and gets no answer.
pub const REMEMBERED: u64 = 4096;

/// Wraps a machine so that a repeated [`Req`] is answered from the record of the first execution. Its image
/// carries the record, so that a replica that jumped forward answers repeats too. `None` fills a slot with
/// nothing.
///
/// The record is kept as a set of numbers with outcomes, not as the highest number: requests of one session
/// may be chosen out of order.
#[derive(Clone, Debug)]
pub struct Sessions<M: Machine> {
    machine: M,
    /// By session, in the order of their numbers: nearly all come in that order.
    outcomes: BTreeMap<u64, VecDeque<(u64, M::Output)>>,
}

// Derived, it would ask for `M::Output: Default`.
impl<M: Machine> Default for Sessions<M> {
    fn default() -> Sessions<M> {
        Sessions { machine: M::default(), outcomes: BTreeMap::new() }
    }
}

impl<M: Machine> Sessions<M> {
    /// The wrapped machine.
    pub fn machine(&self) -> &M {
        &self.machine
    }
}

/// A session with the outcomes remembered in it, by number.
type Record<O> = (u64, Vec<(u64, O)>);

impl<M: Machine> Machine for Sessions<M> {
    type Command = Option<(Req, M::Command)>;
    type Output = Option<(Req, M::Output)>;

    fn apply(&mut self, slot: u64, command: &Self::Command) -> Self::Output {
        let (req, command) = command.as_ref()?;
        let session = self.outcomes.entry(req.session).or_default();
        let newest = session.back().map_or(0, |(n, _)| *n);
        let at = match session.back() {
            Some((last, _)) if req.number <= *last => {
                match session.binary_search_by_key(&req.number, |(n, _)| *n) {
                    Ok(at) => return Some((*req, session[at].1.clone())),
                    Err(at) => at,
                }
            }
            _ => session.len(),
        };
        let oldest = newest.saturating_sub(REMEMBERED);
        if req.number < oldest {
            return None;
        }
        let outcome = self.machine.apply(slot, command);
        session.insert(at, (req.number, outcome.clone()));
        let oldest = newest.max(req.number).saturating_sub(REMEMBERED);
        while session.front().is_some_and(|(n, _)| *n < oldest) {
            session.pop_front();
        }
        Some((*req, outcome))
    }

    fn save(&self) -> Bytes {
        let mut image = Vec::new();
        self.machine.save().encode(&mut image);
        let record: Vec<Record<M::Output>> =
            self.outcomes.iter().map(|(s, o)| (*s, o.iter().cloned().collect())).collect();
        record.encode(&mut image);
        image.into()
    }

    fn load(image: &[u8]) -> Option<Self> {
        let mut input = Reader::new(image);
        let machine = M::load(&Bytes::decode(&mut input).ok()?)?;
        let record = Vec::<Record<M::Output>>::decode(&mut input).ok()?;
        if !input.rest().is_empty() {
            return None;
        }
        let mut outcomes = BTreeMap::new();
        for (session, record) in record {
            if !record.is_sorted_by(|a, b| a.0 < b.0) {
                return None;
            }
            outcomes.insert(session, VecDeque::from(record));
        }
        Some(Sessions { machine, outcomes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, Default)]
    struct Adder(u64);
    impl Machine for Adder {
        type Command = u64;
        type Output = u64;
        fn apply(&mut self, _: u64, n: &u64) -> u64 {
            self.0 += n;
            self.0
        }
        fn save(&self) -> Bytes {
            self.0.to_le_bytes().to_vec().into()
        }
        fn load(image: &[u8]) -> Option<Adder> {
            Some(Adder(u64::from_le_bytes(image.try_into().ok()?)))
        }
    }

    fn req(number: u64) -> Req {
        Req { session: 7, number }
    }

    #[test]
    fn a_repeat_is_answered_and_not_executed_also_after_an_image() {
        let mut m = Sessions::<Adder>::default();
        assert_eq!(m.apply(0, &Some((req(2), 5))), Some((req(2), 5)));
        assert_eq!(m.apply(1, &Some((req(1), 1))), Some((req(1), 6)), "out of order is no repeat");
        assert_eq!(m.apply(2, &None), None);
        let mut again = Sessions::<Adder>::load(&m.save()).expect("an image that was saved");
        assert_eq!(again.apply(3, &Some((req(2), 5))), Some((req(2), 5)));
        assert_eq!(again.machine().0, 6);
        assert!(Sessions::<Adder>::load(&m.save()[1..]).is_none());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut m = Sessions::<Adder>::default();
        for n in 1..=3 * REMEMBERED {
            m.apply(n, &Some((req(n), 1)));
        }
        assert!(m.outcomes[&7].len() as u64 <= REMEMBERED + 1);
        assert_eq!(m.apply(0, &Some((req(1), 1))), None, "too old to tell: not executed again");
    }
}
