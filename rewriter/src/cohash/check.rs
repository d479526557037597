//! The precondition, item by item, for given routings.

use super::uses::{Scope, Uses};
use crate::keys::{Mode, Read, Term};
use crate::routing::{Routings, is_input, plain, routable};
use crate::verdict::{Assumption, Evidence, Item, Justification, Refusal};
use anabranch_dsl::diag::Diagnostic;
use anabranch_dsl::ir::{Head, Place, Protocol, RelId, RelationKind, Routing, Rule, RuleId, Version};
use std::collections::{BTreeMap, BTreeSet};

/// The items, named for reports.
pub(crate) fn item(name: &'static str) -> Item {
    Item { rewrite: "cohash", name }
}

pub(crate) fn refuse(name: &'static str, place: Place, message: String) -> Refusing {
    Refusing { item: item(name), diagnostic: Diagnostic::error("cohash", place.0, message) }
}

/// A refusal in the making.
pub(crate) struct Refusing {
    item: Item,
    diagnostic: Diagnostic,
}

impl Refusing {
    pub(crate) fn here(mut self, text: impl Into<String>) -> Refusing {
        self.diagnostic = self.diagnostic.here(text);
        self
    }
    pub(crate) fn note(mut self, place: Place, text: impl Into<String>) -> Refusing {
        self.diagnostic = self.diagnostic.label(place.0, text);
        self
    }
    pub(crate) fn help(mut self, text: impl Into<String>) -> Box<Refusal> {
        self.diagnostic = self.diagnostic.help(text);
        Box::new(Refusal { item: self.item, diagnostic: self.diagnostic })
    }
}

/// Where the rows of a scope meet, as terms: equal terms mean one partition.
struct Meeting {
    at: Term,
    /// What the term is, for reports.
    text: String,
    place: Place,
}

/// What the check has gathered.
#[derive(Default)]
struct Grounds {
    rules: BTreeMap<&'static str, BTreeSet<RuleId>>,
    reasons: BTreeSet<String>,
    assumptions: BTreeSet<Assumption>,
}

/// Checks every item, and says what establishes it.
pub(crate) fn check(uses: &mut Uses<'_>, routings: &Routings) -> Result<Justification, Box<Refusal>> {
    whole(uses)?;
    ends(uses)?;
    inputs(uses, routings)?;
    present(uses, routings)?;
    let mut grounds = Grounds::default();
    for i in 0..uses.scopes.len() {
        scope(uses, i, routings, &mut grounds)?;
    }
    super::ordered::check(uses, routings)?;
    Ok(justify(uses, routings, grounds))
}

/// What no key can help.
fn whole(uses: &Uses<'_>) -> Result<(), Box<Refusal>> {
    let p = uses.p;
    let role = p.role(uses.role);
    if role.partitioned {
        return Err(refuse("once", role.place, format!("`{}` is partitioned already", role.name)).help(
            "choose the number of partitions in the deployment; to change the key, partition the original",
        ));
    }
    if role.sequencer {
        return Err(refuse(
            "once",
            role.place,
            format!("`{}` is a sequencer, which is one for all partitions", role.name),
        )
        .help("partition the role whose part it is"));
    }
    if let Some(machine) = p.machines.iter().find(|m| m.role == uses.role) {
        return Err(refuse(
            "machine",
            machine.place,
            format!("`{}` runs the machine `{}`", role.name, machine.name),
        )
        .here("each partition would see only some of its slots")
        .help("split the rules that feed the machine off, and partition the rest"));
    }
    for scope in &uses.scopes {
        for read in &scope.closure.reads {
            if p.relation(read.rel).kind == RelationKind::Start {
                return Err(refuse("start", read.place, "each partition starts by itself".into())
                    .here("an event of the whole node")
                    .help("recover by a timer over the rows that are to be taken up again"));
            }
            // What is alike everywhere becomes true everywhere: one edge would fire in each partition.
            let edge = read.version == Version::New && !p.relation(read.rel).replicated;
            if edge && uses.same.contains(&read.rel) {
                let name = &p.relation(read.rel).name;
                return Err(refuse("same", read.place, format!("`{name}` becomes true in every partition"))
                    .here("this would happen once in each")
                    .help("keep this rule in a part that is not partitioned"));
            }
        }
        if scope.closure.reads_clock {
            return Err(refuse("clock", scope.place, "each partition has a clock of its own".into())
                .here("reads `now_ms()`")
                .help("let one part read the clock and send what it read"));
        }
    }
    Ok(())
}

