//! One hash for all states that differ in names only.
//!
//! Each atom (an instance of a symmetric role, an id) gets a signature from where it stands, with all other
//! atoms masked; atoms are numbered in order of their signatures, ties in order of discovery; and the state is
//! hashed under these numbers. Any numbering is sound, since equal numbered states are renamings of each
//! other; signatures make it likely that renamings get equal numbers. Parts of nodes' states are hashed once per
//! numbering of the atoms in them.

use crate::world::intern::{Atom, mix};
use crate::world::{State, World};
use rustc_hash::FxHashMap;

/// Two words of hash.
type Lanes = (u64, u64);

/// What is known of a node's state.
struct Shape {
    /// The atoms in it, with their signatures.
    atoms: Vec<(u32, u64)>,
    /// Signature of the whole, atoms masked but for the node's own.
    whole: u64,
}

/// What is remembered from state to state.
#[derive(Default)]
pub struct Canon {
    shapes: FxHashMap<u32, Shape>,
    messages: FxHashMap<u32, Vec<(u32, u64)>>,
    hashed: FxHashMap<(u32, Vec<u32>), Lanes>,
    own: Vec<Option<u32>>,
    words: Vec<u32>,
    signatures: Vec<(u32, u64)>,
    labels: FxHashMap<u32, u32>,
}

/// A plain hash of a state.
pub fn plain(state: &State, words: &mut Vec<u32>) -> u128 {
    state.words(words);
    let (mut a, mut b) = (0x51_7c_c1_b7_27_22_0a_95u64, 0x9e_37_79_b9_7f_4a_7c_15u64);
    for word in words {
        a = mix(a, u64::from(*word));
        b = (b.rotate_left(5) ^ u64::from(*word)).wrapping_mul(0x2545_f491_4f6c_dd1d);
    }
    u128::from(mix(b, a)) << 64 | u128::from(a)
}

impl Canon {
    /// The hash of a state and of all its renamings that are recognised.
    pub fn hash(&mut self, world: &mut World, state: &State) -> u128 {
        if !world.facts.renames() {
            return plain(state, &mut self.words);
        }
        if self.own.is_empty() {
            for node in 0..world.seats.len() {
                let seat = world.seats[node];
                self.own.push(world.facts.instance(seat.role, seat.instance));
            }
        }
        self.number(world, state);
        let label = |atom: &u32| self.labels[atom];
        let place = |node: usize| -> u64 {
            match self.own[node] {
                Some(atom) => mix(u64::from(world.seats[node].role) << 32 | 1 << 63, u64::from(label(&atom))),
                None => node as u64,
            }
        };
        let mut sum: Lanes = (0, 0);
        for (node, local) in state.locals.iter().enumerate() {
            let shape = &self.shapes[local];
            let labels: Vec<u32> = shape.atoms.iter().map(|(atom, _)| label(atom)).collect();
            let key = (*local, labels);
            let lanes = match self.hashed.get(&key) {
                Some(lanes) => *lanes,
                None => {
                    let lanes = local_hash(world, *local, &self.labels);
                    self.hashed.insert(key, lanes);
                    lanes
                }
            };
            let at = place(node);
            sum.0 = sum.0.wrapping_add(mix(lanes.0, at));
            sum.1 = sum.1.wrapping_add(mix(lanes.1, !at));
        }
        for flight in &state.net {
            let message = world.messages.get(flight.message);
            let fact = world.facts.get(message.fact);
            let end = |n: u32| if (n as usize) < self.own.len() { place(n as usize) } else { u64::from(n) };
            let mut hash = mix(mix(fact.shape, end(message.from)), end(message.to));
            hash = mix(hash, u64::from(flight.risk));
            for atom in &fact.atoms {
                hash = mix(hash, u64::from(label(atom)));
            }
            sum.0 = sum.0.wrapping_add(mix(hash, 11));
            sum.1 = sum.1.wrapping_add(mix(hash, 13));
        }
        let (mut a, mut b) = sum;
        let mut feed = |word: u64| {
            a = mix(a, word);
            b = mix(b, !word);
        };
        for client in &state.clients {
            feed(u64::from(client.op) << 1 | u64::from(client.doubt));
            feed(client.taken);
            feed(u64::from(client.repeats));
        }
        state.spent.iter().for_each(|n| feed(u64::from(*n)));
        feed(u64::from(state.crashes) << 32 | u64::from(state.firings));
        feed(u64::from(state.history));
        u128::from(a) << 64 | u128::from(b)
    }

