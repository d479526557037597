//! The rows of a timer and when they are due.
//!
//! A [`Queue`] knows its rows by handles. Where the rows of a timer are those of a table, one for one, the table's
//! rows carry the handles; otherwise a [`Timer`] finds them by a map of its own. A [`Line`] is a queue for rows that
//! come in order and soon leave.

mod line;

pub use line::Line;

use super::map::{Map, hash_of};
use hashbrown::HashTable;
use std::collections::{BTreeSet, VecDeque};
use std::hash::Hash;

/// Where a row of a queue stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Nowhere: the slot is free.
    Free,
    /// Waits, in the list or in the tree.
    Waits,
    /// Has fired and, if it repeats, waits anew at the end of the tick.
    Fired,
    /// Has fired once and for all, and still holds.
    Spent,
    /// Held before the first tick: begins to wait in it.
    Held,
}

/// A row of a [`Queue`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handle(u32);

#[derive(Clone, Debug)]
struct Slot<R> {
    row: Option<R>,
    due: u64,
    /// Of a free slot: the next one.
    after: u32,
    /// How often the slot was left: what the list says about it before is void.
    stamp: u32,
    state: State,
    /// It ceased to hold in this tick.
    leaving: bool,
    /// How often its delay was doubled.
    times: u8,
}

const NONE: u32 = u32::MAX;

/// A timer's rows by handle. While rows are due in the order in which they came, they form a list, else a search
/// tree. Most rows leave before they are due: what the list says about those is skipped, and thrown out when it is
/// the greater part.
#[derive(Clone, Debug)]
pub struct Queue<R> {
    slots: Vec<Slot<R>>,
    /// The first free slot; each says the next in `after`.
    free: u32,
    /// The list: slots, with their stamps then.
    list: VecDeque<(u32, u32)>,
    /// How many of those in the list wait.
    listed: usize,
    /// When the last of them is due.
    latest: u64,
    sorted: bool,
    by_due: BTreeSet<(u64, u32)>,
    /// Slots that fired since the last [`Queue::rest`].
    fired: Vec<u32>,
    /// Slots whose rows left in this tick: one that comes back in the same tick never left.
    left: Vec<u32>,
    /// Positions in `left` by hash, once it is asked for more than a few.
    left_index: HashTable<u32>,
    left_indexed: usize,
    opened: bool,
    /// Time, delay, seed and greatest jitter of the tick under way.
    tick: Tick,
    /// When a row is due that comes in it, but for its jitter.
    due: u64,
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
        if self.jitter == 0 { 0 } else { self.drawn(row) }
    }
    #[inline(never)]
    fn drawn(&self, row: &impl Hash) -> u64 {
        crate::code::jitter(self.seed, self.jitter, row)
    }
}

impl<R> Default for Queue<R> {
    fn default() -> Self {
        Queue {
            slots: Vec::new(),
            free: NONE,
            list: VecDeque::new(),
            listed: 0,
            latest: 0,
            sorted: false,
            by_due: BTreeSet::new(),
            fired: Vec::new(),
            left: Vec::new(),
            left_index: HashTable::new(),
            left_indexed: 0,
            opened: false,
            tick: Tick::default(),
            due: 0,
        }
    }
}

