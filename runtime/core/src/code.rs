//! What generated code calls, besides the containers of [`store`](crate::store).
//!
//! Public because generated code lives in users' crates; not meant to be called by hand.

use crate::data::Bytes;
use crate::data::{Address, Data, StableHasher};
use crate::id::{Id, Req};
use crate::node::{Answer, Batch, Broken, Ids, Layout, NodeIndex, Outbox, Protocol, Reply, Setup};
use crate::store::map::{Table, hash_of};
use crate::value::Value;
use crate::wire::{Reader, WireError, put_varint};
use hashbrown::HashTable;
use std::collections::BTreeMap;
use std::hash::Hash;
use std::marker::PhantomData;

/// A role as a value: `participant.len()`.
#[derive(Clone, Copy, Debug)]
pub struct Instances<A> {
    count: u32,
    partitions: u32,
    address: PhantomData<A>,
}

impl<A: Address> Instances<A> {
    /// A role of so many instances.
    pub fn new(count: u32) -> Instances<A> {
        Instances { count, partitions: 1, address: PhantomData }
    }
    /// A role in a layout, by number: a part has the address type of its whole.
    pub fn of_layout(layout: &Layout, role: u16) -> Instances<A> {
        let size = layout.roles[usize::from(role)];
        Instances { count: size.instances, partitions: size.partitions, address: PhantomData }
    }
    /// The number of partitions of each instance.
    #[inline]
    pub fn partitions(self) -> u64 {
        u64::from(self.partitions)
    }
    /// The number of instances.
    #[inline]
    pub fn len(self) -> u64 {
        u64::from(self.count)
    }
    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.count == 0
    }
    /// The least number of instances that is more than half of them.
    #[inline]
    pub fn majority(self) -> u64 {
        u64::from(self.count) / 2 + 1
    }
    /// The instance with a number, counted round.
    #[inline]
    pub fn at(self, index: u64) -> A {
        A::from_index((index % u64::from(self.count.max(1))) as u32)
    }
    /// The instance that a key belongs to: the one that clients choose too.
    #[inline]
    pub fn of<K: Data>(self, key: K) -> A {
        self.at(u64::from(key.route()))
    }
    /// The partition of an instance that takes what is routed by a key.
    #[inline]
    pub fn partition_of<K: Data>(self, key: K) -> u64 {
        u64::from(key.route()) % u64::from(self.partitions.max(1))
    }
    /// The next instance, counted round.
    #[inline]
    pub fn after(self, address: A) -> A {
        self.at(u64::from(address.to_index()) + 1)
    }
    /// All instances.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = A> + use<A> {
        (0..self.count).map(A::from_index)
    }
    /// Whether there is such an instance.
    #[inline]
    pub fn contains(self, address: A) -> bool {
        address.to_index() < self.count
    }
}

/// Where messages to a role go.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    first: u32,
    instances: u32,
    partitions: u32,
}

impl Route {
    /// The nodes of a role.
    pub fn new(layout: &Layout, role: u16) -> Route {
        let size = layout.roles[usize::from(role)];
        Route { first: layout.first(role), instances: size.instances, partitions: size.partitions }
    }
    /// The node of an instance; `None` if there is no such instance.
    #[inline]
    pub fn node(self, instance: u32) -> Option<NodeIndex> {
        (instance < self.instances).then(|| NodeIndex(self.first + instance * self.partitions))
    }
    /// The node of an instance that takes what routes by a value ([`Data::route`] or a partition's number).
    #[inline]
    pub fn partition(self, instance: u32, by: u64) -> Option<NodeIndex> {
        self.node(instance).map(|first| NodeIndex(first.0 + (by % u64::from(self.partitions.max(1))) as u32))
    }
    /// All nodes of an instance.
    #[inline]
    pub fn nodes(self, instance: u32) -> impl Iterator<Item = NodeIndex> + use<> {
        let all = self.node(instance).map_or(0..0, |first| first.0..first.0 + self.partitions);
        all.map(NodeIndex)
    }
    /// The number of instances.
    #[inline]
    pub fn instances(self) -> u32 {
        self.instances
    }
}

