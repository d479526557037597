//! Random rules.

use super::program::Gen;
use super::source::{Block, Rule};
use super::types::{Kind, Rel, T};

/// The variables of a rule under construction, and what it reads.
#[derive(Clone, Default, Debug)]
pub(super) struct Scope {
    pub vars: Vec<(String, T)>,
    pub body: Vec<String>,
    /// Relations read, and whether strictly.
    pub reads: Vec<(usize, bool)>,
    /// Has an event: may draw and look up.
    pub event: bool,
    /// May use `unique()`, `random()`, `now_ms()`.
    pub draws: bool,
    next: usize,
}

impl Scope {
    pub fn fresh(&mut self, ty: &T) -> String {
        let name = [
            "a", "b", "c", "d", "f", "g", "h", "i", "j", "k", "l", "o", "q", "r", "s", "u", "w", "x", "y",
            "z",
        ]
        .get(self.next)
        .map_or_else(|| format!("x{}", self.next), |s| s.to_string());
        self.next += 1;
        self.vars.push((name.clone(), ty.clone()));
        name
    }
    pub fn of(&self, ty: &T) -> Vec<String> {
        self.vars.iter().filter(|(_, t)| t == ty).map(|(n, _)| n.clone()).collect()
    }
}

impl Gen {
    /// A constant of a type.
    pub fn constant(&mut self, ty: &T) -> Option<String> {
        Some(match ty {
            T::Num if self.dice.percent(12) => "limit".into(),
            T::Num => self.dice.below(3).to_string(),
            T::Bool => self.dice.pick(&["true", "false"]).to_string(),
            T::Addr => "me".into(),
            T::Int => self.dice.pick(&["0", "1", "-1"]).to_string(),
            _ => return None,
        })
    }

    /// A constant as a pattern.
    fn compared(&mut self, ty: &T) -> Option<String> {
        match ty {
            T::Str => Some(self.dice.pick(&["\"a\"", "\"bc\"", "\"\""]).to_string()),
            _ => self.constant(ty),
        }
    }

    /// A pattern for a column, binding or comparing.
    fn pattern(&mut self, ty: &T, scope: &mut Scope, bind: bool) -> String {
        let known = scope.of(ty);
        match self.dice.below(100) {
            0..42 if !known.is_empty() => self.dice.pick(&known).clone(),
            0..60 if bind && *ty == T::Opt => match self.dice.below(4) {
                0 => "None".into(),
                1 => "Some(_)".into(),
                _ => format!("Some({})", self.inner(scope)),
            },
            0..60 if bind && *ty == T::Pair => match self.dice.below(3) {
                0 => format!("({}, _)", self.inner(scope)),
                1 => format!("(_, {})", self.inner(scope)),
                _ => format!("({}, {})", self.inner(scope), self.inner(scope)),
            },
            0..60 if bind && *ty == T::Spot => {
                let at = if self.dice.percent(40) { "_".into() } else { scope.fresh(&T::Addr) };
                format!("({}, {at})", self.inner(scope))
            }
            0..80 if bind => scope.fresh(ty),
            80..88 => self.compared(ty).unwrap_or_else(|| "_".into()),
            _ => "_".into(),
        }
    }

    /// A number within a nested pattern: a new variable, a known one, or a constant.
    fn inner(&mut self, scope: &mut Scope) -> String {
        let known = scope.of(&T::Num);
        match self.dice.below(10) {
            0..3 if !known.is_empty() => self.dice.pick(&known).clone(),
            0..4 => self.dice.below(3).to_string(),
            _ => scope.fresh(&T::Num),
        }
    }

    fn args(&mut self, rel: &Rel, scope: &mut Scope, bind: bool) -> String {
        let mut args: Vec<String> = rel.cols.iter().map(|ty| self.pattern(ty, scope, bind)).collect();
        let trailing = args.iter().rev().take_while(|a| *a == "_").count();
        if trailing > 0 && self.dice.percent(25) {
            args.truncate(args.len() - trailing);
            args.push("..".into());
        }
        args.join(", ")
    }

