//! Planted faults in generated code: misprints, of the kind that the code generator might make.
//!
//! What [`super::faults`] does to plans, this does to the Rust that is made of them, so as to know that comparing
//! compiled programs with the interpreter would show such a mistake. All faults of a program are compiled at once,
//! each behind a question ([`CALL`]) whose answer the test chooses, because compiling is what takes time.
//!
//! A misprint is a pattern over tokens and what is put in its place. Nothing of it is in the code generator; if
//! that writes something else one day, a pattern is found nowhere, and the test says so.

use crate::random::Dice;

/// A kind of mistake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Misprint {
    /// What goes wrong.
    pub name: &'static str,
    /// Tokens, separated by blanks. `$` stands for any token, `$$` for any balanced sequence, the `#` at the end of
    /// a name for digits; `^` in front says that a statement begins here.
    pub find: &'static str,
    /// What comes instead: `$0` is what was found, `$1` and so on what the signs stood for, `PLANTED` the question.
    pub put: &'static str,
}

/// The question, a path to `fn(u32) -> bool`, in the generated code.
pub const CALL: &str = "crate::planted";

/// A statement is left out.
const LEFT_OUT: &str = "if ! PLANTED { $0 }";

/// All kinds.
pub const ALL: &[Misprint] = &[
    one(
        "a deferred tick is forgotten",
        "self . __deferred = __changed ||",
        "self . __deferred = ! PLANTED && __changed ||",
    ),
    one("`new` rows stay new", "^ self . __n# . clear ( ) ;", LEFT_OUT),
    one("`new` rows go unnoticed", "^ self . __n# . plus ( __r ) ;", LEFT_OUT),
    one(
        "`new` rows are not looked at",
        "self . __n# . appeared ( )",
        "self . __n$1 . appeared ( ) . into_iter ( ) . take ( if PLANTED { 0 } else { usize :: MAX } )",
    ),
    one("`old` changes stay", "^ self . __o# . clear ( ) ;", LEFT_OUT),
    one(
        "rows that are gone are not `old`",
        "self . __o# . disappeared ( )",
        "self . __o$1 . disappeared ( ) . into_iter ( ) . take ( if PLANTED { 0 } else { usize :: MAX } )",
    ),
    one(
        "rows that are new are `old`",
        "if self . __o# . sign ( & __row ) <= 0 {",
        "if PLANTED || self . __o$1 . sign ( & __row ) <= 0 {",
    ),
    one("the phase of deletions is not told", "^ self . __phase_a = true ;", LEFT_OUT),
    one("a view is not released", "^ self . __release# ( __args ) ;", LEFT_OUT),
    one("a deletion has no consequences", "^ self . __dropped# ( $$ ) ;", LEFT_OUT),
    one("deltas of insertions are dropped", "^ self . __deltas# ( $$ , 1 ) ;", LEFT_OUT),
    one("deltas of deletions are dropped", "^ self . __deltas# ( $$ , - 1 ) ;", LEFT_OUT),
    one(
        "a deletion adds",
        "self . __deltas# ( $$ , - 1 )",
        "self . __deltas$1 ( $2 , if PLANTED { 1 } else { - 1 } )",
    ),
    one(
        "a negated delta has the wrong sign",
        "let __w = - __w ;",
        "let __w = if PLANTED { __w } else { - __w } ;",
    ),
    one("a contribution is lost", "^ self . __c# . add ( $$ ) ;", LEFT_OUT),
    one(
        "a loss counts as a gain",
        ". settle ( __r ) == Some ( false )",
        ". settle ( __r ) == Some ( PLANTED )",
    ),
    one(
        "a gain counts as a loss",
        ". settle ( __r ) == Some ( true )",
        ". settle ( __r ) == Some ( ! PLANTED )",
    ),
    one(
        "a deletion is logged as an insertion",
        "__core :: code :: DELETE )",
        "if PLANTED { __core :: code :: PUT } else { __core :: code :: DELETE } )",
    ),
    one("a change is not logged", "if self . __logging {", "if self . __logging && ! PLANTED {"),
    one(
        "a snapshot lacks its first row",
        "__core :: wire :: put_varint ( self . __t# . len ( ) as u64 , __out ) ; for $$ in self . __t# . iter ( ) {",
        "__core :: wire :: put_varint ( ( self . __t$1 . len ( ) as u64 ) . saturating_sub ( u64 :: from ( PLANTED ) ) , __out ) ; \
         for $2 in self . __t$3 . iter ( ) . skip ( usize :: from ( PLANTED ) ) {",
    ),
    one("a restored row is lost", "^ self . __add# ( & __row ) ;", LEFT_OUT),
    one("a step is missing", "^ self . __step# ( __args , __out ) ? ;", LEFT_OUT),
    one(
        "two steps have changed places",
        "^ self . __step# ( __args , __out ) ? ; self . __step# ( __args , __out ) ? ;",
        "if PLANTED { self . __step$2 ( __args , __out ) ? ; self . __step$1 ( __args , __out ) ? ; } else { $0 }",
    ),
    one(
        "a deletion does not compare values",
        "if * ( & __s# . $ ) == * ( & __key . $ ) {",
        "if PLANTED || * ( & __s$1 . $2 ) == * ( & __key . $3 ) {",
    ),
    one("a replaced row stays", "&& ! ( true && __old", "&& ! PLANTED && ! ( true && __old"),
    one(
        "a repeated row conflicts",
        "if true && __old . $ == __row . $",
        "if ! PLANTED && __old . $1 == __row . $2",
    ),
    one(
        "a row that is inserted again is deleted",
        "if ! __again . contains ( & __row ) {",
        "if PLANTED || ! __again . contains ( & __row ) {",
    ),
    one("a negated atom is missing", "if ! ( '__f# :", "if PLANTED || ! ( '__f$1 :"),
    one(
        "a repeated variable is not compared",
        "if * ( & __r . $ ) == * __v# {",
        "if PLANTED || * ( & __r . $1 ) == * __v$2 {",
    ),
    one("a message is sent twice", "if self . __sent# . first (", "if PLANTED || self . __sent$1 . first ("),
    one("events stay", "^ self . __e# . clear ( ) ;", LEFT_OUT),
    one("groups of events stay", "^ self . __g# . clear ( ) ;", LEFT_OUT),
    one("a row is missing in an index", "^ self . __t# . insert ( $$ ) ;", LEFT_OUT),
    one("a row stays in an index", "^ self . __t# . remove ( $$ ) ;", LEFT_OUT),
    one("a recursive view is not recomputed", "^ self . __dirty# = true ;", LEFT_OUT),
    one("recursion stops early", "^ self . __fq# . push ( $$ ) ;", LEFT_OUT),
    one("a conflict goes unnoticed", "^ return Err ( __core :: code :: conflict_at ( $$ ) ) ;", LEFT_OUT),
    one("a view's key is not checked", "| * __n > 1 )", "| * __n > if PLANTED { 9 } else { 1 } )"),
    one("a standing rule is not woken", "^ self . __stand# . push ( $$ ) ;", LEFT_OUT),
    one("`<+` is dropped", "^ self . __x# . push ( $$ ) ;", LEFT_OUT),
    one("`<-` is dropped", "^ self . __d# . push ( $$ ) ;", LEFT_OUT),
    one("`<=` is dropped", "^ self . __b# . push ( $$ ) ;", LEFT_OUT),
    one(
        "the greatest is the least (event)",
        "^ __core :: store :: fold :: keep_max ( $$ ) ;",
        "if PLANTED { __core :: store :: fold :: keep_min ( $1 ) ; } else { $0 }",
    ),
    one(
        "a lattice is upside down",
        "^ __core :: store :: fold :: merge_max ( $$ ) ;",
        "if PLANTED { __core :: store :: fold :: merge_min ( $1 ) ; } else { $0 }",
    ),
    one("a timer's rows never wait", "^ self . __timer# . plus ( $$ ) ;", LEFT_OUT),
    one("a timer's rows wait for ever", "^ self . __timer# . minus ( $$ ) ;", LEFT_OUT),
    one("answers are not given", "^ self . __answers . reply ( $$ ) ;", LEFT_OUT),
];

