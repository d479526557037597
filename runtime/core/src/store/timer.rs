//! The rows of a timer and when they are due.

use super::map::Map;
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
        }
    }
}

impl<R: Hash + Eq + Clone> Timer<R> {
    /// Puts a row in that begins to hold; it waits `delay` (doubled from there on) and `jitter`.
    pub fn start(&mut self, row: R, now: u64, delay: u64, jitter: u64) {
        let slot = self.wait(row.clone(), now.saturating_add(delay).saturating_add(jitter), delay);
        self.rows.insert(row, State::Waits(slot));
    }
    /// Takes a row out that no longer holds.
    pub fn stop(&mut self, row: &R) {
        if let Some(State::Waits(slot)) = self.rows.remove(row) {
            self.unlink(slot);
        }
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
    /// At the end of a tick: fired rows that still hold wait anew with `again(delay waited) =
    /// (delay, jitter)`, or rest for good.
    pub fn rest(&mut self, now: u64, mut again: impl FnMut(&R, u64) -> Option<(u64, u64)>) {
        if self.fired.is_empty() {
            return;
        }
        let mut fired = std::mem::take(&mut self.fired);
        for row in fired.drain(..) {
            let Some(&State::Fired { delay }) = self.rows.get(&row) else { continue };
            let state = match again(&row, delay) {
                Some((delay, jitter)) => {
                    let due = now.saturating_add(delay).saturating_add(jitter);
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
                let row = (dice.below(50),);
                if !twin.contains_key(&row) {
                    let jitter = dice.below(spread + 1);
                    timer.start(row, now, 20, jitter);
                    twin.insert(row, Some((now + 20 + jitter, 20)));
                } else if dice.below(2) == 0 {
                    timer.stop(&row);
                    twin.remove(&row);
                }
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
                // Even ones repeat, doubling up to 80.
                timer.rest(now, |row, delay| (row.0 % 2 == 0).then(|| ((2 * delay).min(80), 0)));
                for (row, delay) in fired {
                    if row.0 % 2 == 0 {
                        let delay = (2 * delay).min(80);
                        twin.insert(row, Some((now + delay, delay)));
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