#[inline]
fn open(out: &mut Outbox, to: NodeIndex) -> &mut Batch {
    if out.late.touches(to.0) {
        finish(out);
    }
    open_anyway(out, to)
}

#[inline]
fn open_anyway(out: &mut Outbox, to: NodeIndex) -> &mut Batch {
    let at = to.0 as usize;
    if at >= out.batches.len() {
        out.batches.resize_with(at + 1, Batch::default);
    }
    let batch = &mut out.batches[at];
    if batch.ends.is_empty() {
        out.dirty.push(to);
    }
    batch
}

/// Messages of one kind that were sent in a tick, where two rules might send the same one: only once a second rule
/// sends, or one that may repeat itself, are they compared.
#[derive(Clone, Debug)]
pub struct Sent<R> {
    /// Receiver (`ALL` for everyone) and row.
    rows: Vec<(u32, R)>,
    index: HashTable<(u32, R)>,
    indexed: usize,
    only: Option<u32>,
    instances: u32,
}

const ALL: u32 = u32::MAX;

impl<R> Default for Sent<R> {
    fn default() -> Self {
        Sent { rows: Vec::new(), index: HashTable::new(), indexed: 0, only: None, instances: 0 }
    }
}

impl<R: Hash + Eq + Clone> Sent<R> {
    /// Whether a message to one instance is the first of its kind. `distinct`: the rule by itself repeats none.
    #[inline]
    pub fn first(&mut self, rule: u32, distinct: bool, to: u32, row: R) -> bool {
        if self.only(rule, distinct) {
            self.rows.push((to, row));
            return true;
        }
        self.catch_up();
        self.note(to, row)
    }
    /// Whether a message to everyone is new to everyone. If not, ask for each.
    #[inline]
    pub fn first_to_all(&mut self, rule: u32, distinct: bool, instances: u32, row: &R) -> bool {
        self.instances = instances;
        let alone = self.only(rule, distinct);
        if alone {
            self.rows.push((ALL, row.clone()));
        }
        alone
    }
    fn only(&mut self, rule: u32, distinct: bool) -> bool {
        if !distinct {
            self.only = None;
            return false;
        }
        if self.rows.is_empty() && self.indexed == 0 {
            self.only = Some(rule);
        }
        self.only == Some(rule)
    }
    fn note(&mut self, to: u32, row: R) -> bool {
        use hashbrown::hash_table::Entry;
        let entry = (to, row);
        match self.index.entry(hash_of(&entry), |e| *e == entry, hash_of) {
            Entry::Occupied(_) => false,
            Entry::Vacant(gap) => {
                gap.insert(entry);
                self.indexed += 1;
                true
            }
        }
    }
    fn catch_up(&mut self) {
        self.only = None;
        for (to, row) in std::mem::take(&mut self.rows) {
            let to = if to == ALL { 0..self.instances } else { to..to + 1 };
            to.for_each(|to| {
                self.note(to, row.clone());
            });
        }
    }
    /// Whether nothing was sent.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.indexed == 0
    }
    /// Forgets all, keeping memory.
    #[inline]
    pub fn clear(&mut self) {
        self.rows.clear();
        if self.indexed > 0 {
            self.index.clear();
            self.indexed = 0;
        }
        self.only = None;
    }
}

/// Sends one message; an instance that does not exist loses it.
#[inline]
pub fn send(out: &mut Outbox, route: Route, instance: u32, encode: impl FnOnce(&mut Vec<u8>)) {
    let Some(to) = route.node(instance) else { return };
    let batch = open(out, to);
    encode(&mut batch.bytes);
    batch.ends.push(batch.bytes.len() as u32);
}

