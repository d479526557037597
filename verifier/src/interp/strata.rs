//! Stratification: an order of relations in which everything that is read strictly is final when it is read.
//!
//! Strict are negation, aggregates, look-ups, the exact value of a lattice column, and what a machine
//! answers. Not strict are plain atoms, `new` (true now, less a constant), `old` (a constant: no edge at all), and a
//! lattice column that is only compared upwards, since once that holds it holds for the rest of the tick.
//!
//! Stratum numbers are the least that satisfy all edges, found by raising them until they do.

use anabranch_dsl::ir::*;
use std::collections::BTreeMap;

/// What is evaluated together.
#[derive(Clone, Default, Debug)]
pub struct Stratum {
    /// `<=` rules.
    pub rules: Vec<RuleId>,
    /// Relations that machines fill.
    pub outputs: Vec<RelId>,
}

/// The `<=` rules of a role by stratum of their heads; an error says which relation reads itself strictly.
pub fn strata(protocol: &Protocol, role: RoleId) -> Result<Vec<Stratum>, String> {
    let mut edges = Vec::new();
    for (_, rule) in protocol.rules_of(role) {
        if let Head::Now { rel, args } = &rule.head {
            let mut reads =
                Reads { protocol, rule, strict: args.iter().any(has_aggregate), edges: Vec::new() };
            reads.body(&rule.body);
            reads.exprs(args);
            edges.extend(reads.edges.into_iter().map(|(read, strict)| (read, *rel, strict)));
        }
    }
    for machine in &protocol.machines {
        for input in [machine.feed, machine.load] {
            edges.extend([machine.done, machine.next, machine.saved].map(|output| (input, output, true)));
        }
        edges.push((machine.save, machine.saved, true));
    }
    let mut number: BTreeMap<RelId, usize> = BTreeMap::new();
    loop {
        let mut changed = false;
        for (read, head, strict) in &edges {
            let least = number.get(read).copied().unwrap_or(0) + usize::from(*strict);
            let own = number.entry(*head).or_default();
            if *own < least {
                *own = least;
                changed = true;
            }
            if least > protocol.relations.len() {
                return Err(format!("`{}` reads itself strictly", protocol.relation(*head).name));
            }
        }
        if !changed {
            break;
        }
    }
    let count = number.values().max().map_or(1, |n| n + 1);
    let mut strata = vec![Stratum::default(); count];
    for (id, rule) in protocol.rules_of(role) {
        if let Head::Now { rel, .. } = &rule.head {
            strata[number.get(rel).copied().unwrap_or(0)].rules.push(id);
        }
    }
    for machine in protocol.machines.iter().filter(|m| m.role == role) {
        for output in [machine.done, machine.next, machine.saved] {
            strata[number[&output]].outputs.push(output);
        }
    }
    Ok(strata)
}

/// Whether a rule draws `unique()` or `random()`.
fn draws(rule: &Rule) -> bool {
    fn in_expr(e: &Expr) -> bool {
        e.holes.iter().any(|hole| match hole {
            Hole::Unique | Hole::Random => true,
            Hole::Lookup { args, .. } => args.iter().any(in_expr),
            Hole::Aggregate(a) => a.args.iter().any(in_expr),
            Hole::NowMs => false,
        })
    }
    fn in_body(body: &[Literal]) -> bool {
        body.iter().any(|literal| match literal {
            Literal::If(e) | Literal::Let(_, e) | Literal::For(_, e) => in_expr(e),
            Literal::NewJoin(body, _) => in_body(body),
            Literal::Atom(_) => false,
        })
    }
    let in_head = match &rule.head {
        Head::Now { args, .. } => args.iter().any(in_expr),
        _ => false,
    };
    in_head || in_body(&rule.body)
}

fn has_aggregate(e: &Expr) -> bool {
    e.holes.iter().any(|hole| match hole {
        Hole::Aggregate(_) => true,
        Hole::Lookup { args, .. } => args.iter().any(has_aggregate),
        Hole::Unique | Hole::NowMs | Hole::Random => false,
    })
}

/// What a rule reads, and how.
struct Reads<'a> {
    protocol: &'a Protocol,
    rule: &'a Rule,
    /// The head is aggregated.
    strict: bool,
    edges: Vec<(RelId, bool)>,
}