/// A macro-step that never ends stops the whole node in the original, and one partition only afterwards.
fn ends(uses: &Uses<'_>) -> Result<(), Box<Refusal>> {
    let mut warnings = Vec::new();
    anabranch_dsl::check::endless::check(uses.p, &mut warnings);
    let mine = |w: &Diagnostic| {
        let at = w.primary.0.start();
        uses.scopes.iter().any(|s| start(s.place) == (at.line, at.column))
    };
    match warnings.into_iter().find(mine) {
        None => Ok(()),
        Some(w) => Err(refuse("ends", Place(w.primary.0), w.message)
            .here("in the original this stops all keys")
            .help("let a timer carry it on")),
    }
}

/// Every input says where it goes, by expressions that may be used.
fn inputs(uses: &Uses<'_>, routings: &Routings) -> Result<(), Box<Refusal>> {
    let p = uses.p;
    for rel in uses.own() {
        let relation = p.relation(rel);
        match routings.0.get(&rel) {
            Some(Routing::By(e)) => {
                let allowed = routable(relation);
                let value = |v: &String| {
                    let at = relation.columns.iter().position(|c| c.name == *v);
                    at.is_none_or(|i| !allowed.contains(&i))
                };
                if let Some(v) = e.vars.iter().find(|v| value(v)) {
                    return Err(refuse(
                        "value",
                        relation.place,
                        format!("`{}` cannot be routed by `{}`", relation.name, plain(e)),
                    )
                    .here(format!(
                        "`{v}` is a value under the key, or merges: two partitions might each hold one"
                    ))
                    .help("route by columns of the key"));
                }
            }
            Some(Routing::All) => only_forgotten(uses, rel)?,
            Some(Routing::To(_)) | None => {}
        }
        if is_input(relation) && relation.delivery.sealed {
            return Err(refuse(
                "ordered",
                relation.place,
                format!("`{}` comes in parts that are put together", relation.name),
            )
            .help("partition before the sender's answers are sealed, or keep what reads it whole"));
        }
    }
    Ok(())
}

/// `routed to all` is for what only `forget` rules read: any number of copies, at any time, is right for them.
fn only_forgotten(uses: &Uses<'_>, rel: RelId) -> Result<(), Box<Refusal>> {
    for scope in &uses.scopes {
        let read = scope.closure.reads.iter().find(|r| r.rel == rel);
        if let Some(read) = read.filter(|r| !scope.forgets() || r.mode != Mode::Positive) {
            let name = &uses.p.relation(rel).name;
            return Err(refuse("all", read.place, format!("`{name}` would reach every partition"))
                .here("each would act on it, at different times")
                .help("only `forget` rules may read such a message; partial partitioning puts a sequencer before it"));
        }
    }
    Ok(())
}