/// Sends one message to the partition of an instance that a value chooses.
#[inline]
pub fn send_routed(
    out: &mut Outbox,
    route: Route,
    instance: u32,
    by: u64,
    encode: impl FnOnce(&mut Vec<u8>),
) {
    if let Some(to) = route.partition(instance, by) {
        let batch = open(out, to);
        encode(&mut batch.bytes);
        batch.ends.push(batch.bytes.len() as u32);
    }
}

/// Sends one message to all partitions of an instance; it is encoded once.
#[inline]
pub fn send_every(out: &mut Outbox, route: Route, instance: u32, encode: impl FnOnce(&mut Vec<u8>)) {
    if let Some(first) = route.node(instance) {
        copy(out, Nodes { first: first.0, count: route.partitions, step: 1 }, encode);
    }
}

/// Sends one message to all instances; it is encoded once.
#[inline]
pub fn broadcast(out: &mut Outbox, route: Route, encode: impl FnOnce(&mut Vec<u8>)) {
    copy(out, Nodes { first: route.first, count: route.instances, step: route.partitions }, encode);
}

/// The same to the partition of each instance that a value chooses.
#[inline]
pub fn broadcast_routed(out: &mut Outbox, route: Route, by: u64, encode: impl FnOnce(&mut Vec<u8>)) {
    if let Some(first) = route.partition(0, by) {
        copy(out, Nodes { first: first.0, count: route.instances, step: route.partitions }, encode);
    }
}

/// The same to all partitions of all instances.
#[inline]
pub fn broadcast_every(out: &mut Outbox, route: Route, encode: impl FnOnce(&mut Vec<u8>)) {
    copy(out, Nodes { first: route.first, count: route.instances * route.partitions, step: 1 }, encode);
}

/// Nodes with numbers at equal distances.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Nodes {
    first: u32,
    count: u32,
    step: u32,
}

/// Messages to several nodes that stand in the first one's batch only, as yet: the last ones there. Those of a whole
/// run are copied at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Late {
    to: Nodes,
    /// Where they begin in the batch.
    bytes: usize,
    ends: usize,
}

impl Late {
    /// Whether a node's batch is one of those.
    #[inline]
    fn touches(&self, node: u32) -> bool {
        self.to.count > 0 && node.wrapping_sub(self.to.first) < self.to.count * self.to.step
    }
}

/// Sends one message to nodes; it is encoded once.
#[inline]
fn copy(out: &mut Outbox, to: Nodes, encode: impl FnOnce(&mut Vec<u8>)) {
    if to.count == 0 {
        return;
    }
    if out.late.to != to {
        finish(out);
        let batch = out.batches.get(to.first as usize);
        let (bytes, ends) = batch.map_or((0, 0), |batch| (batch.bytes.len(), batch.ends.len()));
        out.late = Late { to, bytes, ends };
    }
    let batch = open_anyway(out, NodeIndex(to.first));
    encode(&mut batch.bytes);
    batch.ends.push(batch.bytes.len() as u32);
}

/// Begins a tick's output.
#[inline]
pub fn begin(out: &mut Outbox) {
    out.late = Late::default();
}

/// Ends a tick's output: copies what is still to be copied.
pub fn finish(out: &mut Outbox) {
    let Late { to, bytes, ends } = std::mem::take(&mut out.late);
    for number in 1..to.count {
        let node = to.first + number * to.step;
        open_anyway(out, NodeIndex(node));
        let (low, high) = out.batches.split_at_mut(node as usize);
        let (from, batch) = (&low[to.first as usize], &mut high[0]);
        let start = batch.bytes.len();
        batch.bytes.extend_from_slice(&from.bytes[bytes..]);
        batch.ends.extend(from.ends[ends..].iter().map(|end| (*end as usize - bytes + start) as u32));
    }
}

/// Answers of a tick. Those that are long are encoded one behind the other, so that a tick allocates once for all
/// of them.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    bytes: Vec<u8>,
    /// Of an answer without its bytes: its place among the tick's output, and where they begin and end.
    open: Vec<(usize, usize, usize)>,
}