impl Reads<'_> {
    fn body(&mut self, body: &[Literal]) {
        for literal in body {
            match literal {
                Literal::Atom(atom) if atom.version == Version::Old => {}
                Literal::Atom(atom) => {
                    let strict = self.strict || atom.negated || self.reads_exactly(atom);
                    self.edges.push((atom.rel, strict));
                }
                Literal::NewJoin(body, _) => self.body(body),
                Literal::If(e) | Literal::Let(_, e) | Literal::For(_, e) => {
                    self.exprs(std::slice::from_ref(e))
                }
            }
        }
    }

    fn exprs(&mut self, exprs: &[Expr]) {
        for hole in exprs.iter().flat_map(|e| &e.holes) {
            match hole {
                Hole::Lookup { rel, args, .. } => {
                    self.edges.push((*rel, true));
                    self.exprs(args);
                }
                Hole::Aggregate(aggregate) => self.exprs(&aggregate.args),
                Hole::Unique | Hole::NowMs | Hole::Random => {}
            }
        }
    }

    /// Whether an atom does more with a lattice column than to ignore it or compare it upwards.
    fn reads_exactly(&self, atom: &Atom) -> bool {
        let columns = &self.protocol.relation(atom.rel).columns;
        atom.args.iter().zip(columns).any(|(pattern, column)| match (column.lattice, pattern) {
            (None, _) | (_, Pattern::Wild(_)) => false,
            // What is drawn belongs to the values of all variables, this one included.
            (Some(_), Pattern::Var(_)) if draws(self.rule) => true,
            (Some(lattice), Pattern::Var(var)) => !only_upwards(self.rule, &var.name, lattice),
            (Some(_), Pattern::Value(_) | Pattern::Nested(_)) => true,
        })
    }
}

/// Whether a variable occurs once as a pattern, and elsewhere only in `if v >= e` and the like.
fn only_upwards(rule: &Rule, var: &str, lattice: Lattice) -> bool {
    let mut bound = 0;
    let mut exact = false;
    fn patterns<'a>(body: &'a [Literal], var: &str, lattice: Lattice, bound: &mut usize, exact: &mut bool) {
        let mut pattern = |p: &'a Pattern| match p {
            Pattern::Var(v) => *bound += usize::from(v.name == var),
            Pattern::Nested(n) => *bound += n.vars.iter().filter(|v| v.name == var).count(),
            Pattern::Wild(_) | Pattern::Value(_) => {}
        };
        for literal in body {
            match literal {
                Literal::Atom(atom) => atom.args.iter().for_each(&mut pattern),
                Literal::Let(p, e) | Literal::For(p, e) => {
                    pattern(p);
                    *exact |= mentions(e, var);
                }
                Literal::If(e) => {
                    // What stands inside of a look-up is read exactly; its result is final.
                    let inside = in_holes(e, var);
                    let upward = || syn::parse2(e.tokens.0.clone()).is_ok_and(|e| upward(&e, var, lattice));
                    *exact |= inside || mentions(e, var) && !upward();
                }
                Literal::NewJoin(_, _) => {}
            }
        }
        for literal in body {
            if let Literal::NewJoin(body, _) = literal {
                patterns(body, var, lattice, bound, exact);
            }
        }
    }
    patterns(&rule.body, var, lattice, &mut bound, &mut exact);
    let head: Vec<&Expr> = match &rule.head {
        Head::Now { args, .. } => args.iter().collect(),
        _ => unreachable!("only `<=` rules have edges"),
    };
    bound == 1 && !exact && !head.iter().any(|e| mentions(e, var))
}

fn mentions(e: &Expr, var: &str) -> bool {
    e.vars.iter().any(|v| v == var) || in_holes(e, var)
}

fn in_holes(e: &Expr, var: &str) -> bool {
    e.holes.iter().any(|hole| match hole {
        Hole::Lookup { args, .. } => args.iter().any(|e| mentions(e, var)),
        Hole::Aggregate(a) => a.args.iter().any(|e| mentions(e, var)),
        Hole::Unique | Hole::NowMs | Hole::Random => false,
    })
}

/// Whether a condition, once true, stays true while the variable rises (`Max`) or falls (`Min`).
fn upward(e: &syn::Expr, var: &str, lattice: Lattice) -> bool {
    use syn::BinOp::*;
    let free = |e: &syn::Expr| {
        let tokens = quote::quote!(#e).into_iter();
        fn has(tokens: impl Iterator<Item = proc_macro2::TokenTree>, var: &str) -> bool {
            tokens.into_iter().any(|t| match t {
                proc_macro2::TokenTree::Ident(i) => i == var,
                proc_macro2::TokenTree::Group(g) => has(g.stream().into_iter(), var),
                _ => false,
            })
        }
        !has(tokens, var)
    };
    let is = |e: &syn::Expr| matches!(e, syn::Expr::Path(p) if p.path.is_ident(var));
    match e {
        syn::Expr::Paren(e) => upward(&e.expr, var, lattice),
        syn::Expr::Binary(b) => match b.op {
            And(_) => upward(&b.left, var, lattice) && upward(&b.right, var, lattice),
            Ge(_) | Gt(_) if lattice == Lattice::Max => free(e) || is(&b.left) && free(&b.right),
            Le(_) | Lt(_) if lattice == Lattice::Max => free(e) || is(&b.right) && free(&b.left),
            Le(_) | Lt(_) => free(e) || is(&b.left) && free(&b.right),
            Ge(_) | Gt(_) => free(e) || is(&b.right) && free(&b.left),
            _ => free(e),
        },
        _ => free(e),
    }
}