    /// A positive atom of *now* or `new`. Lattice columns are read exactly, ignored, or compared upwards.
    fn atom(&mut self, rel: usize, version: &str, scope: &mut Scope) {
        let decl = self.rels[rel].clone();
        let Some(max) = decl.lattice else {
            let args = self.args(&decl, scope, true);
            scope.body.push(format!("{version}{}({args})", decl.name));
            scope.reads.push((rel, false));
            return;
        };
        let (last, rest) = decl.cols.split_last().expect("a lattice column");
        let mut args: Vec<String> = rest.iter().map(|ty| self.pattern(ty, scope, true)).collect();
        match self.dice.below(3) {
            0 => {
                args.push("_".into());
                scope.body.push(format!("{version}{}({})", decl.name, args.join(", ")));
                scope.reads.push((rel, false));
            }
            1 => {
                let level = scope.fresh(last);
                scope.vars.pop();
                args.push(level.clone());
                let bound = self.expr(last, scope, 1);
                let op = if max { ">=" } else { "<=" };
                scope.body.push(format!("{version}{}({})", decl.name, args.join(", ")));
                scope.body.push(format!("if {level} {op} {bound}"));
                scope.reads.push((rel, false));
            }
            _ => {
                args.push(scope.fresh(last));
                scope.body.push(format!("{version}{}({})", decl.name, args.join(", ")));
                scope.reads.push((rel, true));
            }
        }
    }

    /// State relations that rules read.
    fn state(&self) -> Vec<usize> {
        self.of(&[Kind::Table, Kind::View, Kind::Var, Kind::Next, Kind::Table, Kind::View])
    }

    fn event(&mut self) -> usize {
        let kinds = match self.dice.below(20) {
            0 => Kind::Start,
            1..3 => Kind::Timer,
            3..5 => Kind::Done,
            5 => Kind::Saved,
            6..8 => Kind::Request,
            8..13 => Kind::Event,
            _ => Kind::Message,
        };
        let all = self.of(&[kinds]);
        let all = if all.is_empty() { self.of(&[Kind::Message]) } else { all };
        *self.dice.pick(&all)
    }

    /// The event that drives a rule.
    fn drive(&mut self, scope: &mut Scope) {
        scope.event = true;
        scope.draws = true;
        let state = self.state();
        match self.dice.below(100) {
            0..18 => {
                let rel = *self.dice.pick(&state);
                self.atom(rel, "new ", scope);
            }
            18..25 => {
                let mut inner = Scope { next: scope.next, ..Scope::default() };
                for _ in 0..2 {
                    let rel = *self.dice.pick(&state);
                    self.atom(rel, "", &mut inner);
                }
                if self.dice.percent(30) && !inner.of(&T::Num).is_empty() {
                    let x = self.dice.pick(&inner.of(&T::Num)).clone();
                    if self.dice.percent(50) {
                        inner.body.push(format!("if {x} < 2"));
                    } else {
                        let z = inner.fresh(&T::Num);
                        inner.body.push(format!("let {z} = ({x} + 1) % 3"));
                    }
                }
                scope.body.push(format!("new ({})", inner.body.join(", ")));
                scope.vars.extend(inner.vars);
                scope.reads.extend(inner.reads);
                scope.next = inner.next;
            }
            _ => {
                let rel = self.event();
                self.atom(rel, "", scope);
            }
        }
    }

    /// One more literal.
    fn literal(&mut self, scope: &mut Scope) {
        let state = self.state();
        match self.dice.below(100) {
            0..34 => {
                let rel = *self.dice.pick(&state);
                self.atom(rel, "", scope);
            }
            34..40 if scope.event => {
                let rel = self.event();
                self.atom(rel, "", scope);
            }
            40..44 if scope.event => {
                let rel = *self.dice.pick(&state);
                self.atom(rel, "new ", scope);
            }
            44..52 if scope.event => {
                let rel = self.rels[*self.dice.pick(&state)].clone();
                let args = self.args(&rel, scope, true);
                scope.body.push(format!("old {}({args})", rel.name));
            }
            52..57 if scope.event => {
                let rel = self.rels[*self.dice.pick(&state)].clone();
                let args = self.args(&rel, scope, false);
                scope.body.push(format!("!old {}({args})", rel.name));
            }
            57..60 if scope.event => {
                let rel = *self.dice.pick(&state);
                let decl = self.rels[rel].clone();
                let args = self.args(&decl, scope, false);
                scope.body.push(format!("!new {}({args})", decl.name));
                scope.reads.push((rel, true));
            }
            60..74 => {
                let rel =
                    if scope.event && self.dice.percent(25) { self.event() } else { *self.dice.pick(&state) };
                let decl = self.rels[rel].clone();
                let args = self.args(&decl, scope, false);
                scope.body.push(format!("!{}({args})", decl.name));
                scope.reads.push((rel, true));
            }
            74..82 => {
                let condition = self.expr(&T::Bool, scope, 2);
                scope.body.push(format!("if {condition}"));
            }
            82..86 => {
                let instances = self.of(&[Kind::Instances]);
                let rel = *self.dice.pick(&instances);
                self.atom(rel, "", scope);
            }
            86..91 if !scope.of(&T::List).is_empty() => {
                let list = self.dice.pick(&scope.of(&T::List)).clone();
                let x = scope.fresh(&T::Num);
                scope.body.push(format!("for {x} in {list}"));
            }
            86..91 => {
                let (low, high) = (self.dice.below(2), self.expr(&T::Num, scope, 1));
                let x = scope.fresh(&T::Num);
                scope.body.push(format!("for {x} in {low}u64..({high}).min(3)"));
            }
            92 => {
                let Some(found) = self.look_up_pair(scope) else { return };
                let (x, y) = (scope.fresh(&T::Num), scope.fresh(&T::Num));
                scope.body.push(format!("let Some(({x}, {y})) = {found}"));
            }
            91..95 => {
                let e = self.expr(&T::Opt, scope, 1);
                if e == "None" {
                    return;
                }
                let e = suffixed(&e);
                let x = scope.fresh(&T::Num);
                scope.body.push(format!("let Some({x}) = {e}"));
            }
            _ => {
                let ty = self.dice.pick(&[T::Num, T::Num, T::Num, T::Bool, T::Pair, T::Str, T::Int]).clone();
                let e = self.expr(&ty, scope, 2);
                let e = if ty == T::Int { format!("({e}) as i64") } else { suffixed(&e) };
                let x = scope.fresh(&ty);
                scope.body.push(format!("let {x} = {e}"));
            }
        }
    }