impl Answers {
    /// Gives a reply.
    #[inline]
    pub fn reply(&mut self, out: &mut Outbox, req: Req, request: u16, encode: impl FnOnce(&mut Vec<u8>)) {
        let bytes = self.encode(out, encode);
        out.replies.push(Reply { req, request, answer: Answer::Reply(bytes) });
    }
    /// Refuses.
    #[inline]
    pub fn refuse(&mut self, out: &mut Outbox, req: Req, request: u16, encode: impl FnOnce(&mut Vec<u8>)) {
        let bytes = self.encode(out, encode);
        out.replies.push(Reply { req, request, answer: Answer::Refuse(bytes) });
    }
    /// The bytes of the next answer, if they are there at once.
    #[inline]
    fn encode(&mut self, out: &Outbox, encode: impl FnOnce(&mut Vec<u8>)) -> Bytes {
        let start = self.bytes.len();
        encode(&mut self.bytes);
        if self.bytes.len() - start <= Bytes::IN_PLACE {
            let short = Bytes::copy_from_slice(&self.bytes[start..]);
            self.bytes.truncate(start);
            return short;
        }
        self.open.push((out.replies.len(), start, self.bytes.len()));
        Bytes::new()
    }
    /// Gives all answers their bytes.
    #[inline]
    pub fn finish(&mut self, out: &mut Outbox) {
        if !self.open.is_empty() {
            self.complete(out);
        }
    }
    fn complete(&mut self, out: &mut Outbox) {
        let whole = Bytes::copy_from_slice(&self.bytes);
        for (at, start, end) in self.open.drain(..) {
            match &mut out.replies[at].answer {
                Answer::Reply(bytes) | Answer::Refuse(bytes) => *bytes = whole.slice_ref(&whole[start..end]),
                Answer::Redirect(_) => unreachable!("it has no bytes"),
            }
        }
        self.bytes.clear();
    }
}

/// Points a client to another instance.
#[inline]
pub fn redirect(out: &mut Outbox, req: Req, request: u16, instance: u32) {
    out.replies.push(Reply { req, request, answer: Answer::Redirect(instance) });
}

/// Two rows for one key.
#[cold]
pub fn conflict(relation: &str, key: &dyn std::fmt::Debug, rules: &[&str]) -> Broken {
    let message = match rules {
        [] => format!("two rows of `{relation}` for the key {key:?}"),
        _ => format!("two rows of `{relation}` for the key {key:?}, by the rules at {}", rules.join(" and ")),
    };
    Broken { message }
}

/// A rule gives another row for a key that has one.
#[cold]
pub fn conflict_at(relation: &str, key: &dyn std::fmt::Debug, rule: &str, rules: &[&str]) -> Broken {
    let others: Vec<&str> = rules.iter().copied().filter(|r| *r != rule).collect();
    let mut message = format!("the rule at {rule} gives `{relation}` another row for the key {key:?}");
    if !others.is_empty() {
        message += &format!("; it is written at {} too", others.join(" and "));
    }
    Broken { message }
}

/// The position of a row whose key an earlier, different row has.
pub fn find_conflict<'a, R: Eq, K: Hash + Eq>(rows: &'a [R], key: impl Fn(&'a R) -> K) -> Option<usize> {
    if rows.len() < 2 {
        return None;
    }
    let mut index: HashTable<usize> = HashTable::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        let hash = hash_of(&key(row));
        match index.find(hash, |&i| key(&rows[i]) == key(row)) {
            Some(&i) if rows[i] != *row => return Some(at),
            Some(_) => {}
            None => drop(index.insert_unique(hash, at, |&i| hash_of(&key(&rows[i])))),
        }
    }
    None
}

/// A set of rows.
pub fn table<R: Hash + Eq + Clone>(rows: impl Iterator<Item = R>) -> Table<R> {
    let mut table = Table::default();
    rows.for_each(|row| {
        table.insert(row, ());
    });
    table
}