const fn one(name: &'static str, find: &'static str, put: &'static str) -> Misprint {
    Misprint { name, find, put }
}

/// Tokens as places in a text. Good enough for what the generator writes and random programs contain: no comments,
/// no raw strings, no brackets in character literals.
fn tokens(text: &str) -> Vec<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let begin = at;
        match bytes[at] {
            b if b.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'(' | b')' | b'[' | b']' | b'{' | b'}' | b',' | b';' => at += 1,
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            _ => {
                let ends = |b: u8| b.is_ascii_whitespace() || b"()[]{},;\"".contains(&b);
                while at < bytes.len() && !ends(bytes[at]) {
                    at += 1;
                }
            }
        }
        out.push((begin, at.min(bytes.len())));
    }
    out
}

/// Matches a pattern against tokens from `at`; where the match ends, and what its signs stood for (as token ranges,
/// or the end of one name).
fn matches(words: &[&str], pattern: &[&str], at: usize, found: &mut Vec<String>) -> Option<usize> {
    let Some((&first, rest)) = pattern.split_first() else { return Some(at) };
    if first == "$$" {
        let mut depth = 0usize;
        let mut end = at;
        loop {
            if depth == 0 {
                let kept = found.len();
                found.push(words[at..end].join(" "));
                if let Some(end) = matches(words, rest, end, found) {
                    return Some(end);
                }
                found.truncate(kept);
            }
            match *words.get(end)? {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.checked_sub(1)?,
                _ => {}
            }
            end += 1;
        }
    }
    let word = *words.get(at)?;
    match first.strip_suffix('#') {
        _ if first == "$" => found.push(word.to_string()),
        Some(name) => {
            let digits = word.strip_prefix(name)?;
            let number = |b: u8| b.is_ascii_digit() || b == b'_';
            if digits.is_empty() || !digits.bytes().all(number) {
                return None;
            }
            found.push(digits.to_string());
        }
        None if first == word => {}
        None => return None,
    }
    matches(words, rest, at + 1, found)
}

