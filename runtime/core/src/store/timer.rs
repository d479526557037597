//! The rows of a timer and when they are due.

use super::map::{Map, hash_of};
use hashbrown::HashTable;
use std::collections::BTreeSet;
use std::hash::Hash;

/// Where a row of a timer stands.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Waits in a slot.
    Waits(u32),
    /// Has fired and, if it repeats, waits anew at the end of the tick.
    Fired {
        /// The delay that it waited, without jitter.
        delay: u64,
    },
    /// Has fired once and for all, and still holds.
    Spent,
    /// Held before the first tick: begins to wait in it.
    Held,
}

#[derive(Clone, Debug)]
struct Slot<R> {
    row: Option<R>,
    due: u64,
    delay: u64,
    before: u32,
    after: u32,
}

const NONE: u32 = u32::MAX;

/// A timer's rows. Rows with one constant delay form a list in order of insertion, others a search tree.
#[derive(Clone, Debug)]
pub struct Timer<R> {
    rows: Map<R, State>,
    slots: Vec<Slot<R>>,
    free: Vec<u32>,
    first: u32,
    last: u32,
    sorted: bool,
    by_due: BTreeSet<(u64, u32)>,
    /// Rows that fired since the last [`Timer::rest`].
    fired: Vec<R>,
    /// Rows that left in this tick, with where they stood: one that comes back in the same tick never left.
    left: Vec<Option<(R, State)>>,
    /// Positions in `left` by hash, once it is asked for more than a few.
    left_index: HashTable<u32>,
    left_indexed: usize,
    opened: bool,
    /// Time, delay, seed and greatest jitter of the tick under way.
    tick: Tick,
}

/// What rows that begin to wait in a tick go by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tick {
    /// Its time.
    pub now: u64,
    /// The first delay.
    pub delay: u64,
    /// The greatest jitter.
    pub jitter: u64,
    /// What jitter is drawn from.
    pub seed: u64,
}

impl Tick {
    /// A row's jitter.
    #[inline]
    pub fn jitter(&self, row: &impl Hash) -> u64 {
        if self.jitter == 0 { 0 } else { crate::code::jitter(self.seed, self.jitter, row) }
    }
}

impl<R> Default for Timer<R> {
    fn default() -> Self {
        Timer {
            rows: Map::default(),
            slots: Vec::new(),
            free: Vec::new(),
            first: NONE,
            last: NONE,
            sorted: false,
            by_due: BTreeSet::new(),
            fired: Vec::new(),
            left: Vec::new(),
            left_index: HashTable::new(),
            left_indexed: 0,
            opened: false,
            tick: Tick::default(),
        }
    }
}

impl<R: Hash + Eq + Clone> Timer<R> {
    /// Begins a tick.
    #[inline]
    pub fn open(&mut self, tick: Tick) {
        self.tick = tick;
        if !self.opened {
            self.opened = true;
            let held: Vec<R> = self.rows.iter().map(|(row, _)| row.clone()).collect();
            held.iter().for_each(|row| self.plus(row));
        }
    }
    /// A row begins to hold.
    #[inline]
    pub fn plus(&mut self, row: &R) {
        if !self.opened {
            self.rows.insert(row.clone(), State::Held);
            return;
        }
        if !self.left.is_empty()
            && let Some((row, state)) = self.returned(row)
        {
            self.rows.insert(row, state);
            return;
        }
        let Tick { now, delay, .. } = self.tick;
        let due = now.saturating_add(delay).saturating_add(self.tick.jitter(row));
        let slot = self.wait(row.clone(), due, delay);
        self.rows.insert(row.clone(), State::Waits(slot));
    }
    /// A row ceases to hold.
    #[inline]
    pub fn minus(&mut self, row: &R) {
        if let Some(state) = self.rows.remove(row)
            && self.opened
        {
            self.left.push(Some((row.clone(), state)));
        }
    }
    /// Takes a row back that left in this tick.
    fn returned(&mut self, row: &R) -> Option<(R, State)> {
        let is = |l: &Option<(R, State)>| l.as_ref().is_some_and(|l| l.0 == *row);
        if self.left.len() <= 8 {
            return self.left.iter().position(is).and_then(|at| self.left[at].take());
        }
        let left = &self.left;
        for at in self.left_indexed as u32..left.len() as u32 {
            if let Some((row, _)) = &left[at as usize] {
                self.left_index.insert_unique(hash_of(row), at, |&at| {
                    left[at as usize].as_ref().map_or(0, |l| hash_of(&l.0))
                });
            }
        }
        self.left_indexed = left.len();
        let at = self.left_index.find(hash_of(row), |&at| is(&left[at as usize])).copied()?;
        self.left[at as usize].take()
    }
    /// Whether a row holds, waiting or not.
    pub fn holds(&self, row: &R) -> bool {
        self.rows.contains(row)
    }

