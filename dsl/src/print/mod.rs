//! The printer: IR to canonical DSL text.
//!
//! Canonical text is what is hashed, stored and emitted. It is a function of the IR alone (spans and the
//! layout of the source do not matter), reads like a program written by hand, and parsing it gives the IR
//! again in the numbering of [`normalize`]. A relation declared by its first rule stays so, its types left
//! to inference; where a rewrite has changed the rules that inference looked at, [`settle`] writes them down.
//!
//! Read next: [`order`] for what stands where, [`rule`] and [`decl`] for single statements. Spaces and line
//! breaks are the formatter's ([`crate::fmt`]).

mod decl;
pub mod order;
mod rule;
pub(crate) mod visit;

pub use order::normalize;
pub use rule::{body_text, head_text, operator, rule_text};

use crate::diag::Diagnostic;
use crate::fmt::lex::{Kind, Tok};
use crate::ir::{Protocol, Relation, RelationKind};
use order::Entry;
use rule::fixed;

/// The inside of a `protocol!` block, canonical.
pub fn print(ir: &Protocol) -> String {
    let mut printer = Printer::new(ir);
    printer.protocol();
    crate::fmt::arrange(&printer.out, 0)
}

/// The same as a Rust item.
pub fn print_macro(ir: &Protocol) -> String {
    let mut printer = Printer::new(ir);
    printer.protocol();
    format!("anabranch::protocol! {{\n{}}}\n", crate::fmt::arrange(&printer.out, 4))
}

/// Prepares a protocol that was changed after parsing: [`normalize`]d, and with the columns of relations
/// written down where inference would no longer find them. What comes back survives printing and parsing,
/// unless the program itself is wrong: then the errors come back.
pub fn settle(ir: &Protocol) -> Result<Protocol, Vec<Diagnostic>> {
    let mut ir = normalize(ir);
    // Each round declares at least one relation by itself; without any left, nothing is inferred.
    loop {
        let outcome = crate::parse_str(&print(&ir));
        let open: Vec<usize> =
            (0..ir.relations.len()).filter(|i| ir.relations[*i].declared_by.is_some()).collect();
        let changed: Vec<usize> = match &outcome.protocol {
            Some(again) => {
                open.into_iter().filter(|i| again.relations[*i].columns != ir.relations[*i].columns).collect()
            }
            None => open,
        };
        if changed.is_empty() {
            let Some(again) = outcome.protocol else { return Err(outcome.diagnostics) };
            // The tag of a machine's images has no declaration: its type is what the rules say.
            for (relation, now) in ir.relations.iter_mut().zip(again.relations) {
                if matches!(now.kind, RelationKind::MachineSave(_) | RelationKind::MachineSaved(_)) {
                    relation.columns = now.columns;
                }
            }
            return Ok(ir);
        }
        changed.into_iter().for_each(|i| ir.relations[i].declared_by = None);
        ir = normalize(&ir);
    }
}

pub(crate) struct Printer<'a> {
    ir: &'a Protocol,
    out: Vec<Tok>,
    /// An empty line comes before the next statement.
    gap: bool,
}

