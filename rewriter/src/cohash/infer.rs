//! From one key to the routings of all relations of a role.
//!
//! Routings spread along rules: what meets a routed atom must be routed alike, and so must what the rule writes. Where
//! a relation has several columns that would do (an id and the `Req` that drew it), the key's own name is preferred;
//! if the choice turns out to be wrong, the others are tried, up to a bound. The result is a proposal: the check
//! decides.

use super::uses::Uses;
use crate::keys::{Mode, Term};
use crate::routing::{Key, Routings, constant, find, is_input, over_columns, routable};
use anabranch_dsl::ir::{Protocol, RelId, RelationKind, Routing};
use std::collections::BTreeMap;

/// How many proposals are tried for one key.
const TRIES: usize = 200;

/// Choices made on the way: which of how many.
type Trail = Vec<(usize, usize)>;

/// Tries proposals until one passes; else the first one's failure. `None`: no relation has such a key.
pub(crate) fn search<E>(
    uses: &mut Uses<'_>,
    start: &Start,
    mut judge: impl FnMut(&mut Uses<'_>, &Routings) -> Result<(), E>,
) -> (Routings, Result<(), E>) {
    let mut trail = Trail::new();
    let mut first = None;
    for _ in 0..TRIES {
        let found = propose(uses, start, &mut trail);
        match judge(uses, &found) {
            Ok(()) => return (found, Ok(())),
            Err(error) => {
                first.get_or_insert((found, error));
            }
        }
        // The next leaf of the tree of choices.
        while trail.last().is_some_and(|(choice, of)| choice + 1 >= *of) {
            trail.pop();
        }
        match trail.last_mut() {
            Some((choice, _)) => *choice += 1,
            None => break,
        }
    }
    let (found, error) = first.expect("one proposal was tried");
    (found, Err(error))
}

/// What is given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Start {
    /// Routings that stand.
    pub given: Routings,
    /// The expression to prefer, over any relation that has its columns.
    pub key: Option<String>,
}

impl Start {
    /// A key's relation, or the first relation that can be routed by it: inputs come first, being declared so.
    pub(crate) fn of(p: &Protocol, uses: &Uses<'_>, key: &Key) -> Option<Start> {
        let rels: Vec<RelId> = match &key.relation {
            Some(name) => vec![find(p, uses.role, name)?],
            None => {
                let mut all: Vec<RelId> = uses.own().filter(|r| !uses.same.contains(r)).collect();
                all.sort_by_key(|r| (!uses.needs.contains_key(r), !is_input(p.relation(*r)), *r));
                all
            }
        };
        let by = |rel: &RelId| {
            let expr = over_columns(p.relation(*rel), &key.expression)?;
            allowed(p, *rel, &expr.vars).then_some((*rel, Routing::By(expr)))
        };
        let first = rels.iter().find_map(by)?;
        Some(Start { given: Routings(BTreeMap::from([first])), key: Some(key.expression.clone()) })
    }
}

fn allowed(p: &Protocol, rel: RelId, names: &[String]) -> bool {
    let relation = p.relation(rel);
    let routable = routable(relation);
    names
        .iter()
        .all(|n| relation.columns.iter().position(|c| c.name == *n).is_some_and(|i| routable.contains(&i)))
}

/// One proposal. `trail` says what to choose where there is a choice, and is prolonged by the first of each.
fn propose(uses: &mut Uses<'_>, start: &Start, trail: &mut Trail) -> Routings {
    let mut spread =
        Spread { routings: start.given.clone(), key: start.key.clone(), wide: false, trail, step: 0 };
    loop {
        spread.along_rules(uses);
        let p = uses.p;
        let open: Vec<RelId> =
            uses.needs.keys().copied().filter(|r| !spread.routings.0.contains_key(r)).collect();
        // Not reached, but in need: by the key's own name, or by way of heads that need none themselves.
        if let Some((rel, routing)) = open.iter().find_map(|r| Some((*r, spread.by_name(p, *r)?))) {
            spread.routings.0.insert(rel, routing);
        } else if !open.is_empty() && !spread.wide {
            spread.wide = true;
        } else {
            break;
        }
    }
    let p = uses.p;
    let mut routings = spread.routings.clone();
    for rel in uses.own().filter(|r| is_input(p.relation(*r))) {
        if routings.0.contains_key(&rel) {
            continue;
        }
        let only_forgotten =
            uses.scopes.iter().all(|s| s.forgets() || s.closure.reads.iter().all(|r| r.rel != rel));
        let read = uses.scopes.iter().any(|s| s.closure.reads.iter().any(|r| r.rel == rel));
        let routing = match spread.by_name(p, rel) {
            Some(by) => by,
            None if only_forgotten && read && p.relation(rel).kind == RelationKind::Message => Routing::All,
            None => first_column(p, rel),
        };
        // What needs one and cannot have it stays without, to be reported.
        if !uses.needs.contains_key(&rel) {
            routings.0.insert(rel, routing);
        }
    }
    routings
}

