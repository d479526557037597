use super::*;

/// Formatting gives `expect`, and formatting that changes nothing.
fn check(source: &str, expect: &str) {
    let once = format_body(source).unwrap();
    assert_eq!(once, expect, "\n--- got ---\n{once}");
    assert_eq!(format_body(&once).unwrap(), once, "not idempotent");
}

#[test]
fn statements_stand_on_lines_of_their_own() {
    check(
        "protocol p;role a;role b;\n\n\n\nat a{table t( k:u64=>v : u64 ) ;\n\n  t(k,v)<=m(k,v),!old t(k,_);}",
        "protocol p;\nrole a;\nrole b;\n\nat a {\n    table t(k: u64 => v: u64);\n\n    t(k, v) <= m(k, v), !old t(k, _);\n}\n",
    );
}

#[test]
fn blocks_nest_and_empty_ones_stay_short() {
    check(
        "at a { on e(x), let y = match x { 0 => 1, n => n } { f(y) <=; } on g() {} on h() { // why\n } }",
        "at a {\n    on e(x), let y = match x { 0 => 1, n => n } {\n        f(y) <=;\n    }\n    on g() {}\n    on h() { // why\n    }\n}\n",
    );
}

#[test]
fn comments_stay_where_they_are() {
    check(
        "// first\nrole a;      // aside\nrole bbbbbbb;// tight\n\n/* two\n   lines */\nat a { // open\n  /// doc\n  t(x) <= e(x), // one\n f(x);\n  // last\n}\n// end\n",
        "// first\nrole a;      // aside\nrole bbbbbbb; // tight\n\n/* two\n   lines */\nat a { // open\n    /// doc\n    t(x) <= e(x), // one\n        f(x);\n    // last\n}\n// end\n",
    );
}

#[test]
fn long_bodies_are_broken_after_commas() {
    check(
        "at proposer { promise_of_a_quorum(ballot, by, floor, votes) <= phase1b(ballot, by, floor, votes), running(ballot), if votes > 0; \
         on very_long_event_name(with, several, arguments), another_relation(several, and, more), let value = compute(with, several) { x(a) <=; } }",
        "\
at proposer {
    promise_of_a_quorum(ballot, by, floor, votes) <= phase1b(ballot, by, floor, votes), running(ballot),
        if votes > 0;
    on very_long_event_name(with, several, arguments), another_relation(several, and, more),
        let value = compute(with, several) {
        x(a) <=;
    }
}
",
    );
    check(
        "message a_rather_long_name(first_column: Option<(Req, Command)>, second_column: Option<(Req, Command)>, third: u64) to proposer;",
        "\
message a_rather_long_name(first_column: Option<(Req, Command)>, second_column: Option<(Req, Command)>,
        third: u64) to proposer;
",
    );
}

#[test]
fn a_short_statement_is_joined_and_braces_on_lines_stay() {
    check(
        "t(x)\n  <= e(x),\n  let y = match x {\n 0 => 1,\n n => n },\n  f(y);",
        "t(x) <= e(x), let y = match x {\n        0 => 1,\n        n => n\n    }, f(y);\n",
    );
    check("t(x)\n  <= e(x),\n\n  f(x);", "t(x) <= e(x), f(x);\n");
}

#[test]
fn only_blocks_are_touched() {
    let source = "use  a ;\nmod m {\n    anabranch::protocol!   {\n  protocol p;\n        role  a; }\n}\nfn f( ) { let s = \"protocol! { x }\"; } // protocol! { y }\n";
    let expect = "use  a ;\nmod m {\n    anabranch::protocol!   {\n        protocol p;\n        role a;\n    }\n}\nfn f( ) { let s = \"protocol! { x }\"; } // protocol! { y }\n";
    assert_eq!(format_file(source).unwrap(), expect);
    assert_eq!(format_file(expect).unwrap(), expect);
    assert_eq!(format_file("protocol! {}").unwrap(), "protocol! {}");
}

#[test]
fn what_does_not_lex_is_refused_with_its_line() {
    let error = format_file("protocol! {\n role a;\n t(x <= e(x);\n}").unwrap_err();
    assert_eq!(error.to_string(), "line 3: `(` has no partner");
    let error = format_file("protocol! {\n role \"a; }").unwrap_err();
    assert_eq!(error.to_string(), "line 2: this string does not end");
}

#[test]
fn half_written_rules_keep_their_tokens() {
    for source in
        ["t(x) <=", "at { x", "on e(x) , }", "<= <= ; ; a b c", "on on at at;", "t(x) <= e(x) { y } { z }"]
    {
        if let Ok(text) = format_body(source) {
            assert_eq!(format_body(&text).unwrap(), text, "{source}");
        }
    }
}