    fn wait(&mut self, row: R, due: u64, delay: u64) -> u32 {
        let slot = Slot { row: Some(row), due, delay, before: NONE, after: NONE };
        let number = match self.free.pop() {
            Some(number) => {
                self.slots[number as usize] = slot;
                number
            }
            None => {
                self.slots.push(slot);
                self.slots.len() as u32 - 1
            }
        };
        if !self.sorted && self.last != NONE && self.slots[self.last as usize].due > due {
            self.sort();
        }
        if self.sorted {
            self.by_due.insert((due, number));
        } else {
            self.slots[number as usize].before = self.last;
            match self.last {
                NONE => self.first = number,
                last => self.slots[last as usize].after = number,
            }
            self.last = number;
        }
        number
    }
    /// Goes over from a list to a search tree, when a row is due before an earlier one.
    #[cold]
    fn sort(&mut self) {
        self.sorted = true;
        while self.first != NONE {
            let slot = &self.slots[self.first as usize];
            self.by_due.insert((slot.due, self.first));
            self.first = slot.after;
        }
        self.last = NONE;
    }
    fn unlink(&mut self, number: u32) -> Slot<R> {
        let gap = Slot { row: None, due: 0, delay: 0, before: NONE, after: NONE };
        let slot = std::mem::replace(&mut self.slots[number as usize], gap);
        if self.sorted {
            self.by_due.remove(&(slot.due, number));
            // An empty tree may be a list again: a clock that went back once costs nothing for ever.
            self.sorted = !self.by_due.is_empty();
        } else {
            match slot.before {
                NONE => self.first = slot.after,
                before => self.slots[before as usize].after = slot.after,
            }
            match slot.after {
                NONE => self.last = slot.before,
                after => self.slots[after as usize].before = slot.before,
            }
        }
        self.free.push(number);
        slot
    }