    /// A body: driven by an event, or over state alone.
    pub fn body(&mut self, event: bool) -> Scope {
        let mut scope = Scope::default();
        if event {
            self.drive(&mut scope);
        } else {
            let state = self.state();
            let rel = *self.dice.pick(&state);
            self.atom(rel, "", &mut scope);
        }
        for _ in 0..[0, 1, 1, 2, 2, 3][self.dice.below(6)] {
            self.literal(&mut scope);
        }
        scope
    }

    /// A look-up, if there is a keyed relation with one value column of a type.
    fn look_up(&mut self, ty: &T, scope: &mut Scope, depth: usize) -> Option<String> {
        self.look_up_of(std::slice::from_ref(ty), scope, depth)
    }

    /// The same with two columns of numbers: a tuple.
    fn look_up_pair(&mut self, scope: &mut Scope) -> Option<String> {
        self.look_up_of(&[T::Num, T::Num], scope, 1)
    }

    fn look_up_of(&mut self, types: &[T], scope: &mut Scope, depth: usize) -> Option<String> {
        let fits = |r: &Rel| {
            if !r.ready || r.ghost && !self.sees_ghosts {
                return false;
            }
            let key = if r.kind == Kind::Var { Some(0) } else { r.key };
            let key = key.or(r.lattice.map(|_| r.cols.len() - 1));
            (r.is_state() || r.kind == Kind::Event && scope.event)
                && key.is_some_and(|k| r.cols[k..] == *types)
        };
        let all: Vec<usize> = (0..self.rels.len()).filter(|i| fits(&self.rels[*i])).collect();
        if all.is_empty() {
            return None;
        }
        let rel = *self.dice.pick(&all);
        let decl = self.rels[rel].clone();
        // Lattice tables are keyed by their other columns only if they say so.
        if decl.lattice.is_some() && decl.kind != Kind::Var && decl.key.is_none() {
            return None;
        }
        if !decl.cols.iter().all(|t| self.fills(t, scope)) {
            return None;
        }
        let key: Vec<String> =
            decl.cols[..decl.cols.len() - types.len()].iter().map(|t| self.expr(t, scope, depth)).collect();
        scope.reads.push((rel, true));
        Some(format!("{}[{}]", decl.name, key.join(", ")))
    }