/// What needs a routing has one. State without any column to route by comes first: no key helps there.
fn present(uses: &mut Uses<'_>, routings: &Routings) -> Result<(), Box<Refusal>> {
    let p = uses.p;
    let mut open: Vec<RelId> = uses.needs.keys().copied().filter(|r| !routings.0.contains_key(r)).collect();
    let aggregate =
        |rel: RelId| uses.scopes.iter().any(|s| s.writes == Some(rel) && s.closure.group.is_some());
    let keyless = |rel: RelId| routable(p.relation(rel)).is_empty() && !aggregate(rel);
    let timer = |rel: RelId| matches!(p.relation(rel).kind, RelationKind::Timer(_));
    open.sort_by_key(|rel| (timer(*rel), !keyless(*rel), *rel));
    let Some(rel) = open.first() else { return Ok(()) };
    // What is aggregated may be the reason that nothing can be said of the result.
    let groups = if keyless(*rel) { 0 } else { uses.scopes.len() };
    for i in 0..groups {
        let scope = &uses.scopes[i];
        let aggregated = scope.writes.is_some_and(|r| open.contains(&r)) && scope.closure.group.is_some();
        let reads = uses.meeting(scope).into_iter().next().cloned();
        if let (true, Some(read)) = (aggregated, reads) {
            let scope = &mut uses.scopes[i];
            let meeting = at(p, scope, read.rel, &read.columns, read.place, routings);
            group(scope, &meeting, &mut Grounds::default())?;
        }
    }
    let (need, relation) = (&uses.needs[rel], p.relation(*rel));
    let name = &relation.name;
    if matches!(relation.kind, RelationKind::Timer(_)) {
        return Err(refuse("timer", relation.place, format!("the timer `{name}` lacks the key"))
            .here("it would fire in every partition")
            .help("give the timer the key as a column, bound in its `while`"));
    }
    let routable = routable(relation);
    let mut refusing = refuse("needs", need.place, format!("nothing says which partition holds `{name}`"))
        .here(format!("`{name}` {}", need.why))
        .note(
            relation.place,
            if routable.is_empty() { "it has no column to route by" } else { "declared here" },
        );
    // What it meets and what that is routed by.
    let scope = uses
        .scopes
        .iter()
        .find(|s| s.closure.reads.iter().any(|r| r.rel == *rel && start(r.place) == start(need.place)));
    for read in scope.iter().flat_map(|s| &s.closure.reads) {
        if let Some(routing) = routings.0.get(&read.rel).filter(|_| start(read.place) != start(need.place)) {
            let other = &p.relation(read.rel).name;
            refusing =
                refusing.note(read.place, format!("`{other}` is routed {}", crate::routing::text(routing)));
        }
    }
    Err(refusing.help(if routable.is_empty() {
        "give it the key as a column; if it is state that all keys share, partial partitioning replicates it"
    } else {
        "put the key into it, and into every atom that meets it"
    }))
}

/// Places compare equal always; what they stand for does not.
fn start(place: Place) -> (usize, usize) {
    (place.0.start().line, place.0.start().column)
}

/// Items 1 to 3 for one rule or timer.
fn scope(
    uses: &mut Uses<'_>,
    i: usize,
    routings: &Routings,
    grounds: &mut Grounds,
) -> Result<(), Box<Refusal>> {
    let p = uses.p;
    let reads: Vec<Read> = uses.meeting(&uses.scopes[i]).into_iter().cloned().collect();
    let needs: BTreeSet<RelId> = uses.needs.keys().copied().collect();
    let scope = &mut uses.scopes[i];
    let id = scope.rule.map(|(id, _)| id);
    let mut meeting: Option<Meeting> = None;
    // The event that drives comes first: reports then say what does not meet *it*.
    let mut order: Vec<&Read> = reads.iter().filter(|r| r.drives(p)).collect();
    order.extend(reads.iter().filter(|r| !r.drives(p)));
    for read in order {
        let found = at(p, scope, read.rel, &read.columns, read.place, routings);
        match (found, &meeting) {
            (Some(found), None) => meeting = Some(found),
            (Some(found), Some(first)) => {
                if !scope.closure.equal(found.at, first.at) {
                    return Err(apart(p, read, &found, first));
                }
                let reasons = scope.closure.because(first.at, found.at);
                grounds.reasons.extend(reasons);
                grounds.assumptions.extend(scope.closure.assumed());
            }
            // Alone, and needing none.
            (None, _) => {}
        }
        if let Some(id) = id {
            grounds.rules.entry("agree").or_default().insert(id);
        }
    }
    group(scope, &meeting, grounds)?;
    head(p, scope, &needs, meeting, !reads.is_empty(), routings, grounds)
}

/// The term of a relation's routing over given columns.
fn at(
    p: &Protocol,
    scope: &mut Scope<'_>,
    rel: RelId,
    columns: &[Term],
    place: Place,
    routings: &Routings,
) -> Option<Meeting> {
    let relation = p.relation(rel);
    let named: Vec<(&str, Term)> =
        relation.columns.iter().zip(columns).map(|(c, t)| (c.name.as_str(), *t)).collect();
    let routing = routings.0.get(&rel)?;
    let text = crate::routing::text(routing);
    let at = match routing {
        Routing::By(e) => {
            let key = scope.closure.over(e, &named);
            scope.closure.route(key)
        }
        Routing::To(e) => {
            let number = scope.closure.over(e, &named);
            scope.closure.partition(number)
        }
        Routing::All => return None,
    };
    Some(Meeting { at, text: format!("`{}` is routed {text}", relation.name), place })
}