/// Where senders put what needs no place.
pub(crate) fn first_column(p: &Protocol, rel: RelId) -> Routing {
    let relation = p.relation(rel);
    match relation.columns.first().and_then(|c| over_columns(relation, &c.name)) {
        Some(expr) => Routing::By(expr),
        None => Routing::To(constant(0)),
    }
}

struct Spread<'t> {
    routings: Routings,
    key: Option<String>,
    /// Also to heads that need no routing.
    wide: bool,
    trail: &'t mut Trail,
    step: usize,
}

impl Spread<'_> {
    fn by_name(&self, p: &Protocol, rel: RelId) -> Option<Routing> {
        let expr = over_columns(p.relation(rel), self.key.as_deref()?)?;
        allowed(p, rel, &expr.vars).then_some(Routing::By(expr))
    }

    /// To a fixpoint: each relation is given a routing at most once.
    fn along_rules(&mut self, uses: &mut Uses<'_>) {
        loop {
            let before = self.routings.0.len();
            for i in 0..uses.scopes.len() {
                self.along(uses, i);
            }
            if self.routings.0.len() == before {
                return;
            }
        }
    }

    fn along(&mut self, uses: &mut Uses<'_>, i: usize) {
        let p = uses.p;
        let needs = |rel: RelId| uses.needs.contains_key(&rel);
        let mut parts: Vec<(RelId, Vec<Option<Term>>, bool)> = Vec::new();
        let meeting = uses.meeting(&uses.scopes[i]);
        let joined = meeting.len() > 1;
        for read in &meeting {
            // Values that a look-up or negation does not bind cannot carry the key.
            let columns = read.columns.iter().zip(&read.wild);
            let columns =
                columns.map(|(t, wild)| (!wild || read.mode == Mode::Positive).then_some(*t)).collect();
            parts.push((read.rel, columns, joined || needs(read.rel)));
        }
        let scope = &uses.scopes[i];
        if let Some(rel) = scope.writes.filter(|rel| !uses.same.contains(rel)) {
            parts.push((rel, scope.closure.head.clone(), needs(rel)));
        }
        if scope.forgets() {
            // Its events go where the rows are, if they can.
            let events = scope
                .closure
                .reads
                .iter()
                .filter(|r| p.relation(r.rel).is_event() && r.mode == Mode::Positive);
            parts.extend(events.map(|r| (r.rel, r.columns.iter().map(|t| Some(*t)).collect(), false)));
        }
        // What reads a routed head must be routed itself.
        let wanted = parts.iter().any(|(rel, _, _)| self.routings.0.contains_key(rel));
        if !wanted {
            return;
        }
        let closure = &mut uses.scopes[i].closure;
        let mut key: Option<Term> = None;
        for (rel, columns, _) in &parts {
            if let Some(Routing::By(e)) = self.routings.0.get(rel) {
                let relation = p.relation(*rel);
                let names = relation.columns.iter().map(|c| c.name.as_str());
                let columns: Vec<(&str, Term)> =
                    names.zip(columns).filter_map(|(n, t)| Some((n, (*t)?))).collect();
                if e.vars.iter().all(|v| columns.iter().any(|(n, _)| n == v)) {
                    key = Some(closure.over(e, &columns));
                    break;
                }
            }
        }
        let Some(key) = key else { return };
        let head = uses.scopes[i].writes;
        for (rel, columns, needed) in parts {
            let event = head == Some(rel) && !needed && !self.wide;
            let machine = matches!(p.relation(rel).kind, RelationKind::MachineFeed(_));
            // A head that needs none is better without: it then asks nothing of its readers.
            if self.routings.0.contains_key(&rel) || event || machine {
                continue;
            }
            let closure = &mut uses.scopes[i].closure;
            let relation = p.relation(rel);
            let usable: Vec<(&str, Term)> = routable(relation)
                .into_iter()
                .filter_map(|c| Some((relation.columns[c].name.as_str(), (*columns.get(c)?)?)))
                .collect();
            let mut alternatives: Vec<String> = Vec::new();
            for (name, term) in &usable {
                if closure.routed_alike(*term, key) {
                    alternatives.push((*name).to_owned());
                }
            }
            if alternatives.is_empty() {
                alternatives.extend(closure.express(key, &usable));
            }
            let own = self.key.clone();
            alternatives.sort_by_key(|a| own.as_ref() != Some(a));
            if let Some(choice) = self.choose(alternatives.len())
                && let Some(expr) = over_columns(relation, &alternatives[choice])
            {
                self.routings.0.insert(rel, Routing::By(expr));
            }
        }
    }

    fn choose(&mut self, of: usize) -> Option<usize> {
        if of < 2 {
            return (of == 1).then_some(0);
        }
        if self.step == self.trail.len() {
            self.trail.push((0, of));
        }
        self.step += 1;
        Some(self.trail[self.step - 1].0)
    }
}