    /// An expression of a type over a scope's variables.
    pub fn expr(&mut self, ty: &T, scope: &mut Scope, depth: usize) -> String {
        let known = scope.of(ty);
        // An id drawn for a binding with an id in it could be drawn again and again, within one tick.
        let given = matches!(ty, T::Req | T::Told | T::Bytes | T::List | T::Id);
        if !known.is_empty() && (given || depth == 0 || self.dice.percent(55)) {
            return self.dice.pick(&known).clone();
        }
        let depth = depth.saturating_sub(1);
        let leaf = depth == 0 && self.dice.percent(50);
        match ty {
            T::Num if leaf => self.constant(ty).expect("numbers have constants"),
            T::Int if leaf => self.constant(ty).expect("numbers have constants"),
            T::Num => match self.dice.below(17) {
                13 if !scope.of(&T::Str).is_empty() => {
                    let strings = scope.of(&T::Str);
                    format!("{}.len() as u64", self.dice.pick(&strings))
                }
                14 if !scope.of(&T::Int).is_empty() => {
                    let numbers = scope.of(&T::Int);
                    format!("{}.max(0) as u64", self.dice.pick(&numbers))
                }
                15 if !scope.of(&T::Spot).is_empty() => {
                    let spots = scope.of(&T::Spot);
                    format!("{}.0", self.dice.pick(&spots))
                }
                0 => format!("({} + 1) % 3", self.expr(&T::Num, scope, depth)),
                1 => format!(
                    "({} + {}) % 3",
                    self.expr(&T::Num, scope, depth),
                    self.expr(&T::Num, scope, depth)
                ),
                2 => format!("{}.max({})", self.operand(scope), self.expr(&T::Num, scope, depth)),
                3 => format!("{}.saturating_sub(1)", self.operand(scope)),
                4 if !scope.of(&T::Pair).is_empty() => {
                    let pairs = scope.of(&T::Pair);
                    format!("{}.{}", self.dice.pick(&pairs), self.dice.below(2))
                }
                5 if !scope.of(&T::Opt).is_empty() => {
                    let options = scope.of(&T::Opt);
                    format!("{}.unwrap_or({})", self.dice.pick(&options), self.dice.below(3))
                }
                6 if !scope.of(&T::Addr).is_empty() => {
                    let addresses = scope.of(&T::Addr);
                    format!("{}.index()", self.dice.pick(&addresses))
                }
                7 if !scope.of(&T::Bool).is_empty() => {
                    let bools = scope.of(&T::Bool);
                    format!(
                        "if {} {{ 1 }} else {{ {} }}",
                        self.dice.pick(&bools),
                        self.expr(&T::Num, scope, depth)
                    )
                }
                8 if !scope.of(&T::List).is_empty() => {
                    let lists = scope.of(&T::List);
                    format!("{}.len() as u64", self.dice.pick(&lists))
                }
                9 | 10 => match self.look_up(&T::Num, scope, depth) {
                    Some(found) => format!("{found}.unwrap_or({})", self.dice.below(3)),
                    None => "0".into(),
                },
                11 if scope.draws => self.dice.pick(&["random() % 3", "now_ms() % 3"]).to_string(),
                12 => self.dice.pick(&["node.len()", "peer.majority()", "limit"]).to_string(),
                _ => self.constant(ty).expect("numbers have constants"),
            },
            T::Bool => match self.dice.below(6) {
                0 => self.dice.pick(&["true", "false"]).to_string(),
                1 if !scope.of(&T::Int).is_empty() && self.dice.percent(50) => {
                    let numbers = scope.of(&T::Int);
                    format!("{} < 0", self.dice.pick(&numbers))
                }
                1 => format!("{} != {}", self.operand(scope), self.expr(&T::Num, scope, depth)),
                2 => format!("{} <= {}", self.operand(scope), self.expr(&T::Num, scope, depth)),
                3 => format!(
                    "{} == {} || {} > 1",
                    self.operand(scope),
                    self.expr(&T::Num, scope, 0),
                    self.operand(scope)
                ),
                4 if !scope.of(&T::Addr).is_empty() => {
                    let addresses = scope.of(&T::Addr);
                    format!("{} == me", self.dice.pick(&addresses))
                }
                5 if !scope.of(&T::Str).is_empty() => {
                    let strings = scope.of(&T::Str);
                    let text = self.dice.pick(&strings).clone();
                    self.dice.pick(&["X.is_empty()", "X == \"a\"", "X != \"bc\""]).replace('X', &text)
                }
                _ => format!("{} < 2", self.operand(scope)),
            },
            T::Str => match self.dice.below(4) {
                0 => format!("{}.to_string()", self.operand(scope)),
                1 => "String::new()".into(),
                _ => format!("String::from(\"{}\")", self.dice.pick(&["a", "bc"])),
            },
            T::Int => match self.dice.below(4) {
                0 => format!("{} as i64 - 1", self.operand(scope)),
                1 if !scope.of(&T::Int).is_empty() => {
                    let numbers = scope.of(&T::Int);
                    format!("(-{}).clamp(-1, 1)", self.dice.pick(&numbers))
                }
                2 if !scope.of(&T::Int).is_empty() => {
                    let numbers = scope.of(&T::Int);
                    let (x, y) = (self.dice.pick(&numbers).clone(), self.dice.pick(&numbers).clone());
                    format!("({x} - {y}).min(1).max(-1)")
                }
                _ => self.constant(ty).expect("numbers have constants"),
            },
            T::Spot => {
                format!("({}, {})", self.expr(&T::Num, scope, depth), self.expr(&T::Addr, scope, depth))
            }
            T::Opt => match self.dice.below(4) {
                0 => match self.look_up(&T::Num, scope, depth) {
                    Some(found) => found,
                    None => "None".into(),
                },
                1 => format!("{}.checked_sub(1)", self.operand(scope)),
                2 if self.dice.percent(30) => "None".into(),
                _ => format!("Some({})", self.expr(&T::Num, scope, depth)),
            },
            T::Pair => {
                format!("({}, {})", self.expr(&T::Num, scope, depth), self.expr(&T::Num, scope, depth))
            }
            T::Addr => match self.dice.below(5) {
                4 if !scope.of(&T::Spot).is_empty() => {
                    let spots = scope.of(&T::Spot);
                    format!("{}.1", self.dice.pick(&spots))
                }
                0 => format!("node.at({})", self.dice.below(2)),
                1 => format!("node.of({})", self.operand(scope)),
                2 => "node.after(me)".into(),
                _ => "me".into(),
            },
            T::Peer => match self.dice.below(2) {
                0 => format!("peer.at({})", self.dice.below(3)),
                _ => format!("peer.of({})", self.operand(scope)),
            },
            T::Id => "unique()".into(),
            T::Req | T::Told | T::Bytes | T::List => unreachable!("only from the body"),
        }
    }