impl<'a> Printer<'a> {
    fn new(ir: &'a Protocol) -> Printer<'a> {
        Printer { ir, out: Vec::new(), gap: false }
    }

    /// A statement with its documentation; `end` is `;` or `{`.
    fn statement(&mut self, docs: &[String], mut toks: Vec<Tok>, end: &str) {
        for line in docs {
            let text = if line.is_empty() { "///".to_string() } else { format!("/// {line}") };
            self.line(vec![Tok::new(Kind::LineComment, text)]);
        }
        let kind = if end == "{" { Kind::Open } else { Kind::Op };
        toks.push(Tok::new(kind, end));
        self.line(toks);
    }

    fn line(&mut self, mut toks: Vec<Tok>) {
        if let Some(first) = toks.first_mut() {
            first.newlines = 1 + usize::from(std::mem::take(&mut self.gap));
        }
        self.out.extend(toks);
    }

    fn close(&mut self) {
        self.gap = false;
        self.line(vec![Tok::new(Kind::Close, "}")]);
    }

    fn section(&mut self, statements: Vec<(&[String], Vec<Tok>)>) {
        for (docs, toks) in statements {
            self.statement(docs, toks, ";");
        }
        self.gap = true;
    }

    fn protocol(&mut self) {
        let ir = self.ir;
        let none: &[String] = &[];
        self.statement(&ir.docs, fixed(&format!("protocol {}", ir.name)), ";");
        self.section(ir.uses.iter().map(|u| (none, self.use_(&u.0))).collect());
        self.section(ir.roles.iter().map(|r| (&r.docs[..], self.role(r))).collect());
        self.section(ir.params.iter().map(|p| (none, self.param(p))).collect());
        self.section(ir.aliases.iter().map(|a| (none, self.alias(a))).collect());
        let requires =
            ir.requires.iter().map(|e| (none, fixed("require").into_iter().chain(self.expr(e)).collect()));
        self.section(requires.collect());
        let communication = |r: &'a Relation| Some((&r.docs[..], self.communication(r)?));
        self.section(ir.relations.iter().filter_map(communication).collect());
        for (role, entries) in ir.roles.iter().zip(order::arrange(ir)) {
            if entries.is_empty() {
                continue;
            }
            self.statement(none, fixed(&format!("at {}", role.name)), "{");
            self.gap = false;
            self.entries(&entries);
            self.close();
            self.gap = true;
        }
        self.section(ir.invariants.iter().map(|i| (&i.docs[..], self.invariant(i))).collect());
    }

    fn use_(&self, tokens: &proc_macro2::TokenStream) -> Vec<Tok> {
        crate::fmt::lex::from_stream(tokens)
    }

    fn alias(&self, alias: &crate::ir::Alias) -> Vec<Tok> {
        let mut out = fixed(&format!("type {} =", alias.name));
        out.extend(crate::fmt::lex::from_stream(&alias.ty.0));
        out
    }

    /// The inside of an `at` block. Empty lines part what belongs together: declarations with the rules
    /// that follow, whatever is documented, what follows an `on` block.
    fn entries(&mut self, entries: &[Entry]) {
        let ir = self.ir;
        for (i, entry) in entries.iter().enumerate() {
            match entry {
                Entry::Declare(rel) => {
                    let relation = ir.relation(*rel);
                    let after_rule = i > 0 && !matches!(entries[i - 1], Entry::Declare(_));
                    self.gap = after_rule;
                    let toks = self.local(relation).expect("only declared relations are arranged");
                    self.statement(&relation.docs, toks, ";");
                }
                Entry::Rule(id, declares) => {
                    let rule = &ir.rules[id.index()];
                    let mut docs = &rule.docs;
                    let mut toks = Vec::new();
                    if let (true, Some(rel)) = (*declares, rule.head.relation()) {
                        let relation = ir.relation(rel);
                        docs = &relation.docs;
                        toks.extend(fixed(&Self::qualifiers(relation)));
                        toks.extend(fixed(Self::keyword(relation).unwrap_or("")));
                    }
                    self.gap = i > 0 && (self.gap || !docs.is_empty());
                    toks.extend(self.rule(rule, 0, *declares));
                    self.statement(docs, toks, ";");
                }
                Entry::On(n, first, rules) => {
                    let first = &ir.rules[first.index()];
                    let mut toks = fixed("on");
                    toks.extend(self.body(&first.body[..*n]));
                    let docs = if rules.is_empty() { &first.docs[..] } else { &[] };
                    self.statement(docs, toks, "{");
                    for rule in rules {
                        let rule = &ir.rules[rule.index()];
                        let toks = self.rule(rule, *n, false);
                        self.statement(&rule.docs, toks, ";");
                    }
                    self.close();
                    self.gap = true;
                }
            }
        }
        self.gap = false;
    }

    /// Whether a relation is always declared by itself.
    fn lasts(relation: &Relation) -> bool {
        use crate::ir::RelationKind::*;
        matches!(relation.kind, Table | Var(_) | Timer(_) | MachineFeed(_))
    }
}
