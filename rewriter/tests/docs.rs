//! Every block of `docs/rewriting.md`: programs are checked, plans carried out on the program before them, and those
//! marked as refused are refused for the reason that the page names.

use anabranch_rewriter::plan;

enum Block<'a> {
    Program(&'a str),
    Plan(&'a str, Option<&'a str>),
}

fn blocks(page: &str) -> Vec<(usize, Block<'_>)> {
    let mut found = Vec::new();
    let mut refused = None;
    let mut rest = page;
    while let Some(at) = rest.find('\n') {
        let line = &rest[..at];
        let after = &rest[at + 1..];
        let number = page[..page.len() - rest.len()].matches('\n').count() + 1;
        if let Some(item) = line.strip_prefix("<!-- refused: ").and_then(|l| l.strip_suffix(" -->")) {
            refused = Some(item);
        } else if let Some(language) = line.strip_prefix("```") {
            let end = after.find("\n```").expect("blocks end") + 1;
            let text = &after[..end];
            match language {
                "rust" => found.push((number, Block::Program(text))),
                "toml" => found.push((number, Block::Plan(text, refused.take()))),
                _ => {}
            }
            rest = after[end..].split_once('\n').map_or("", |(_, rest)| rest);
            continue;
        }
        rest = after;
    }
    found
}

#[test]
fn plans_do_what_the_page_says() {
    let page = include_str!("../../docs/rewriting.md");
    let mut program = None;
    let (mut applied, mut refused) = (0, 0);
    for (line, block) in blocks(page) {
        match block {
            Block::Program(text) => {
                let outcome = anabranch_dsl::parse_str(text);
                let errors: Vec<String> = outcome.diagnostics.iter().map(ToString::to_string).collect();
                program = Some(outcome.protocol.unwrap_or_else(|| panic!("line {line}: {errors:?}")));
            }
            Block::Plan(text, wanted) => {
                let plan = plan::parse(text).unwrap_or_else(|e| panic!("line {line}: {e}"));
                let base = program.as_ref().expect("a program stands before");
                let got = plan::apply(base, &plan);
                match (got, wanted) {
                    (Ok(_), None) => applied += 1,
                    (Err(stuck), Some(item)) => {
                        assert_eq!(
                            stuck.refusal.item.to_string(),
                            item,
                            "line {line}: {}",
                            stuck.refusal.diagnostic
                        );
                        refused += 1;
                    }
                    (Ok(_), Some(item)) => panic!("line {line}: not refused for {item}"),
                    (Err(stuck), None) => {
                        panic!("line {line}: {}: {}", stuck.refusal.item, stuck.refusal.diagnostic)
                    }
                }
            }
        }
    }
    assert!(applied >= 5 && refused >= 4, "{applied} applied, {refused} refused");
}