    /// A number to call a method on: literals need their type.
    fn operand(&mut self, scope: &Scope) -> String {
        let known = scope.of(&T::Num);
        if known.is_empty() || self.dice.percent(10) {
            format!("{}u64", self.dice.below(3))
        } else {
            self.dice.pick(&known).clone()
        }
    }

    /// Whether a column can be filled: some types come only from bodies.
    fn fills(&self, ty: &T, scope: &Scope) -> bool {
        match ty {
            T::Id => scope.draws || !scope.of(ty).is_empty(),
            T::Req | T::Told | T::Bytes | T::List => !scope.of(ty).is_empty(),
            _ => true,
        }
    }

    /// Notes what a rule for a head reads. What a rule draws depends on all variables, so that it reads lattices
    /// exactly, whatever it does with them. New ids that lead to new ids would have no end: they are taken for strict
    /// reads, too.
    fn reads(&mut self, head: usize, scope: &Scope, text: &str, prefix: &[String]) {
        let draws = |s: &str| s.contains("unique()") || s.contains("random()");
        let texts = || [text].into_iter().chain(scope.body.iter().chain(prefix).map(String::as_str));
        let (draws, mints) = (texts().any(draws), texts().any(|s| s.contains("unique()")));
        for (read, strict) in &scope.reads {
            let strict = *strict || mints || draws && self.rels[*read].lattice.is_some();
            self.edges.push((*read, head, strict));
        }
    }

    fn finish(&mut self, head: usize, text: String, scope: Scope) -> bool {
        self.reads(head, &scope, &text, &[]);
        self.push_rule(Rule { head: text, body: scope.body });
        true
    }

    /// `head(..) <= body`.
    pub fn now_rule(&mut self, head: usize) -> bool {
        let rel = self.rels[head].clone();
        let event = match rel.kind {
            Kind::View => false,
            Kind::Table => self.dice.percent(85),
            _ => true,
        };
        let mut scope = self.body(event);
        if !rel.cols.iter().all(|t| self.fills(t, &scope)) {
            return false;
        }
        let args = self.head_args(&rel, &mut scope, "<=");
        self.finish(head, format!("{}({}) <=", rel.name, args.join(", ")), scope)
    }

    /// Head arguments. In keyed relations, the values mostly follow from the key, or the rule is guarded.
    fn head_args(&mut self, rel: &Rel, scope: &mut Scope, op: &str) -> Vec<String> {
        let Some(key) = rel.key.filter(|_| rel.lattice.is_none()) else {
            return rel.cols.iter().map(|t| self.expr(t, scope, 2)).collect();
        };
        let mut args: Vec<String> = rel.cols[..key].iter().map(|t| self.expr(t, scope, 1)).collect();
        let careful = self.dice.percent(88);
        for ty in &rel.cols[key..] {
            if careful && *ty == T::Num && op == "<+" && self.dice.percent(60) {
                let e = self.expr(ty, &mut Scope { draws: false, ..scope.clone() }, 0);
                // In an aggregated head, look-ups and draws do not go together: a draw belongs to the group.
                if args.iter().any(|a| a.contains('[')) && args.iter().any(|a| a.contains("()")) {
                    args.push(self.constant(ty).expect("numbers have constants"));
                    continue;
                }
                args.push(format!("{}({e})", self.dice.pick(&["min", "max", "min"])));
            } else if careful && *ty != T::Id {
                // A function of the first key column.
                let mut only = Scope {
                    vars: scope.vars.iter().filter(|(n, _)| args.first() == Some(n)).cloned().collect(),
                    ..Scope::default()
                };
                args.push(self.expr(ty, &mut only, 0));
                scope.reads.extend(only.reads);
            } else {
                args.push(self.expr(ty, scope, 2));
            }
        }
        if careful && op == "<=" && rel.kind == Kind::Table && scope.event {
            let mut guard: Vec<String> = args[..key]
                .iter()
                .map(|a| if scope.vars.iter().any(|(n, _)| n == a) { a.clone() } else { "_".into() })
                .collect();
            guard.extend(rel.cols[key..].iter().map(|_| "_".to_string()));
            scope.body.push(format!("!old {}({})", rel.name, guard.join(", ")));
        }
        args.iter().zip(&rel.cols).map(|(a, _)| a.clone()).collect()
    }

