//! Containers of compiled roles beside naive twins: aggregated views, groups of events, single rows, machines.

use anabranch_core::data::Bytes;
use anabranch_core::machine::Machine;
use anabranch_core::store::machine::Runner;
use anabranch_core::store::{Aggregated, EventGroups, Map, One};
use std::collections::BTreeMap;

/// Random numbers (SplitMix64).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Dice {
        Dice(seed)
    }
    /// A number below `n`.
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % n
    }
}

#[test]
fn it_does_as_a_map_with_one_key() {
    let mut dice = Dice::new(5);
    let (mut one, mut twin) = (One::<(u64, bool)>::default(), Map::<(), (u64, bool)>::default());
    for _ in 0..5000 {
        let row = (dice.below(4), dice.below(2) == 0);
        match dice.below(6) {
            0 | 1 => assert_eq!(one.insert((), row), twin.insert((), row)),
            2 => assert_eq!(one.remove(&()), twin.remove(&())),
            3 if dice.below(5) == 0 => {
                one.clear();
                twin.clear();
            }
            _ => {
                let before = one.get(&()).copied();
                assert_eq!(one.try_insert((), row).copied(), before, "what was there is given back");
                if before.is_none() {
                    twin.insert((), row);
                }
            }
        }
        assert_eq!(one.get(&()), twin.get(&()));
        assert_eq!((one.len(), one.is_empty()), (twin.len(), twin.is_empty()));
        assert_eq!(one.contains(&()), twin.get(&()).is_some());
        assert_eq!(one.iter().collect::<Vec<_>>(), twin.iter().collect::<Vec<_>>());
    }
}

#[test]
fn groups_keep_what_was_added_in_order_of_first_contribution() {
    let mut dice = Dice::new(6);
    let mut groups = EventGroups::<(u64, u64), Vec<u64>>::default();
    // Groups of one tick are forgotten before the next, whatever their number.
    for tick in 0..300 {
        let mut twin: Vec<((u64, u64), Vec<u64>)> = Vec::new();
        for n in 0..dice.below(if tick % 10 == 0 { 500 } else { 20 }) {
            let group = (dice.below(30), dice.below(4));
            groups.group(group).push(n);
            match twin.iter_mut().find(|(g, _)| *g == group) {
                Some((_, members)) => members.push(n),
                None => twin.push((group, vec![n])),
            }
        }
        assert!(groups.iter().eq(twin.iter()));
        assert_eq!(groups.is_empty(), twin.is_empty());
        for (group, members) in &twin {
            assert_eq!(groups.get(group), Some(members));
        }
        assert_eq!(groups.get(&(99, 0)), None);
        groups.clear();
        assert!(groups.is_empty() && groups.get(&(0, 0)).is_none());
    }
}

/// Sums by group over combinations that come and go, beside a naive twin.
#[test]
fn settling_gives_the_difference_and_nothing_else() {
    let mut dice = Dice::new(7);
    let mut sums = Aggregated::<u64, i64, i64>::default();
    let mut members: Vec<(u64, i64)> = Vec::new();
    let mut shown: BTreeMap<u64, i64> = BTreeMap::new();
    for _ in 0..3000 {
        for _ in 0..dice.below(6) {
            if dice.below(3) > 0 || members.is_empty() {
                let (group, n) = (dice.below(5), dice.below(4) as i64);
                *sums.change(group, 1) += n;
                members.push((group, n));
            } else {
                let (group, n) = members.swap_remove(dice.below(members.len() as u64) as usize);
                *sums.change(group, -1) -= n;
            }
        }
        let mut expected: BTreeMap<u64, i64> = BTreeMap::new();
        members.iter().for_each(|(group, n)| *expected.entry(*group).or_default() += n);
        let dirty = sums.take_dirty();
        assert!(!sums.is_dirty());
        let mut distinct = dirty.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), dirty.len(), "a group is settled once");
        for group in &dirty {
            let change = sums.settle(group, |sum| *sum);
            let (old, new) = (shown.get(group).copied(), expected.get(group).copied());
            assert_eq!(change, (old != new).then_some((old, new)));
        }
        sums.recycle(dirty);
        // Groups that nobody touched are as they were; empty ones have no row, whatever their state.
        assert_eq!(sums.iter().map(|(g, n)| (*g, *n)).collect::<BTreeMap<_, _>>(), expected);
        assert_eq!((sums.len(), sums.is_empty()), (expected.len(), expected.is_empty()));
        (0..5).for_each(|group| assert_eq!(sums.get(&group), expected.get(&group)));
        shown = expected;
        if dice.below(100) == 0 {
            sums.clear();
            members.clear();
            shown.clear();
            assert!(sums.is_empty() && !sums.is_dirty());
        }
    }
}