    /// When the next row is due.
    pub fn next_due(&self) -> Option<u64> {
        if self.sorted {
            return self.by_due.first().map(|e| e.0);
        }
        (self.first != NONE).then(|| self.slots[self.first as usize].due)
    }
    /// Fires the next row that is due.
    pub fn fire_next(&mut self, now: u64) -> Option<R> {
        let number = match self.sorted {
            true => self.by_due.first()?.1,
            false if self.first == NONE => return None,
            false => self.first,
        };
        (self.slots[number as usize].due <= now).then(|| self.fire_slot(number))
    }
    fn fire_slot(&mut self, number: u32) -> R {
        let slot = self.unlink(number);
        let row = slot.row.expect("a waiting slot has a row");
        self.rows.insert(row.clone(), State::Fired { delay: slot.delay });
        self.fired.push(row.clone());
        row
    }
    /// Fires one row, due or not; false if it does not wait.
    pub fn fire(&mut self, row: &R) -> bool {
        match self.rows.get(row) {
            Some(&State::Waits(number)) => {
                self.fire_slot(number);
                true
            }
            _ => false,
        }
    }
    /// At the end of a tick: rows that left are gone, and fired rows that still hold wait anew with twice
    /// the delay, up to `most`; `None`: they rest for good.
    #[inline]
    pub fn rest(&mut self, most: Option<u64>) {
        if !self.left.is_empty() {
            let mut left = std::mem::take(&mut self.left);
            for (_, state) in left.drain(..).flatten() {
                if let State::Waits(slot) = state {
                    self.unlink(slot);
                }
            }
            self.left = left;
            if self.left_indexed > 0 {
                self.left_index.clear();
                self.left_indexed = 0;
            }
        }
        if !self.fired.is_empty() {
            self.again(most);
        }
    }
    fn again(&mut self, most: Option<u64>) {
        let now = self.tick.now;
        let mut fired = std::mem::take(&mut self.fired);
        for row in fired.drain(..) {
            let Some(&State::Fired { delay }) = self.rows.get(&row) else { continue };
            let state = match most {
                Some(most) => {
                    let delay = delay.saturating_mul(2).min(most);
                    let due = now.saturating_add(delay).saturating_add(self.tick.jitter(&row));
                    State::Waits(self.wait(row.clone(), due, delay))
                }
                None => State::Spent,
            };
            self.rows.insert(row, state);
        }
        self.fired = fired;
    }
    /// All rows that wait, with their due times, in an order that means nothing.
    pub fn waiting(&self) -> impl Iterator<Item = (u64, &R)> {
        self.slots.iter().filter_map(|slot| Some((slot.due, slot.row.as_ref()?)))
    }
    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Timer::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Dice;
    use std::collections::BTreeMap;

    #[test]
    fn rows_fire_when_due_and_only_while_they_hold() {
        for spread in [0, 40] {
            let mut dice = Dice::new(spread + 1);
            let mut timer = Timer::<(u64,)>::default();
            // Due time and delay of the waiting; None for the spent.
            let mut twin = BTreeMap::<(u64,), Option<(u64, u64)>>::new();
            for now in 0..30_000 {
                let tick = Tick { now, delay: 20, jitter: spread, seed: now };
                timer.open(tick);
                assert_eq!(timer.next_due(), twin.values().flatten().map(|w| w.0).min());
                let mut fired = BTreeMap::new();
                while let Some(row) = timer.fire_next(now) {
                    let (due, delay) = twin.insert(row, None).flatten().expect("only waiting rows fire");
                    assert!(due <= now);
                    fired.insert(row, delay);
                }
                assert!(twin.values().flatten().all(|w| w.0 > now));
                // Another one fires early.
                let row = (dice.below(50),);
                let waits = twin.get(&row).copied().flatten();
                assert_eq!(timer.fire(&row), waits.is_some());
                if let Some((_, delay)) = waits {
                    fired.insert(row, delay);
                    twin.insert(row, None);
                }
                // Rows come and go.
                let row = (dice.below(50),);
                if let std::collections::btree_map::Entry::Vacant(absent) = twin.entry(row) {
                    timer.plus(&row);
                    absent.insert(Some((now + 20 + tick.jitter(&row), 20)));
                } else if dice.below(2) == 0 {
                    timer.minus(&row);
                    if dice.below(3) == 0 {
                        // It is back before the tick ends: as if nothing had happened.
                        timer.plus(&row);
                    } else {
                        twin.remove(&row);
                        fired.remove(&row);
                    }
                }
                // They repeat, doubling up to 80, or do not.
                let most = (spread > 0).then_some(80);
                timer.rest(most);
                for (row, delay) in fired {
                    if most.is_some() {
                        let delay = (2 * delay).min(80);
                        twin.insert(row, Some((now + delay + tick.jitter(&row), delay)));
                    }
                }
                let mut waiting: Vec<_> = timer.waiting().map(|(due, row)| (*row, due)).collect();
                waiting.sort_unstable();
                assert!(
                    waiting.iter().copied().eq(twin.iter().filter_map(|(r, w)| Some((*r, w.as_ref()?.0))))
                );
                assert!(twin.keys().all(|row| timer.holds(row)));
            }
            assert!(timer.slots.len() <= 50);
        }
    }
}