fn apart(p: &Protocol, read: &Read, found: &Meeting, first: &Meeting) -> Box<Refusal> {
    let name = &p.relation(read.rel).name;
    let how = match read.mode {
        Mode::Positive => "meets",
        Mode::Negated => "is tested against",
        Mode::Lookup => "is looked up for",
    };
    let message = format!("`{name}` {how} rows that may lie in another partition");
    refuse("agree", read.place, message)
        .here(found.text.clone())
        .note(first.place, first.text.clone())
        .help("let both carry the key and join on it, or split these rules off and partition the rest")
}

/// Item 3.
fn group(
    scope: &mut Scope<'_>,
    meeting: &Option<Meeting>,
    grounds: &mut Grounds,
) -> Result<(), Box<Refusal>> {
    let (Some(group), Some(meeting)) = (scope.closure.group.clone(), meeting) else { return Ok(()) };
    if !scope.closure.determines(&group, meeting.at) {
        return Err(refuse(
            "group",
            scope.place,
            "what is aggregated here lies in several partitions".into(),
        )
        .here("each would aggregate its own rows")
        .note(meeting.place, meeting.text.clone())
        .help("let the head carry the key, so that a group lies in one partition"));
    }
    if let Some((id, _)) = scope.rule {
        grounds.rules.entry("group").or_default().insert(id);
    }
    Ok(())
}

/// Item 2.
fn head(
    p: &Protocol,
    scope: &mut Scope<'_>,
    needs: &BTreeSet<RelId>,
    meeting: Option<Meeting>,
    reads: bool,
    routings: &Routings,
    grounds: &mut Grounds,
) -> Result<(), Box<Refusal>> {
    let Some(rel) = scope.writes else {
        let leaves = scope.rule.is_some_and(|(_, r)| !matches!(r.head, Head::Nothing));
        if leaves && !reads {
            return Err(refuse("same", scope.place, "this happens in every partition".into())
                .here("it would be sent once by each")
                .help("keep this rule in a part that is not partitioned"));
        }
        return Ok(());
    };
    let name = &p.relation(rel).name;
    let deletes = scope.deletes();
    if !routings.0.contains_key(&rel) {
        assert!(!needs.contains(&rel), "`{name}` was seen to have a routing");
        return Ok(());
    }
    if !reads {
        // A deletion is right in every partition: it takes away what lies there. What is alike everywhere needs no
        // place. Anything else would appear in each.
        if deletes {
            return Ok(());
        }
        return Err(refuse("same", scope.place, format!("this puts rows of `{name}` into every partition"))
            .here("its body holds in each")
            .help(
                "derive it from something with the key, or keep this rule in a part that is not partitioned",
            ));
    }
    // A deletion without the key would have to reach all partitions.
    if let (Some(Routing::By(e) | Routing::To(e)), true) = (routings.0.get(&rel), deletes) {
        let columns = &p.relation(rel).columns;
        let missing =
            |v: &&String| columns.iter().zip(&scope.closure.head).any(|(c, t)| c.name == **v && t.is_none());
        if let Some(v) = e.vars.iter().find(missing) {
            return Err(refuse(
                "head",
                scope.place,
                format!("this deletes rows of `{name}` from several partitions"),
            )
            .here(format!("`_` stands for its key `{v}`"))
            .help("bind the key in the body and delete by it"));
        }
    }
    let columns: Vec<Term> = (0..scope.closure.head.len())
        .map(|i| scope.closure.head[i])
        .collect::<Vec<_>>()
        .into_iter()
        .map(|t| t.unwrap_or_else(|| scope.closure.unknown()))
        .collect();
    let place = scope.place;
    let Some(found) = at(p, scope, rel, &columns, place, routings) else { return Ok(()) };
    let Some(meeting) = meeting else {
        let read = scope.closure.reads.first().map_or(scope.place, |r| r.place);
        return Err(refuse(
            "head",
            scope.place,
            format!("this may write rows of `{name}` that belong to another partition"),
        )
        .here(found.text)
        .note(read, "what is read here may lie in any partition")
        .help("route what is read by the same key"));
    };
    if !scope.closure.equal(found.at, meeting.at) {
        let verb = if deletes { "delete" } else { "write" };
        let timer = matches!(p.relation(rel).kind, RelationKind::Timer(_));
        return Err(refuse(
            if timer { "timer" } else { "head" },
            scope.place,
            format!("this may {verb} rows of `{name}` that belong to another partition"),
        )
        .here(found.text)
        .note(meeting.place, meeting.text)
        .help("let the head carry the key that the body is routed by"));
    }
    let reasons = scope.closure.because(meeting.at, found.at);
    grounds.reasons.extend(reasons);
    if let Some((id, _)) = scope.rule {
        grounds.rules.entry("head").or_default().insert(id);
    }
    Ok(())
}