#[test]
#[should_panic(expected = "lost more than it was given")]
fn a_retraction_too_many_is_a_bug() {
    let mut sums = Aggregated::<u64, i64, i64>::default();
    sums.change(1, -1);
    sums.settle(&1, |sum| *sum);
}

/// All commands so far, in order.
#[derive(Clone, Default, Debug, PartialEq)]
struct History(Vec<u8>);

impl Machine for History {
    type Command = u8;
    type Output = u64;
    fn apply(&mut self, slot: u64, command: &u8) -> u64 {
        assert_eq!(slot, self.0.len() as u64, "slots come once and in order");
        self.0.push(*command);
        slot + u64::from(*command)
    }
    fn save(&self) -> Bytes {
        Bytes::from(self.0.clone())
    }
    fn load(image: &[u8]) -> Option<History> {
        (!image.contains(&255)).then(|| History(image.to_vec()))
    }
}

/// What slot `n` is fed with.
fn command(n: u64) -> u8 {
    (n * 7 % 200) as u8
}

#[test]
fn slots_come_once_and_in_order_however_they_are_fed() {
    for seed in 0..200 {
        let mut dice = Dice::new(seed);
        let mut runner = Runner::<History>::default();
        let (mut done, mut fed) = (0, std::collections::BTreeSet::new());
        for _ in 0..40 {
            for _ in 0..dice.below(5) {
                // Old, repeated and early slots among them.
                let slot = (runner.next() + dice.below(9)).saturating_sub(3);
                assert!(runner.feed(slot, command(slot)));
                fed.insert(slot);
            }
            let clash = runner.early().next().map(|(slot, c)| (slot, *c));
            if let Some((slot, c)) = clash {
                assert!(runner.waits(slot) && !runner.feed(slot, c + 1), "two commands for slot {slot}");
            }
            runner.run(|slot, out| {
                assert_eq!((slot, out), (done, slot + u64::from(command(slot))));
                done += 1;
            });
            let next = (0..).find(|n| !fed.contains(n)).expect("finitely many were fed");
            assert_eq!((runner.next(), done), (next, next));
            let early: Vec<u64> = runner.early().map(|(slot, _)| slot).collect();
            assert_eq!(early, fed.range(next..).copied().collect::<Vec<_>>());
            if dice.below(10) == 0 {
                // Another node is ahead: its image saves the slots between.
                let to = next + dice.below(6);
                let image: Vec<u8> = (0..to).map(command).collect();
                assert!(runner.load(to, &image));
                assert_eq!(*runner.save(), *image);
                fed.extend(0..to);
                done = to;
            }
        }
        assert_eq!(runner.machine().0, (0..runner.next()).map(command).collect::<Vec<_>>());
    }
}

#[test]
fn slots_far_ahead_wait_too() {
    let mut dice = Dice::new(5);
    let mut runner = Runner::<History>::default();
    let mut slots: Vec<u64> = (0..15_000).collect();
    for i in (1..slots.len()).rev() {
        // Two halves come one after the other, the upper one first, each in any order.
        let half = if i >= 7500 { 7500 } else { 0 };
        slots.swap(i, half + dice.below((i - half + 1) as u64) as usize);
    }
    slots.rotate_left(7500);
    let mut done = 0;
    for (fed, slot) in slots.iter().copied().enumerate() {
        assert!(runner.feed(slot, command(slot)) && (slot < runner.next() || runner.waits(slot)));
        if slot >= runner.next() {
            assert!(!runner.feed(slot, command(slot) + 1), "two commands for slot {slot}");
        }
        runner.run(|slot, _| {
            assert_eq!(slot, done);
            done += 1;
        });
        if fed % 1000 == 0 {
            assert_eq!(runner.early().count() as u64 + done, fed as u64 + 1);
            assert!(runner.early().is_sorted_by_key(|(slot, _)| slot));
        }
    }
    assert_eq!((runner.next(), runner.early().count()), (15_000, 0));
}

#[test]
fn an_image_that_is_none_or_no_progress_changes_nothing() {
    let mut runner = Runner::<History>::default();
    assert!(runner.feed(0, 1) && runner.feed(2, 9));
    runner.run(|_, _| {});
    assert!(!runner.load(5, &[255]), "no image");
    assert!(runner.load(1, &[4]) && runner.load(0, &[255]), "no progress: not even looked at");
    assert_eq!((runner.next(), &*runner.save()), (1, &[1][..]));
    assert!(runner.load(2, &[1, 2]));
    runner.run(|slot, _| assert_eq!(slot, 2));
    assert_eq!((runner.next(), &*runner.save()), (3, &[1, 2, 9][..]));
}