    /// Numbers the atoms of a state.
    fn number(&mut self, world: &mut World, state: &State) {
        self.signatures.clear();
        for (node, local) in state.locals.iter().enumerate() {
            let own = self.own[node];
            let shape = self.shapes.entry(*local).or_insert_with(|| shape(world, *local, own));
            let place = match own {
                Some(_) => 1 << 63 | u64::from(world.seats[node].role),
                None => node as u64,
            };
            self.signatures.extend(shape.atoms.iter().map(|(atom, s)| (*atom, mix(*s, place))));
            self.signatures.extend(own.map(|own| (own, mix(shape.whole, place))));
        }
        for flight in &state.net {
            let all = self
                .messages
                .entry(flight.message)
                .or_insert_with(|| message_shape(world, flight.message, &self.own));
            self.signatures.extend(all.iter().map(|(atom, s)| (*atom, mix(*s, u64::from(flight.risk)))));
        }
        self.signatures.sort_unstable_by_key(|(atom, _)| *atom);
        // One signature per atom: the sum over the places where it stands.
        let mut atoms: Vec<(bool, u64, u32)> = Vec::new();
        for (atom, signature) in &self.signatures {
            match atoms.last_mut() {
                Some(last) if last.2 == *atom => last.1 = last.1.wrapping_add(*signature),
                _ => {
                    let id = matches!(world.facts.atoms.get(*atom), Atom::Id(_));
                    atoms.push((id, *signature, *atom));
                }
            }
        }
        // Instances of different families must not mix: their kind is part of the label below.
        atoms.sort_unstable();
        self.labels.clear();
        for (rank, (_, _, atom)) in atoms.iter().enumerate() {
            let label = if world.facts.pinned.contains(atom) {
                1 << 31 | *atom
            } else {
                let kind = match world.facts.atoms.get(*atom) {
                    Atom::Instance(family, _) => u32::from(*family) + 1,
                    Atom::Id(_) => 0,
                };
                kind << 16 | rank as u32
            };
            self.labels.insert(*atom, label);
        }
    }
}

/// Marks of atoms in a signature.
const OTHER: u64 = 1;
const SELF: u64 = 2;
const THIS: u64 = 3;

fn shape(world: &World, local: u32, own: Option<u32>) -> Shape {
    let key = world.locals.key(local);
    let mut atoms: Vec<u32> = Vec::new();
    for fact in key.rows.iter().chain(&key.waiting) {
        atoms.extend(&world.facts.get(*fact).atoms);
    }
    atoms.sort_unstable();
    atoms.dedup();
    let sign = |this: Option<u32>| {
        let mut sum = 0u64;
        for (tag, facts) in [(1, &key.rows), (2, &key.waiting)] {
            for fact in facts.iter().map(|f| world.facts.get(*f)) {
                if this.is_some_and(|atom| !fact.atoms.contains(&atom)) {
                    continue;
                }
                let mut hash = mix(fact.shape, tag);
                for atom in &fact.atoms {
                    let mark = match atom {
                        a if Some(*a) == this => THIS,
                        a if Some(*a) == own => SELF,
                        _ => OTHER,
                    };
                    hash = mix(hash, mark);
                }
                sum = sum.wrapping_add(hash);
            }
        }
        sum
    };
    let whole = mix(sign(None), key.rest());
    let atoms = atoms.into_iter().map(|atom| (atom, sign(Some(atom)))).collect();
    Shape { atoms, whole }
}

fn message_shape(world: &World, message: u32, own: &[Option<u32>]) -> Vec<(u32, u64)> {
    let message = world.messages.get(message);
    let fact = world.facts.get(message.fact);
    let of = |n: u32| own.get(n as usize).copied().flatten();
    let mut atoms: Vec<u32> =
        fact.atoms.iter().copied().chain(of(message.from)).chain(of(message.to)).collect();
    atoms.sort_unstable();
    atoms.dedup();
    let sign = |this: u32| {
        let end = |n: u32| match of(n) {
            Some(atom) if atom == this => 1 << 33,
            Some(_) => 1 << 34 | u64::from(world.seats[n as usize].role),
            None => u64::from(n),
        };
        let mut hash = mix(mix(mix(fact.shape, 3), end(message.from)), end(message.to));
        for atom in &fact.atoms {
            hash = mix(hash, if *atom == this { THIS } else { OTHER });
        }
        hash
    };
    atoms.into_iter().map(|atom| (atom, sign(atom))).collect()
}

fn local_hash(world: &World, local: u32, labels: &FxHashMap<u32, u32>) -> Lanes {
    let key = world.locals.key(local);
    let rest = key.rest();
    let mut sum: Lanes = (rest, mix(rest, 5));
    for (tag, facts) in [(1, &key.rows), (2, &key.waiting)] {
        for fact in facts.iter().map(|f| world.facts.get(*f)) {
            let mut lanes = (mix(fact.shape, tag), mix(fact.shape, tag + 16));
            for atom in &fact.atoms {
                let label = u64::from(labels[atom]);
                lanes = (mix(lanes.0, label), mix(lanes.1, label));
            }
            sum = (sum.0.wrapping_add(lanes.0), sum.1.wrapping_add(lanes.1));
        }
    }
    sum
}