impl<R: Hash + Eq + Clone> Queue<R> {
    /// Begins a tick.
    #[inline]
    pub fn open(&mut self, tick: Tick) {
        self.tick = tick;
        self.due = tick.now.saturating_add(tick.delay);
        if !self.opened {
            self.opened = true;
            for number in 0..self.slots.len() as u32 {
                if self.slots[number as usize].state == State::Held {
                    self.wait(number, 0, tick.delay);
                }
            }
        }
    }
    /// A row begins to hold.
    #[inline(always)]
    pub fn plus(&mut self, row: R) -> Handle {
        if !self.left.is_empty()
            && let Some(handle) = self.returned(&row)
        {
            return handle;
        }
        let state = if self.opened { State::Waits } else { State::Held };
        let due = self.due.saturating_add(self.tick.jitter(&row));
        let number = self.place(row, due, state);
        if self.opened {
            self.link(number, due);
        }
        Handle(number)
    }
    /// Takes over a row that waits until a given time, or has just fired.
    fn adopt(&mut self, row: R, waits: Option<u64>) -> Handle {
        let state = if waits.is_some() { State::Waits } else { State::Fired };
        let due = waits.unwrap_or_default();
        let number = self.place(row, due, state);
        match waits {
            Some(due) => self.link(number, due),
            None => self.fired.push(number),
        }
        Handle(number)
    }
    /// A slot for a row.
    #[inline(always)]
    fn place(&mut self, row: R, due: u64, state: State) -> u32 {
        match self.slots.get_mut(self.free as usize) {
            Some(slot) => {
                let number = std::mem::replace(&mut self.free, slot.after);
                (slot.row, slot.due, slot.state, slot.times) = (Some(row), due, state, 0);
                number
            }
            None => self.more(row, due, state),
        }
    }
    /// A slot of its own for a row, where none is free.
    #[inline(never)]
    fn more(&mut self, row: R, due: u64, state: State) -> u32 {
        let slot = Slot { row: Some(row), due, after: NONE, stamp: 0, state, leaving: false, times: 0 };
        self.slots.push(slot);
        self.slots.len() as u32 - 1
    }
    /// A row ceases to hold.
    #[inline]
    pub fn minus(&mut self, handle: Handle) {
        self.slots[handle.0 as usize].leaving = true;
        self.left.push(handle.0);
        if !self.opened {
            self.leave();
        }
    }
    /// A row ceases to hold, and none comes back before the tick ends.
    #[inline(always)]
    pub fn cease(&mut self, handle: Handle) {
        let slot = &mut self.slots[handle.0 as usize];
        slot.row = None;
        if std::mem::replace(&mut slot.state, State::Free) == State::Waits {
            self.unlink(handle.0);
        }
        self.release(handle.0);
    }
    /// Puts a slot to the free ones.
    #[inline(always)]
    fn release(&mut self, number: u32) {
        self.slots[number as usize].after = std::mem::replace(&mut self.free, number);
    }
    /// Takes a row back that left in this tick.
    #[inline(never)]
    fn returned(&mut self, row: &R) -> Option<Handle> {
        let slots = &self.slots;
        let is = |number: u32| {
            let slot = &slots[number as usize];
            slot.leaving && slot.row.as_ref() == Some(row)
        };
        let number = if self.left.len() <= 8 {
            self.left.iter().copied().find(|&number| is(number))?
        } else {
            let hash = |number: &u32| slots[*number as usize].row.as_ref().map_or(0, hash_of);
            for number in &self.left[self.left_indexed..] {
                self.left_index.insert_unique(hash(number), *number, hash);
            }
            self.left_indexed = self.left.len();
            *self.left_index.find(hash_of(row), |&number| is(number))?
        };
        self.slots[number as usize].leaving = false;
        Some(Handle(number))
    }

    /// Lets a slot wait, with so many doublings behind it.
    fn wait(&mut self, number: u32, times: u8, delay: u64) {
        let slot = &mut self.slots[number as usize];
        let jitter = slot.row.as_ref().map_or(0, |row| self.tick.jitter(row));
        let due = self.tick.now.saturating_add(delay).saturating_add(jitter);
        (slot.state, slot.times, slot.due) = (State::Waits, times, due);
        self.link(number, due);
    }
    #[inline(always)]
    fn link(&mut self, number: u32, due: u64) {
        if self.sorted || due < self.latest {
            self.link_sorted(number, due);
        } else {
            self.latest = due;
            self.listed += 1;
            self.list.push_back((number, self.slots[number as usize].stamp));
        }
    }
    /// Goes over from a list to a search tree, when a row is due before an earlier one.
    #[cold]
    fn link_sorted(&mut self, number: u32, due: u64) {
        self.sorted = true;
        for (number, stamp) in self.list.drain(..) {
            let slot = &self.slots[number as usize];
            if slot.stamp == stamp {
                self.by_due.insert((slot.due, number));
            }
        }
        (self.listed, self.latest) = (0, 0);
        self.by_due.insert((due, number));
    }
    #[inline(always)]
    fn unlink(&mut self, number: u32) {
        let slot = &mut self.slots[number as usize];
        if self.sorted {
            self.by_due.remove(&(slot.due, number));
            // An empty tree may be a list again: a clock that went back once costs nothing for ever.
            self.sorted = !self.by_due.is_empty();
            return;
        }
        slot.stamp = slot.stamp.wrapping_add(1);
        self.listed -= 1;
    }
    /// Throws out of the list what does not wait.
    #[cold]
    fn purge(&mut self) {
        let slots = &self.slots;
        self.list.retain(|&(number, stamp)| slots[number as usize].stamp == stamp);
    }
    /// The first of the list that waits.
    #[inline]
    fn first(&self) -> Option<u32> {
        let waits = |e: &&(u32, u32)| self.slots[e.0 as usize].stamp == e.1;
        self.list.iter().find(waits).map(|e| e.0)
    }