    /// `view v(x, count(y)) <= body`, the head's only rule. Reads are strict.
    pub fn aggregated(&mut self, head: usize) -> bool {
        let rel = self.rels[head].clone();
        let event = rel.kind == Kind::Event;
        let mut scope = self.body(event);
        let numbers = scope.of(&T::Num);
        if numbers.is_empty() {
            return false;
        }
        let mut cols = Vec::new();
        let mut args = Vec::new();
        let groups = scope.vars.clone();
        for _ in 0..self.dice.below(3).min(groups.len()) {
            let (name, ty) = self.dice.pick(&groups).clone();
            if !matches!(ty, T::Bytes | T::Req | T::Told) {
                cols.push(ty);
                args.push(name);
            }
        }
        let keyed = self.dice.percent(50);
        let first = args.len();
        for i in 0..self.dice.within(1, 2) {
            let x = self.dice.pick(&numbers).clone();
            let y = self.dice.pick(&numbers).clone();
            let (ty, text) = match self.dice.below(if event && i == 0 { 13 } else { 10 }) {
                0 => (T::Num, "count()".to_string()),
                1 | 2 => (T::Num, format!("count({x})")),
                3 => (T::Num, format!("sum({x})")),
                4 => (T::Num, format!("min({x})")),
                5 => (T::Num, format!("max({x})")),
                6 => (T::Num, format!("max({x} => {y})")),
                7 => (T::Num, format!("min({x} => {y})")),
                8 => (T::List, format!("collect({x})")),
                9 => (T::Num, format!("first_gap({x})")),
                10 => (T::Num, format!("choose({x})")),
                11 => (T::Num, "index()".to_string()),
                _ => (T::Num, format!("index({x})")),
            };
            cols.push(ty);
            args.push(text);
        }
        let mut list = String::new();
        // With `index` a group has several rows.
        let keyed = keyed && first > 0 && !args.iter().any(|a| a.starts_with("index"));
        for (i, arg) in args.iter().enumerate() {
            list.push_str(if i == 0 {
                ""
            } else if i == first && keyed {
                " => "
            } else {
                ", "
            });
            list.push_str(arg);
        }
        let own = &mut self.rels[head];
        own.cols = cols;
        own.key = keyed.then_some(first);
        own.ready = true;
        scope.reads.iter_mut().for_each(|r| r.1 = true);
        let word = rel.word.expect("declared by its rule");
        self.finish(head, format!("{word} {}({list}) <=", rel.name), scope)
    }

    /// Transitive closure of a table or view with two columns of numbers, as a view.
    pub fn closure(&mut self) -> bool {
        let two = |r: &Rel| {
            matches!(r.kind, Kind::Table | Kind::View)
                && r.cols == [T::Num, T::Num]
                && r.lattice.is_none()
                && !r.ghost
        };
        let all: Vec<usize> = (0..self.rels.len()).filter(|i| two(&self.rels[*i])).collect();
        if all.is_empty() || self.rels.iter().any(|r| r.name == "path") {
            return false;
        }
        let edge = *self.dice.pick(&all);
        let name = self.rels[edge].name.clone();
        self.rels.push(Rel::new("path", Kind::View, vec![T::Num, T::Num]));
        let path = self.rels.len() - 1;
        self.source.declarations.push("view path(c0: u64, c1: u64)".into());
        self.push_rule(Rule { head: "path(a, b) <=".into(), body: vec![format!("{name}(a, b)")] });
        let step = match self.dice.below(3) {
            0 => vec!["path(a, b)".to_string(), format!("{name}(b, c)")],
            1 => vec![format!("{name}(a, b)"), "path(b, c)".into()],
            _ => vec!["path(a, b)".into(), "path(b, c)".into()],
        };
        self.push_rule(Rule { head: "path(a, c) <=".into(), body: step });
        self.edges.extend([(edge, path, false), (path, path, false)]);
        true
    }

