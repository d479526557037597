//! The eleven points of the language reference, each as a small program whose ticks are written down by hand.
//!
//! `node(outside, inside)` runs a role `node` of two instances (this is instance 0) beside a role `peer`.
//! `tick("m(1), q(2)")` hands over messages or, for timers, fires rows; the result is asked for the facts of the
//! fixpoint as text.

mod aggregates;
mod machines;
mod points;
mod timers;

use super::Interp;
use crate::engine::{Answer, Engine, Facts, Input, Outcome};
use crate::eval::Closed;
use anabranch_core::id::Req;
use anabranch_core::node::{Ids, Layout, Seat, Setup, TickArgs};
use anabranch_core::value::Value;
use anabranch_dsl::ir::{Protocol, RelId, RelationKind};
use std::sync::Arc;

struct Node {
    protocol: Arc<Protocol>,
    interp: Interp,
    now_ms: u64,
}

struct Ticked {
    protocol: Arc<Protocol>,
    outcome: Outcome,
}

fn node(outside: &str, inside: &str) -> Node {
    let text = format!("protocol p; role node; role peer; {outside} at node {{ {inside} }}");
    let parsed = anabranch_dsl::parse_str(&text);
    let mistakes: Vec<_> =
        parsed.diagnostics.iter().filter(|d| d.severity == anabranch_dsl::diag::Severity::Error).collect();
    assert!(mistakes.is_empty(), "{mistakes:#?}");
    let protocol = Arc::new(parsed.protocol.expect("no mistakes"));
    let closed = Closed::new(&protocol).unwrap_or_else(|e| panic!("{}", e[0]));
    let setup = Setup {
        layout: Arc::new(Layout::of(&[2, 3])),
        seat: Seat { role: 0, instance: 0, partition: 0 },
        params: Default::default(),
        incarnation: 1,
        ids: Ids::Hashed,
    };
    let defaults = closed.defaults();
    let interp = Interp::new(protocol.clone(), Arc::new(closed), &setup, &defaults);
    Node { protocol, interp, now_ms: 1000 }
}

impl Node {
    fn rel(&self, name: &str) -> RelId {
        let own = |r: &anabranch_dsl::ir::Relation| {
            r.name == name && r.role.is_none_or(|role| role.0 == 0 || name == "out")
        };
        let found = self.protocol.relations.iter().position(own);
        RelId(found.unwrap_or_else(|| panic!("no relation `{name}`")) as u32)
    }

    fn input(&self, facts: &str) -> Input {
        let mut input = Input::empty(TickArgs { now_ms: self.now_ms, seed: 7 });
        for (name, row) in parse_facts(facts) {
            let rel = self.rel(&name);
            let timer = matches!(self.protocol.relation(rel).kind, RelationKind::Timer(_));
            let into: &mut Facts = if timer { &mut input.fired } else { &mut input.arrived };
            into.entry(rel).or_default().insert(row);
        }
        input
    }

    fn tick(&mut self, facts: &str) -> Ticked {
        let input = self.input(facts);
        let outcome = self.interp.tick(&input).unwrap_or_else(|e| panic!("broken: {e}"));
        Ticked { protocol: self.protocol.clone(), outcome }
    }

    /// A tick, and deferred ones until there is none: the last one.
    fn settle(&mut self, facts: &str) -> Ticked {
        let mut ticked = self.tick(facts);
        while ticked.outcome.deferred {
            ticked = self.tick("");
        }
        ticked
    }

    fn breaks(&mut self, facts: &str) -> String {
        let input = self.input(facts);
        self.interp.tick(&input).expect_err("a broken invariant").message
    }

    fn crash(&mut self) {
        self.interp.crash();
    }

    /// Between ticks.
    fn resting(&self, name: &str) -> String {
        text(&self.interp.resting(), self.rel(name))
    }
}

fn text(facts: &Facts, rel: RelId) -> String {
    let rows = facts.get(&rel).into_iter().flatten();
    rows.map(|row| format!("{:?}", Value::tuple(row.iter().cloned()))).collect::<Vec<_>>().join(" ")
}

impl Ticked {
    #[track_caller]
    fn is(&self, name: &str, rows: &str) -> &Ticked {
        let rel = self.protocol.relations.iter().position(|r| r.name == name).expect("a relation");
        assert_eq!(text(&self.outcome.facts, RelId(rel as u32)), rows, "`{name}`");
        self
    }
    #[track_caller]
    fn deferred(&self, deferred: bool) -> &Ticked {
        assert_eq!(self.outcome.deferred, deferred, "deferred");
        self
    }
    #[track_caller]
    fn sends(&self, expected: &str) -> &Ticked {
        let one = |s: &crate::engine::Sent| {
            let name = &self.protocol.relation(s.rel).name;
            format!("{name}{:?} @ {}", Value::tuple(s.row.iter().cloned()), s.to)
        };
        assert_eq!(self.outcome.sent.iter().map(one).collect::<Vec<_>>().join(" "), expected, "sent");
        self
    }
    #[track_caller]
    fn answers(&self, expected: &str) -> &Ticked {
        let one = |a: &crate::engine::Answered| match &a.answer {
            Answer::Reply(row) => format!("{}: {:?}", a.req.number, Value::tuple(row.iter().cloned())),
            Answer::Refuse(e) => format!("{}: refused, {e:?}", a.req.number),
            Answer::Redirect(to) => format!("{}: to {to}", a.req.number),
        };
        assert_eq!(self.outcome.answered.iter().map(one).collect::<Vec<_>>().join(" "), expected, "answered");
        self
    }
}

/// `m(1, Some(2)), q(req(1), @0)` and the like.
fn parse_facts(text: &str) -> Vec<(String, Vec<Value>)> {
    let all = syn::parse_str::<syn::ExprTuple>(&format!("({text},)"));
    let all = if text.is_empty() { vec![] } else { all.expect(text).elems.into_iter().collect() };
    let fact = |e: syn::Expr| {
        let syn::Expr::Call(call) = e else { panic!("a fact in `{text}`") };
        let syn::Expr::Path(name) = *call.func else { panic!("a fact in `{text}`") };
        let name = name.path.get_ident().expect("a name").to_string();
        (name, call.args.iter().map(constant).collect())
    };
    all.into_iter().map(fact).collect()
}

fn constant(e: &syn::Expr) -> Value {
    match e {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Int(n), .. }) => {
            Value::Int(n.base10_parse().expect("a number"))
        }
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Bool(b), .. }) => Value::Bool(b.value),
        syn::Expr::Path(p) if p.path.is_ident("None") => Value::Option(None),
        syn::Expr::Tuple(t) => Value::tuple(t.elems.iter().map(constant)),
        syn::Expr::Call(call) => {
            let argument = call.args.first().map(constant).expect("an argument");
            let number = || if let Value::Int(n) = argument { n } else { panic!("a number") };
            match quote::quote!(#call).to_string().split(' ').next().expect("a name") {
                "Some" => Value::Option(Some(Box::new(argument))),
                "req" => Value::Req(Req { session: 1, number: number() as u64 }),
                "node" => Value::Addr(0, number() as u32),
                "peer" => Value::Addr(1, number() as u32),
                other => panic!("`{other}`"),
            }
        }
        other => panic!("`{}`", quote::quote!(#other)),
    }
}
