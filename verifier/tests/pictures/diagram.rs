//! Diagrams.

use crate::runs;
use anabranch_verifier::diagram;
use anabranch_verifier::trace::{Trace, What};

fn picture(name: &str, trace: &Trace) -> String {
    let svg = diagram::svg(trace);
    if let Some(folder) = std::env::var_os("PICTURES") {
        let folder = std::path::Path::new(&folder);
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join(format!("{name}.svg")), &svg).unwrap();
        std::fs::write(folder.join(format!("{name}.html")), diagram::html(trace)).unwrap();
    }
    svg
}

/// The place of each label: left, right, base line.
fn labels(svg: &str) -> Vec<(f64, f64, f64, String)> {
    let number = |text: &str, name: &str| -> f64 {
        let at = text.find(&format!(" {name}=\"")).unwrap() + name.len() + 3;
        text[at..].split('"').next().unwrap().parse().unwrap()
    };
    let mut found = Vec::new();
    for part in svg.split("<text class=\"label").skip(1) {
        let (head, rest) = part.split_once('>').unwrap();
        let inner = rest.split("</text>").next().unwrap();
        let shown = inner.rsplit("</title>").next().unwrap();
        let (x, y, width) = (number(head, "x"), number(head, "y"), shown.chars().count() as f64 * 5.7);
        let left = if head.contains("text-anchor=\"end\"") { x - width } else { x };
        found.push((left, left + width, y, shown.to_owned()));
    }
    found
}

fn count(trace: &Trace, of: impl Fn(&What) -> bool) -> usize {
    trace.steps.iter().filter(|s| of(&s.what)).count()
}

/// Draws a run, and checks that all of it is there and no two labels stand upon each other.
pub fn check(name: &str, trace: &Trace) {
    let svg = picture(name, trace);
    let sends = count(trace, |w| matches!(w, What::Send { .. } | What::Duplicate { .. }));
    assert_eq!(
        svg.matches(r#"class="line" d="M"#).count() - 4,
        sends,
        "a line for each message; four in the legend"
    );
    let ends = count(trace, |w| matches!(w, What::Deliver { .. } | What::Drop { .. }));
    assert_eq!(svg.matches("<text class=\"label m").count(), ends, "a label for each that ended");
    let ticks = count(trace, |w| matches!(w, What::Tick(_)));
    let marks = svg.matches(r#"class="tick""#).count() + svg.matches(r#"class="tick deferred""#).count();
    assert_eq!(marks - 2, ticks, "a mark for each tick; two in the legend");
    assert_eq!(svg.matches("<g").count(), svg.matches("</g>").count());
    assert_eq!(svg.matches("http").count(), 1, "nothing from the network; the name space is no address");
    let labels = labels(&svg);
    for (i, a) in labels.iter().enumerate() {
        for b in &labels[..i] {
            let apart = a.1 <= b.0 || b.1 <= a.0 || (a.2 - b.2).abs() >= 10.0;
            assert!(apart, "{} and {} stand upon each other at {} {}", a.3, b.3, a.2, b.2);
        }
    }
}

#[test]
fn small_run() {
    let trace = runs::small();
    assert_eq!(count(&trace, |w| matches!(w, What::Send { .. })), 5);
    check("small", &trace);
}

#[test]
fn large_run() {
    let trace = runs::large();
    assert!(count(&trace, |w| matches!(w, What::Send { .. })) >= 60);
    check("large", &trace);
}

#[test]
fn run_with_faults() {
    let trace = runs::faulty();
    check("faulty", &trace);
    let svg = diagram::svg(&trace);
    for sign in [
        "class=\"crash\"",
        "class=\"dead\"",
        "class=\"restart\"",
        "class=\"cut\"",
        "class=\"violation\"",
        "class=\"ring\"",
        "m copy",
        "m lost",
        "never ends",
    ] {
        assert!(svg.contains(sign), "no {sign}");
    }
}

#[test]
fn texts_are_escaped() {
    let mut trace = runs::small();
    trace.protocol = "a<b>&\"c\"\u{1}".into();
    let svg = diagram::svg(&trace);
    assert!(svg.contains("a&lt;b&gt;&amp;&quot;c&quot;\u{fffd}: seed 1"));
    assert!(!svg.contains("<b>"));
}

#[test]
fn an_empty_run_is_drawn() {
    let svg = diagram::svg(&Trace::default());
    assert!(svg.ends_with("</svg>\n"));
}
