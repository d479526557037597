use super::super::{Map, Multi, Ranges};
use super::*;
use crate::store::tests::Dice;
use std::collections::BTreeSet;

type Entry = (Option<u64>, Group<(u32,)>, RangeSet<u64>, Pairs<(u32,), u64>);

#[test]
fn each_table_behaves_as_one_of_its_own() {
    for (seed, keys, steps) in [(1, 20, 60_000), (2, 30_000, 250_000)] {
        let mut dice = Dice::new(seed);
        let mut joint = Joint::<(u64,), Entry>::default();
        let (mut map, mut multi) = (Map::<(u64,), u64>::default(), Multi::<(u64,), (u32,)>::default());
        let (mut ranges, mut split) = (Ranges::<(u64,), u64>::default(), Map::<(u64, u32), u64>::default());
        let mut key = (0,);
        for step in 0..steps {
            // The same key several times in a row, too.
            if dice.below(3) > 0 {
                key = (dice.below(keys) << 7,);
            }
            let (row, n) = (dice.below(7) as u32, dice.below(9));
            match dice.below(14) {
                0 => assert_eq!(joint.single_mut::<0>().insert(key, step), map.insert(key, step)),
                1 => {
                    let there = joint.single_mut::<0>().try_insert(key, step).copied();
                    assert_eq!(there, map.try_insert(key, step).copied());
                }
                2 => assert_eq!(joint.single_mut::<0>().remove(&key), map.remove(&key)),
                3 => assert_eq!(joint.several_mut::<1>().insert(key, (row,)), multi.insert(key, (row,))),
                4 => {
                    let size = joint.several_mut::<1>().insert_sized(key, (row,));
                    assert_eq!(size, multi.insert_sized(key, (row,)));
                }
                5 => {
                    let size = joint.several_mut::<1>().remove_sized(&key, &(row,));
                    assert_eq!(size, multi.remove_sized(&key, &(row,)));
                }
                6 => assert_eq!(joint.several_mut::<1>().remove(&key, &(row,)), multi.remove(&key, &(row,))),
                7 => {
                    let group = joint.several_mut::<1>().remove_group(&key);
                    assert_eq!(group.len(), multi.remove_group(&key).len());
                }
                8 => {
                    assert_eq!(joint.spans_mut::<2>().insert_sized(key, (n,)), ranges.insert_sized(key, (n,)))
                }
                9 => assert_eq!(
                    joint.spans_mut::<2>().remove_sized(&key, &(n,)),
                    ranges.remove_sized(&key, &(n,))
                ),
                10 => assert_eq!(
                    joint.spans_mut::<2>().remove_group(&key).len(),
                    ranges.remove_group(&key).len()
                ),
                11 => assert_eq!(
                    joint.split_mut::<3>().insert((key.0, row), step),
                    split.insert((key.0, row), step)
                ),
                12 => {
                    let there = joint.split_mut::<3>().try_insert((key.0, row), step).copied();
                    assert_eq!(there, split.try_insert((key.0, row), step).copied());
                }
                _ => assert_eq!(joint.split_mut::<3>().remove(&(key.0, row)), split.remove(&(key.0, row))),
            }
            assert_eq!(joint.single::<0>().get(&key), map.get(&key));
            assert_eq!(joint.several::<1>().count(&key), multi.count(&key));
            assert_eq!(joint.several::<1>().contains(&key, &(row,)), multi.contains(&key, &(row,)));
            assert_eq!(joint.several::<1>().any(&key), multi.any(&key));
            assert!(joint.spans::<2>().group(&key).eq(ranges.group(&key)));
            assert_eq!(joint.spans::<2>().any(&key), ranges.any(&key));
            assert_eq!(joint.split::<3>().get(&(key.0, row)), split.get(&(key.0, row)));
            if step % (steps / 5) == 11 {
                let all: BTreeSet<_> = joint.single::<0>().iter().collect();
                assert_eq!(all, map.iter().collect());
                let all: BTreeSet<_> = joint.several::<1>().iter().collect();
                assert_eq!(all, multi.iter().collect());
                let all: BTreeSet<_> = joint.spans::<2>().iter().collect();
                assert_eq!(all, ranges.iter().collect());
                let all: BTreeSet<(u64, u32)> = joint.split::<3>().iter().map(|(k, _)| k).collect();
                assert_eq!(all, split.iter().map(|(k, _)| *k).collect());
                assert_eq!((joint.single::<0>().len(), joint.several::<1>().len()), (map.len(), multi.len()));
                assert_eq!((joint.spans::<2>().len(), joint.split::<3>().len()), (ranges.len(), split.len()));
                // Entries without anything are gone.
                let keys: BTreeSet<_> = (map.iter().map(|r| *r.0))
                    .chain(multi.iter().map(|r| *r.0))
                    .chain(ranges.iter().map(|r| *r.0))
                    .chain(split.iter().map(|r| (r.0.0,)))
                    .collect();
                assert_eq!(joint.slots.len(), keys.len());
            }
        }
    }
}