    /// `t(k, _) <- body`.
    pub fn delete_rule(&mut self) -> bool {
        let tables = self.of(&[Kind::Table]);
        let head = *self.dice.pick(&tables);
        self.delete_rule_of(head)
    }

    /// The same for a given table.
    pub fn delete_rule_of(&mut self, head: usize) -> bool {
        let rel = self.rels[head].clone();
        let scope = self.body(true);
        let Some(text) = self.delete_head(&rel, &scope) else { return false };
        self.push_rule(Rule { head: text, body: scope.body });
        true
    }

    fn delete_head(&mut self, rel: &Rel, scope: &Scope) -> Option<String> {
        let args: Vec<String> = (rel.cols.iter())
            .map(|t| {
                let known = scope.of(t);
                if known.is_empty() || self.dice.percent(30) {
                    "_".into()
                } else {
                    self.dice.pick(&known).clone()
                }
            })
            .collect();
        if args.iter().all(|a| a == "_") && self.dice.percent(85) {
            return None;
        }
        let forget = if self.dice.percent(15) { "forget " } else { "" };
        Some(format!("{forget}{}({}) <-", rel.name, args.join(", ")))
    }

    /// `head(..) <+ body`.
    pub fn next_rule(&mut self) -> bool {
        let heads = self.of(&[Kind::Table, Kind::Var, Kind::Table, Kind::Event]);
        let head = *self.dice.pick(&heads);
        self.next_rule_of(head)
    }

    /// The same for a given relation.
    pub fn next_rule_of(&mut self, head: usize) -> bool {
        let rel = self.rels[head].clone();
        if rel.aggregate {
            return false;
        }
        let mut scope = self.body(true);
        // An event that schedules itself for ever would never let the macro-step end: let it count up to an end.
        if rel.kind == Kind::Event || rel.kind == Kind::Var || rel.lattice.is_some() || self.dice.percent(30)
        {
            let Some(x) = scope.of(&T::Num).first().cloned() else { return false };
            scope.body.push(format!("if {x} < 2"));
        }
        if !rel.cols.iter().all(|t| self.fills(t, &scope)) {
            return false;
        }
        let args = self.head_args(&rel, &mut scope, "<+");
        self.push_rule(Rule { head: format!("{}({}) <+", rel.name, args.join(", ")), body: scope.body });
        true
    }

    /// `m(..) @ to <~ body`.
    pub fn send_rule(&mut self) -> bool {
        let messages = self.of(&[Kind::Message, Kind::Out, Kind::Out]);
        let rel = self.rels[*self.dice.pick(&messages)].clone();
        let mut scope = self.body(true);
        let Some(text) = self.send_head(&rel, &mut scope) else { return false };
        self.push_rule(Rule { head: text, body: scope.body });
        true
    }

    fn send_head(&mut self, rel: &Rel, scope: &mut Scope) -> Option<String> {
        if !rel.cols.iter().all(|t| self.fills(t, scope)) {
            return None;
        }
        if rel.cols.contains(&T::Num) && self.dice.percent(15) {
            return self.folded_send(rel, scope);
        }
        let args: Vec<String> = rel.cols.iter().map(|t| self.expr(t, scope, 2)).collect();
        let to = self.expr(if rel.kind == Kind::Out { &T::Peer } else { &T::Addr }, scope, 1);
        Some(format!("{}({}) @ {to} <~", rel.name, args.join(", ")))
    }

    /// An expression around an aggregate of a number.
    fn folded(&mut self, scope: &Scope) -> Option<String> {
        let numbers = scope.of(&T::Num);
        let x = if numbers.is_empty() { return None } else { self.dice.pick(&numbers).clone() };
        let y = self.dice.pick(&numbers).clone();
        let form = *self.dice.pick(&[
            "count(X)",
            "count()",
            "max(X)",
            "min(X) + 1",
            "Y + count(X)",
            "sum(X) % 3",
            "max(X => Y)",
            "first_gap(X)",
        ]);
        Some(form.replace('X', &x).replace('Y', &y))
    }

    /// A message with an aggregate in one column; the others are variables or constants, which group.
    fn folded_send(&mut self, rel: &Rel, scope: &Scope) -> Option<String> {
        let place = rel.cols.iter().position(|t| *t == T::Num).expect("a number");
        let mut args = Vec::new();
        for (i, ty) in rel.cols.iter().enumerate() {
            if i == place {
                args.push(self.folded(scope)?);
                continue;
            }
            let known = scope.of(ty);
            args.push(if known.is_empty() { self.constant(ty)? } else { self.dice.pick(&known).clone() });
        }
        let to = if rel.kind == Kind::Out { "peer.at(1)" } else { "me" };
        Some(format!("{}({}) @ {to} <~", rel.name, args.join(", ")))
    }