/// Where a misprint fits: tokens, and what comes instead.
struct Place {
    kind: usize,
    begin: usize,
    end: usize,
    found: Vec<String>,
}

fn places(words: &[&str]) -> Vec<Place> {
    let mut all = Vec::new();
    for (kind, misprint) in ALL.iter().enumerate() {
        let mut pattern: Vec<&str> = misprint.find.split_whitespace().collect();
        let statement = pattern[0] == "^";
        if statement {
            pattern.remove(0);
        }
        for begin in 0..words.len() {
            if statement && begin > 0 && !matches!(words[begin - 1], "{" | "}" | ";") {
                continue;
            }
            let mut found = Vec::new();
            if let Some(end) = matches(words, &pattern, begin, &mut found) {
                all.push(Place { kind, begin, end, found });
            }
        }
    }
    all
}

/// Code with faults in it, and the kind of each: the n-th is there while [`CALL`] answers yes to n.
///
/// Only the node of the first role is touched, since only that one is run. At most `most` of a kind, in places that
/// do not overlap, drawn.
pub fn plant(code: &str, most: usize, dice: &mut Dice) -> (String, Vec<&'static str>) {
    let begin = code.find("pub struct __Role0").unwrap_or(code.len());
    let end = code[begin..].find("pub struct __Role1").map_or(code.len(), |n| begin + n);
    let spans = tokens(&code[begin..end]);
    let words: Vec<&str> = spans.iter().map(|&(a, b)| &code[begin + a..begin + b]).collect();
    let mut open = places(&words);
    let mut taken: Vec<Place> = Vec::new();
    while !open.is_empty() {
        let place = open.swap_remove(dice.below(open.len()));
        let apart = |other: &Place| place.end <= other.begin || other.end <= place.begin;
        if taken.iter().all(apart) && taken.iter().filter(|p| p.kind == place.kind).count() < most {
            taken.push(place);
        }
    }
    taken.sort_by_key(|p| p.begin);
    let mut out = code[..begin].to_string();
    let mut at = 0;
    for (number, place) in taken.iter().enumerate() {
        let (from, to) = (spans[place.begin].0, spans[place.end - 1].1);
        out.push_str(&code[begin + at..begin + from]);
        let mut put = ALL[place.kind].put.replace("PLANTED", &format!("{CALL}({number})"));
        for (i, text) in place.found.iter().enumerate() {
            put = put.replace(&format!("${}", i + 1), text);
        }
        out.push_str(&put.replace("$0", &code[begin + from..begin + to]));
        at = to;
    }
    out.push_str(&code[begin + at..]);
    (out, taken.iter().map(|p| ALL[p.kind].name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planted(code: &str) -> (String, Vec<&'static str>) {
        plant(&format!("pub struct __Role0 ; {code} pub struct __Role1 ; {code}"), 9, &mut Dice::new(1))
    }

    #[test]
    fn a_statement_is_left_out_where_it_stands_by_itself() {
        let (out, kinds) =
            planted("{ self . __t7_0 . insert (f (a) , \"; )\") ; let x = self . __t7_0 . insert (a) ; }");
        assert_eq!(kinds, ["a row is missing in an index"]);
        assert_eq!(
            out,
            "pub struct __Role0 ; { if ! crate::planted(0) { self . __t7_0 . insert (f (a) , \"; )\") ; } let x = self . __t7_0 . \
             insert (a) ; } pub struct __Role1 ; { self . __t7_0 . insert (f (a) , \"; )\") ; let x = self . __t7_0 . insert (a) ; }"
        );
    }

    #[test]
    fn parts_of_what_was_found_return() {
        let (out, kinds) = planted("; self . __deltas5 (& x (1) , - 1) ;");
        assert_eq!(kinds.len(), 1);
        assert!(
            out.contains("self . __deltas5 ( & x ( 1 ) , if crate::planted(0) { 1 } else { - 1 } )")
                || out.contains("if ! crate::planted(0) { self . __deltas5 (& x (1) , - 1) ; }"),
            "{out}"
        );
    }

    #[test]
    fn places_do_not_overlap_and_are_bounded() {
        let step = "self . __step1 (__args , __out) ? ; ";
        let (out, kinds) = planted(&step.repeat(30));
        assert!(kinds.iter().filter(|k| **k == "a step is missing").count() <= 9);
        assert!(kinds.iter().filter(|k| **k == "two steps have changed places").count() <= 9);
        assert!((1..=18).contains(&kinds.len()));
        assert_eq!(out.matches("crate::planted").count(), kinds.len());
    }
}