/// A duration in a timer.
pub fn millis(duration: &std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The items of an erased row of `n` columns.
pub fn items(row: &Value, n: usize) -> Option<&[Value]> {
    match row {
        Value::Tuple(items) if items.len() == n => Some(items),
        Value::Unit if n == 0 => Some(&[]),
        _ => None,
    }
}

/// Hash over the canonical text and the shapes of all types in it.
pub fn fingerprint(protocol: &dyn Protocol) -> u64 {
    let mut hasher = StableHasher::new(1);
    let mut feed = |text: &str| hasher.bytes(text.as_bytes());
    feed(protocol.text());
    for r in protocol.requests() {
        feed(&format!("{} {:?} {:?} {:?}", r.name, r.args, r.reply, r.error));
    }
    for m in protocol.messages() {
        feed(&format!("{} {:?}", m.name, m.columns));
    }
    for p in protocol.params() {
        feed(&format!("{} {:?}", p.name, p.schema));
    }
    for t in protocol.tables() {
        feed(&format!("{} {:?}", t.name, t.columns));
    }
    hasher.finish()
}

/// Reports parameters that the protocol does not have.
pub fn check_names(params: &BTreeMap<String, Value>, names: &[&str], problems: &mut Vec<String>) {
    for name in params.keys().filter(|n| !names.contains(&&***n)) {
        problems.push(format!("the protocol has no parameter `{name}`"));
    }
}

/// Draws ids.
#[derive(Clone, Debug)]
pub struct Minter {
    node: u32,
    incarnation: u64,
    /// The tick's number within the incarnation, from 0.
    pub tick: u64,
    counter: u64,
    ids: Ids,
    /// The tick's seed.
    seed: u64,
    /// Ids of this tick by a stable hash of place and binding, where a binding may come up again.
    drawn: BTreeMap<u64, u64>,
}

impl Minter {
    /// For a node.
    pub fn new(setup: &Setup) -> Minter {
        let node = setup.layout.index(setup.seat).0;
        Minter {
            node,
            incarnation: setup.incarnation,
            tick: 0,
            counter: 0,
            ids: setup.ids,
            seed: 0,
            drawn: BTreeMap::new(),
        }
    }
    /// `unique()` at a hole of an expression for one binding; `route` is that of the driving event.
    #[inline]
    pub fn unique(
        &mut self,
        leaf: u32,
        hole: u64,
        route: u32,
        binding: impl FnOnce(&mut StableHasher),
    ) -> Id {
        let serial = match self.ids {
            Ids::Counted => {
                self.counter += 1;
                self.incarnation << 40 | self.counter
            }
            Ids::Hashed => {
                let mut hasher = StableHasher::new(self.incarnation);
                hasher.word(self.tick);
                hasher.word(u64::from(leaf));
                hasher.word(hole);
                binding(&mut hasher);
                hasher.finish()
            }
            Ids::Seeded => {
                let mut hasher = StableHasher::new(self.seed);
                hasher.word(0);
                hasher.word(u64::from(leaf));
                hasher.word(hole);
                binding(&mut hasher);
                hasher.finish()
            }
        };
        Id { route, node: self.node, serial }
    }
}

impl Minter {
    /// The same where the binding may have come up in this tick already.
    pub fn unique_again(
        &mut self,
        leaf: u32,
        hole: u64,
        route: u32,
        binding: impl FnOnce(&mut StableHasher),
    ) -> Id {
        if self.ids != Ids::Counted {
            return self.unique(leaf, hole, route, binding);
        }
        let key = random(self.tick, leaf, hole, binding);
        if let Some(&serial) = self.drawn.get(&key) {
            return Id { route, node: self.node, serial };
        }
        let id = self.unique(leaf, hole, route, |_| {});
        self.drawn.insert(key, id.serial);
        id
    }
    /// Begins a tick.
    #[inline]
    pub fn begin(&mut self, seed: u64) {
        self.seed = seed;
    }
    /// Ends a tick.
    #[inline]
    pub fn end(&mut self) {
        self.tick += 1;
        if !self.drawn.is_empty() {
            self.drawn.clear();
        }
    }
}

/// `random()` at a hole of an expression for one binding.
pub fn random(seed: u64, leaf: u32, hole: u64, binding: impl FnOnce(&mut StableHasher)) -> u64 {
    let mut hasher = StableHasher::new(seed);
    hasher.word(u64::from(leaf));
    hasher.word(hole);
    binding(&mut hasher);
    hasher.finish()
}

/// Whether a `forget` rule that is lazy ([`crate::node::Node::lazy`]) sees what gives this row's key, or never does.
/// One in two; the same for everybody who evaluates the tick.
pub fn forgets(seed: u64, relation: u32, key: impl FnOnce(&mut StableHasher)) -> bool {
    random(seed, u32::MAX, u64::from(relation), key) & 1 == 1
}

/// The stable hash of something fed.
pub fn hash(seed: u64, feed: impl FnOnce(&mut StableHasher)) -> u64 {
    let mut hasher = StableHasher::new(seed);
    feed(&mut hasher);
    hasher.finish()
}

/// Some number up to `most`, for the jitter of a timer's row.
pub fn jitter(seed: u64, most: u64, row: &impl std::hash::Hash) -> u64 {
    let mut hasher = StableHasher::new(seed);
    hasher.word(hash_of(row));
    hasher.finish() % most.saturating_add(1).max(1)
}

/// A parameter: as deployed, or its default. [`Node`](crate::node::Node)s are made after `check`, so that a
/// missing or misfitting one is our fault.
pub fn param<T: Data>(
    params: &BTreeMap<String, Value>,
    name: &str,
    default: impl FnOnce() -> Option<T>,
) -> T {
    match params.get(name) {
        Some(value) => T::from_value(value),
        None => default(),
    }
    .unwrap_or_else(|| panic!("the parameter `{name}` is missing or of another type; `check` was not called"))
}

/// Checks a parameter for `Protocol::check`.
pub fn check_param<T: Data>(
    params: &BTreeMap<String, Value>,
    name: &str,
    ty: &str,
    default: Option<T>,
    problems: &mut Vec<String>,
) -> Option<T> {
    match params.get(name) {
        None if default.is_none() => {
            problems.push(format!("the parameter `{name}: {ty}` has no default and is not given"))
        }
        None => return default,
        Some(value) => match T::from_value(value) {
            Some(value) => return Some(value),
            None => problems.push(format!("the parameter `{name}` should be a {ty}, not {value:?}")),
        },
    }
    None
}

/// Names a type in a closure that is never called; gives a value of that type from an erased one.
pub fn pin<T: Data>(_witness: impl FnOnce() -> Option<T>, value: Option<&Value>) -> Option<T> {
    T::from_value(value?)
}

/// The same for a type that can be written.
pub fn typed<T: Data>(value: Option<&Value>) -> Option<T> {
    T::from_value(value?)
}

/// The items of a `for` as a list.
pub fn list<I: IntoIterator>(items: I) -> Value
where
    I::Item: Data,
{
    Value::List(items.into_iter().map(|item| item.to_value()).collect())
}

/// The first item, to name its type.
pub fn item<I: IntoIterator>(items: I) -> Option<I::Item> {
    items.into_iter().next()
}

/// Rows as sorted erased tuples.
pub fn sorted(rows: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut rows: Vec<Value> = rows.collect();
    rows.sort_unstable();
    rows
}

/// Moves all items of a batch to the end of another.
pub fn append(from: &mut Batch, to: &mut Batch) {
    let start = to.bytes.len() as u32;
    to.bytes.append(&mut from.bytes);
    to.ends.extend(from.ends.drain(..).map(|end| start + end));
}

/// Marks an inserted row in a log record.
pub const PUT: u8 = 1;
/// Marks a deleted row in a log record.
pub const DELETE: u8 = 0;

/// Begins an entry of a log record.
#[inline]
pub fn log(out: &mut Vec<u8>, table: u64, operation: u8) {
    put_varint(table << 1 | u64::from(operation), out);
}

/// Reads what [`log`] wrote.
#[inline]
pub fn read_log(input: &mut Reader<'_>) -> Result<(u64, u8), WireError> {
    let word = input.varint()?;
    Ok((word >> 1, (word & 1) as u8))
}

/// The address type of a role.
#[macro_export]
macro_rules! address {
    ($(#[$doc:meta])* $name:ident, $text:literal, $role:literal) => {
        $(#[$doc])*
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name {
            /// The instance.
            pub index: u32,
        }
        impl $name {
            /// The address of an instance.
            pub const fn new(index: u32) -> $name {
                $name { index }
            }
            /// The instance as a number to calculate with.
            pub const fn index(self) -> u64 {
                self.index as u64
            }
        }
        impl ::core::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::write!(f, "{}.{}", $text, self.index)
            }
        }
        impl $crate::data::Address for $name {
            const ROLE: u16 = $role;
            const NAME: &'static str = $text;
            fn from_index(index: u32) -> $name {
                $name { index }
            }
            fn to_index(self) -> u32 {
                self.index
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a batch holds, message by message.
    fn messages(batch: &Batch) -> Vec<Vec<u8>> {
        let starts = [0].into_iter().chain(batch.ends.iter().copied());
        starts
            .zip(&batch.ends)
            .map(|(start, end)| batch.bytes[start as usize..*end as usize].to_vec())
            .collect()
    }

    #[test]
    fn everyone_gets_what_was_sent_in_order() {
        let mut layout = Layout::of(&[1, 3, 2]);
        layout.roles[2].partitions = 2;
        let routes = [Route::new(&layout, 0), Route::new(&layout, 1), Route::new(&layout, 2)];
        let mut out = Outbox::default();
        let mut expected = vec![Vec::<Vec<u8>>::new(); layout.nodes() as usize];
        let mut dice = crate::store::tests::Dice::new(5);
        for round in 0..200u32 {
            begin(&mut out);
            for n in 0..dice.below(30) as u32 {
                let text = vec![round as u8; (n as usize * 7) % 40 + 1];
                let encode = |b: &mut Vec<u8>| b.extend_from_slice(&text);
                let to: Vec<u32> = match dice.below(12) {
                    0..5 => {
                        broadcast(&mut out, routes[1], encode);
                        vec![1, 2, 3]
                    }
                    5 => {
                        send(&mut out, routes[1], n % 3, encode);
                        vec![1 + n % 3]
                    }
                    6 => {
                        send(&mut out, routes[0], 0, encode);
                        vec![0]
                    }
                    7 => {
                        broadcast(&mut out, routes[2], encode);
                        vec![4, 6]
                    }
                    8 => {
                        broadcast_routed(&mut out, routes[2], 3, encode);
                        vec![5, 7]
                    }
                    9 => {
                        broadcast_every(&mut out, routes[2], encode);
                        vec![4, 5, 6, 7]
                    }
                    10 => {
                        send_every(&mut out, routes[2], 1, encode);
                        vec![6, 7]
                    }
                    _ => {
                        send_routed(&mut out, routes[2], 0, 1, encode);
                        vec![5]
                    }
                };
                to.iter().for_each(|to| expected[*to as usize].push(text.clone()));
            }
            finish(&mut out);
            if dice.below(3) == 0 {
                let named = out.dirty.len();
                let dirty: std::collections::BTreeSet<u32> = out.dirty.drain(..).map(|n| n.0).collect();
                assert_eq!(named, dirty.len(), "each once");
                for (node, expected) in expected.iter_mut().enumerate() {
                    assert_eq!(dirty.contains(&(node as u32)), !expected.is_empty());
                    let Some(batch) = out.batches.get_mut(node) else { continue };
                    assert_eq!(messages(batch), *expected);
                    (batch.bytes, batch.ends) = (Vec::new(), Vec::new());
                    expected.clear();
                }
            }
        }
    }
}