    /// `reply ask(req, ..) <~ body`.
    pub fn answer_rule(&mut self) -> bool {
        let mut scope = self.body(true);
        let told = scope.of(&T::Told);
        if !told.is_empty() {
            let req = self.dice.pick(&told).clone();
            let head = match self.dice.below(4) {
                0 => format!("redirect tell({req}, {}) <~", self.expr(&T::Addr, &mut scope, 1)),
                _ => format!("reply tell({req}) <~"),
            };
            self.push_rule(Rule { head, body: scope.body });
            return true;
        }
        let reqs = scope.of(&T::Req);
        if reqs.is_empty() {
            return false;
        }
        let req = self.dice.pick(&reqs).clone();
        let head = match self.dice.below(6) {
            0 => format!("refuse ask({req}, {}) <~", self.expr(&T::Num, &mut scope, 1)),
            3 => format!("redirect ask({req}, {}) <~", self.expr(&T::Addr, &mut scope, 1)),
            1 | 2 => match self.folded(&scope) {
                Some(e) => format!("reply ask({req}, {e}) <~"),
                None => return false,
            },
            _ => format!("reply ask({req}, {}) <~", self.expr(&T::Num, &mut scope, 2)),
        };
        self.push_rule(Rule { head, body: scope.body });
        true
    }

    /// `kv(slot, c) <= body` and the like, if there is a machine.
    pub fn feed_rule(&mut self) -> bool {
        let inputs = self.of(&[Kind::Feed, Kind::Save]);
        if inputs.is_empty() {
            return false;
        }
        let head = *self.dice.pick(&inputs);
        let rel = self.rels[head].clone();
        let mut scope = self.body(true);
        let args: Vec<String> = rel.cols.iter().map(|t| self.expr(t, &mut scope, 1)).collect();
        self.finish(head, format!("{}({}) <=", rel.name, args.join(", ")), scope)
    }

    /// `on body { … }`.
    pub fn block(&mut self) -> bool {
        let mut prefix = self.body(true);
        let drawn = self.dice.percent(35);
        if drawn {
            let ty = self.dice.pick(&[T::Id, T::Num]).clone();
            let e = if ty == T::Id { "unique()" } else { "random() % 3" };
            let x = prefix.fresh(&ty);
            prefix.body.push(format!("let {x} = {e}"));
        }
        let mut rules = Vec::new();
        for _ in 0..self.dice.within(1, 3) {
            let mut scope = Scope { body: vec![], ..prefix.clone() };
            if self.dice.percent(25) {
                self.literal(&mut scope);
            }
            let head = match self.dice.below(5) {
                0 | 1 => {
                    let tables = self.of(&[Kind::Table]);
                    let rel = self.rels[*self.dice.pick(&tables)].clone();
                    let Some(text) = self.delete_head(&rel, &scope) else { continue };
                    text
                }
                2 => {
                    let messages = self.of(&[Kind::Message, Kind::Out]);
                    let rel = self.rels[*self.dice.pick(&messages)].clone();
                    let Some(text) = self.send_head(&rel, &mut scope) else { continue };
                    text
                }
                _ => {
                    let heads = self.of(&[Kind::Table, Kind::Event]);
                    let head = *self.dice.pick(&heads);
                    let rel = self.rels[head].clone();
                    if rel.aggregate || !rel.cols.iter().all(|t| self.fills(t, &scope)) {
                        continue;
                    }
                    let args = self.head_args(&rel, &mut scope, "<=");
                    let text = format!("{}({}) <=", rel.name, args.join(", "));
                    self.reads(head, &scope, &text, &prefix.body);
                    text
                }
            };
            rules.push(Rule { head, body: scope.body });
        }
        if rules.is_empty() {
            return false;
        }
        self.source.rules.push(Block { prefix: prefix.body, rules });
        true
    }
}

/// The expression with types on its bare numbers, for a `let`: Rust finds no method on a number of no type yet.
fn suffixed(e: &str) -> String {
    // A cast from or to a signed number has types enough.
    if e.contains(" as ") {
        return e.into();
    }
    let mut out = String::new();
    let mut last = ' ';
    // Keys of look-ups have the types of their columns.
    let mut inside = 0;
    let mut chars = e.chars().peekable();
    while let Some(c) = chars.next() {
        out.push(c);
        match c {
            '[' => inside += 1,
            ']' => inside -= 1,
            _ => {}
        }
        let number =
            inside == 0 && c.is_ascii_digit() && !last.is_alphanumeric() && last != '.' && last != '_';
        if number && !chars.peek().is_some_and(|next| next.is_alphanumeric()) {
            out.push_str("u64");
        }
        last = c;
    }
    out
}
