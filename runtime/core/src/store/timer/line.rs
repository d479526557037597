//! A queue for rows that nearly all leave before they are due.

use super::{Handle, Queue, Tick};
use crate::store::map::Map;
use std::hash::Hash;

/// A row that waits, or waited.
#[derive(Clone, Debug)]
struct Place<R> {
    row: Option<R>,
    due: u64,
}

/// The rows of a timer without jitter, by handle, where a row that leaves does not come back in the same tick.
///
/// Rows are due in the order in which they come: they stand in line, and a handle is a row's number. One that leaves
/// leaves a gap, and the line begins behind its first gaps. What is out of order, fires, or waits much longer than
/// those behind it goes to a [`Queue`], which a map says by number.
#[derive(Clone, Debug)]
pub struct Line<R> {
    places: Vec<Place<R>>,
    /// All places before this one are gaps.
    head: usize,
    /// The number of the first place; numbers begin again when they are used up.
    first: u32,
    /// How many places are not gaps.
    held: usize,
    /// How many numbers from the next one on are surely not those of rows that are apart.
    unused: u32,
    /// Whether rows that come in this tick are due in order.
    in_order: bool,
    opened: bool,
    /// When they are due.
    due: u64,
    /// The greatest due time in the line, ever.
    latest: u64,
    apart: Queue<R>,
    moved: Map<u32, Handle>,
}

/// So many gaps are left alone.
const GAPS: usize = 256;

impl<R> Default for Line<R> {
    fn default() -> Self {
        Line {
            places: Vec::new(),
            head: 0,
            first: 0,
            held: 0,
            unused: u32::MAX,
            in_order: false,
            opened: false,
            due: 0,
            latest: 0,
            apart: Queue::default(),
            moved: Map::default(),
        }
    }
}