fn justify(uses: &Uses<'_>, routings: &Routings, mut grounds: Grounds) -> Justification {
    let p = uses.p;
    let mut rules =
        |name| grounds.rules.remove(name).unwrap_or_default().into_iter().collect::<Vec<RuleId>>();
    let inputs: Vec<String> =
        routings.inputs(p).into_iter().map(|(name, text)| format!("`{name}` {text}")).collect();
    let reasons: Vec<String> = grounds.reasons.into_iter().collect();
    let because = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    let established = vec![
        Evidence {
            item: item("agree"),
            because: format!("all atoms of a rule that must meet are routed alike{because}"),
            rules: rules("agree"),
        },
        Evidence {
            item: item("head"),
            because: "local heads are routed like their bodies".into(),
            rules: rules("head"),
        },
        Evidence {
            item: item("group"),
            because: "groups of aggregates determine the key".into(),
            rules: rules("group"),
        },
        Evidence {
            item: item("needs"),
            because: format!("senders route by columns that they send: {}", inputs.join(", ")),
            rules: Vec::new(),
        },
        Evidence {
            item: item("machine"),
            because: "there is no machine, `start` or clock".into(),
            rules: Vec::new(),
        },
        Evidence {
            item: item("ordered"),
            because: "streams keep their order for every key".into(),
            rules: Vec::new(),
        },
        Evidence { item: item("fate"), because: fate(uses), rules: Vec::new() },
    ];
    let role = &p.role(uses.role).name;
    // The published name, where more than equal columns was needed.
    let columns = |r: &Routing| matches!(r, Routing::By(e) if e.var.is_none());
    let dependent = routings.0.values().any(columns) || because.contains("every row of");
    let name = if dependent { "dependencies" } else { "cohash" };
    let mut assumptions = grounds.assumptions;
    for routing in routings.0.values() {
        if let Routing::By(e) = routing {
            assumptions.extend(super::functions(e).into_iter().map(|function| Assumption::Pure { function }));
        }
    }
    Justification {
        title: format!("{name}: partition {role}, {}", inputs.join(", ").replace('`', "")),
        established,
        assumptions: assumptions.into_iter().collect(),
    }
}

/// Tables that a crash empties: partitions that have such restart together.
fn volatile(uses: &Uses<'_>) -> Option<RelId> {
    uses.own().find(|rel| {
        let r = uses.p.relation(*rel);
        let read = uses.scopes.iter().any(|s| s.closure.reads.iter().any(|x| x.rel == *rel));
        r.is_table() && !r.durable && !r.ghost && !uses.same.contains(rel) && (read || r.key.is_some())
    })
}

fn fate(uses: &Uses<'_>) -> String {
    if once(uses) {
        return "an `after` timer fires again after a restart: the partitions of an instance restart together".into();
    }
    match volatile(uses) {
        Some(rel) => format!(
            "`{}` is lost in a crash: the partitions of an instance restart together, behind a barrier",
            uses.p.relation(rel).name
        ),
        None => "every table is durable: partitions may restart apart".into(),
    }
}

/// Whether a timer fires once for a row: after a restart of the whole it would fire again for all keys.
fn once(uses: &Uses<'_>) -> bool {
    uses.own().any(|rel| match &uses.p.relation(rel).kind {
        RelationKind::Timer(timer) => matches!(timer.schedule, anabranch_dsl::ir::Schedule::After { .. }),
        _ => false,
    })
}

/// Whether partitions of an instance have to restart together.
pub(crate) fn shares_fate(uses: &Uses<'_>) -> bool {
    volatile(uses).is_some() || once(uses)
}

/// Whether a rule sends this message.
pub(crate) fn sends(rule: &Rule, rel: RelId) -> bool {
    matches!(rule.head, Head::Send { rel: sent, .. } if sent == rel)
}