    /// When the next row is due.
    pub fn next_due(&self) -> Option<u64> {
        if self.sorted {
            return self.by_due.first().map(|e| e.0);
        }
        self.first().map(|first| self.slots[first as usize].due)
    }
    /// Fires the next row that is due.
    pub fn fire_next(&mut self, now: u64) -> Option<R> {
        let number = match self.sorted {
            true => self.by_due.first()?.1,
            false => self.first()?,
        };
        if self.slots[number as usize].due > now {
            return None;
        }
        self.fire(Handle(number));
        self.slots[number as usize].row.clone()
    }
    /// Fires one row, due or not; false if it does not wait.
    pub fn fire(&mut self, handle: Handle) -> bool {
        let number = handle.0;
        if self.slots[number as usize].state != State::Waits {
            return false;
        }
        self.unlink(number);
        self.slots[number as usize].state = State::Fired;
        self.fired.push(number);
        true
    }
    /// At the end of a tick: rows that left are gone, and fired rows that still hold wait anew with twice
    /// the delay, up to `most`; `None`: they rest for good.
    #[inline]
    pub fn rest(&mut self, most: Option<u64>) {
        if !self.left.is_empty() {
            self.leave();
        }
        while let Some(&(number, stamp)) = self.list.front()
            && self.slots[number as usize].stamp != stamp
        {
            self.list.pop_front();
        }
        if self.list.len() > 2 * self.listed + 64 {
            self.purge();
        }
        if self.list.is_empty() {
            self.latest = 0;
        }
        if !self.fired.is_empty() {
            self.again(most);
        }
    }
    /// Frees the slots of rows that left.
    fn leave(&mut self) {
        for at in 0..self.left.len() {
            let number = self.left[at];
            let slot = &mut self.slots[number as usize];
            if !slot.leaving {
                continue;
            }
            slot.leaving = false;
            slot.row = None;
            if std::mem::replace(&mut slot.state, State::Free) == State::Waits {
                self.unlink(number);
            }
            self.release(number);
        }
        self.left.clear();
        if self.left_indexed > 0 {
            self.left_index.clear();
            self.left_indexed = 0;
        }
    }
    fn again(&mut self, most: Option<u64>) {
        let mut fired = std::mem::take(&mut self.fired);
        for number in fired.drain(..) {
            let slot = &mut self.slots[number as usize];
            if slot.state != State::Fired {
                continue;
            }
            match most {
                Some(most) => {
                    let times = slot.times.saturating_add(1);
                    let delay = 1u64.checked_shl(times.into()).and_then(|by| self.tick.delay.checked_mul(by));
                    self.wait(number, times, delay.unwrap_or(u64::MAX).min(most));
                }
                None => slot.state = State::Spent,
            }
        }
        self.fired = fired;
    }
    /// All rows that wait, with their due times, in an order that means nothing.
    pub fn waiting(&self) -> impl Iterator<Item = (u64, &R)> {
        let waits = |slot: &&Slot<R>| slot.state == State::Waits;
        self.slots.iter().filter(waits).filter_map(|slot| Some((slot.due, slot.row.as_ref()?)))
    }
}

/// A queue whose rows are looked up.
#[derive(Clone, Debug)]
pub struct Timer<R> {
    queue: Queue<R>,
    rows: Map<R, Handle>,
}

impl<R> Default for Timer<R> {
    fn default() -> Self {
        Timer { queue: Queue::default(), rows: Map::default() }
    }
}

impl<R: Hash + Eq + Clone> Timer<R> {
    /// See [`Queue::open`].
    #[inline]
    pub fn open(&mut self, tick: Tick) {
        self.queue.open(tick);
    }
    /// A row begins to hold.
    #[inline]
    pub fn plus(&mut self, row: &R) {
        let handle = self.queue.plus(row.clone());
        self.rows.insert(row.clone(), handle);
    }
    /// A row ceases to hold.
    #[inline]
    pub fn minus(&mut self, row: &R) {
        if let Some(handle) = self.rows.remove(row) {
            self.queue.minus(handle);
        }
    }
    /// See [`Queue::next_due`].
    pub fn next_due(&self) -> Option<u64> {
        self.queue.next_due()
    }
    /// See [`Queue::fire_next`].
    pub fn fire_next(&mut self, now: u64) -> Option<R> {
        self.queue.fire_next(now)
    }
    /// Fires one row, due or not; false if it does not wait.
    pub fn fire(&mut self, row: &R) -> bool {
        self.rows.get(row).is_some_and(|handle| self.queue.fire(*handle))
    }
    /// See [`Queue::rest`].
    #[inline]
    pub fn rest(&mut self, most: Option<u64>) {
        self.queue.rest(most);
    }
    /// See [`Queue::waiting`].
    pub fn waiting(&self) -> impl Iterator<Item = (u64, &R)> {
        self.queue.waiting()
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
                assert!(twin.keys().all(|row| timer.rows.contains(row)));
            }
            assert!(timer.queue.slots.len() <= 50);
        }
    }
}