impl<R: Hash + Eq + Clone> Line<R> {
    /// See [`Queue::open`].
    #[inline]
    pub fn open(&mut self, tick: Tick) {
        debug_assert!(tick.jitter == 0, "jitter does not keep the order");
        self.opened = true;
        self.due = tick.now.saturating_add(tick.delay);
        self.in_order = self.due >= self.latest;
        self.latest = self.latest.max(self.due);
        self.apart.open(tick);
    }
    /// A row begins to hold.
    #[inline(always)]
    pub fn plus(&mut self, row: R) -> Handle {
        if self.unused == 0 {
            self.skip();
        }
        self.unused -= 1;
        let number = self.first.wrapping_add(self.places.len() as u32);
        if self.in_order {
            self.places.push(Place { row: Some(row), due: self.due });
            self.held += 1;
        } else {
            self.stand_apart(number, row);
        }
        Handle(number)
    }
    /// Passes over numbers of rows that are apart.
    #[cold]
    fn skip(&mut self) {
        loop {
            let next = self.first.wrapping_add(self.places.len() as u32);
            let free = self.moved.iter().map(|(number, _)| number.wrapping_sub(next)).min();
            self.unused = free.unwrap_or(u32::MAX);
            if self.unused > 0 {
                return;
            }
            self.gap();
        }
    }
    fn gap(&mut self) {
        self.places.push(Place { row: None, due: self.due });
    }
    #[cold]
    fn stand_apart(&mut self, number: u32, row: R) {
        self.gap();
        let handle = self.apart.plus(row);
        self.moved.insert(number, handle);
    }
    #[inline(always)]
    fn place(&mut self, handle: Handle) -> Option<&mut Place<R>> {
        let at = handle.0.wrapping_sub(self.first) as usize;
        self.places.get_mut(at)
    }
    /// A row ceases to hold, and none comes back before the tick ends.
    #[inline(always)]
    pub fn cease(&mut self, handle: Handle) {
        if let Some(place) = self.place(handle)
            && place.row.is_some()
        {
            place.row = None;
            self.held -= 1;
        } else {
            self.cease_apart(handle);
        }
    }
    #[inline(never)]
    fn cease_apart(&mut self, handle: Handle) {
        if let Some(apart) = self.moved.remove(&handle.0) {
            self.apart.cease(apart);
        }
    }
    /// The first in line.
    #[inline]
    fn front(&self) -> Option<usize> {
        (self.head..self.places.len()).find(|&at| self.places[at].row.is_some())
    }
    /// See [`Queue::next_due`].
    pub fn next_due(&self) -> Option<u64> {
        let front = self.front().map(|at| self.places[at].due);
        front.into_iter().chain(self.apart.next_due()).min()
    }
    /// See [`Queue::fire_next`].
    pub fn fire_next(&mut self, now: u64) -> Option<R> {
        self.pass_gaps();
        let front = self.front();
        let due = front.map(|at| self.places[at].due);
        if due.is_none_or(|due| self.apart.next_due().is_some_and(|other| other < due)) {
            return self.apart.fire_next(now);
        }
        if due.is_none_or(|due| due > now) {
            return None;
        }
        self.fire_at(front?)
    }
    fn fire_at(&mut self, at: usize) -> Option<R> {
        let row = self.places[at].row.take()?;
        self.held -= 1;
        let handle = self.apart.adopt(row.clone(), None);
        self.moved.insert(self.first.wrapping_add(at as u32), handle);
        Some(row)
    }
    /// Fires one row, due or not; false if it does not wait.
    pub fn fire(&mut self, handle: Handle) -> bool {
        let at = handle.0.wrapping_sub(self.first) as usize;
        if self.places.get(at).is_some_and(|place| place.row.is_some()) {
            return self.fire_at(at).is_some();
        }
        let apart = self.moved.get(&handle.0).copied();
        apart.is_some_and(|apart| self.apart.fire(apart))
    }
    /// See [`Queue::rest`].
    #[inline]
    pub fn rest(&mut self, most: Option<u64>) {
        self.pass_gaps();
        if self.head * 2 > self.places.len() {
            self.close_up();
        }
        if self.places.is_empty() {
            self.latest = 0;
        }
        if self.places.len() - self.head > 2 * self.held + GAPS {
            self.thin_out();
        }
        self.apart.rest(most);
    }
    #[inline]
    fn pass_gaps(&mut self) {
        while let Some(place) = self.places.get(self.head)
            && place.row.is_none()
        {
            self.head += 1;
        }
    }
    /// Gives the places before the first row up.
    fn close_up(&mut self) {
        self.places.drain(..self.head);
        self.first = self.first.wrapping_add(self.head as u32);
        self.head = 0;
    }
    /// The gaps are behind rows that wait much longer: those stand apart.
    #[cold]
    fn thin_out(&mut self) {
        while self.places.len() - self.head > 2 * self.held + GAPS / 2 {
            let place = &mut self.places[self.head];
            if let Some(row) = place.row.take() {
                self.held -= 1;
                let handle = self.apart.adopt(row, Some(place.due));
                self.moved.insert(self.first.wrapping_add(self.head as u32), handle);
            }
            self.head += 1;
        }
        self.close_up();
    }
    /// All rows that wait, with their due times, in an order that means nothing.
    pub fn waiting(&self) -> impl Iterator<Item = (u64, &R)> {
        let line = self.places[self.head..].iter();
        line.filter_map(|place| Some((place.due, place.row.as_ref()?))).chain(self.apart.waiting())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Dice;
    use std::collections::BTreeMap;

    /// A row's handle; when it is due, and after which delay; `None` if it has fired for good.
    type Twin = BTreeMap<(u64,), (Handle, Option<(u64, u64)>)>;

    #[test]
    fn rows_fire_when_due_and_only_while_they_hold() {
        // Rows that stay and rows that go soon, numbers that are used up, a clock that goes back, rows from before.
        for (seed, first, back) in [(1, 0, false), (2, u32::MAX - 900, false), (3, 5, true)] {
            let mut dice = Dice::new(seed);
            let mut line = Line::<(u64,)> { first, ..Line::default() };
            let mut twin = Twin::new();
            for row in 0..4 {
                twin.insert((row,), (line.plus((row,)), Some((20, 20))));
            }
            let mut now = 0;
            for step in 0..20_000 {
                now = match () {
                    _ if step == 0 => 0,
                    _ if back && dice.below(50) == 0 => now - now.min(9),
                    _ => now + dice.below(2),
                };
                let tick = Tick { now, delay: 20, jitter: 0, seed: step };
                line.open(tick);
                assert_eq!(line.next_due(), twin.values().filter_map(|t| t.1).map(|w| w.0).min());
                let mut fired = BTreeMap::new();
                while let Some(row) = line.fire_next(now) {
                    let (due, delay) = twin.get_mut(&row).and_then(|t| t.1.take()).expect("it waits");
                    assert!(due <= now);
                    fired.insert(row, delay);
                }
                assert!(twin.values().filter_map(|t| t.1).all(|w| w.0 > now));
                for _ in 0..dice.below(4) {
                    let row = (dice.below(60),);
                    match twin.get_mut(&row) {
                        None => {
                            let handle = line.plus(row);
                            twin.insert(row, (handle, Some((now + 20, 20))));
                        }
                        // A few stay.
                        Some(_) if row.0 < 4 && dice.below(40) > 0 => {}
                        Some((handle, waits)) if dice.below(9) == 0 => {
                            assert_eq!(line.fire(*handle), waits.is_some());
                            if let Some((_, delay)) = waits.take() {
                                fired.insert(row, delay);
                            }
                        }
                        Some((handle, _)) => {
                            line.cease(*handle);
                            twin.remove(&row);
                            fired.remove(&row);
                        }
                    }
                }
                let most = (seed < 3).then_some(80);
                line.rest(most);
                for (row, delay) in fired {
                    let delay = (2 * delay).min(80);
                    let waits = most.map(|_| (now + delay, delay));
                    twin.get_mut(&row).expect("it holds").1 = waits;
                }
                let mut waiting: Vec<_> = line.waiting().map(|(due, row)| (*row, due)).collect();
                waiting.sort_unstable();
                let expected = twin.iter().filter_map(|(row, t)| Some((*row, t.1?.0)));
                assert!(waiting.into_iter().eq(expected));
            }
            assert!(line.places.len() < 1000, "{}", line.places.len());
        }
    }

    #[test]
    fn rows_that_stay_do_not_keep_those_that_go() {
        let mut line = Line::<(u64,)>::default();
        line.open(Tick { now: 1, delay: 1_000_000, jitter: 0, seed: 0 });
        let stays = line.plus((0,));
        for row in 1..100_000 {
            line.open(Tick { now: row, delay: 1_000_000, jitter: 0, seed: 0 });
            let handle = line.plus((row,));
            line.cease(handle);
            line.rest(None);
            assert!(line.places.len() < 3 * GAPS);
        }
        assert_eq!(line.next_due(), Some(1_000_001));
        assert!(line.fire(stays));
        assert_eq!(line.waiting().count(), 0);
    }
}
