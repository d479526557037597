//! Looks: colours, patterns, legend.
//!
//! The colours are those of Okabe and Ito, which the colour-blind can tell apart; each stands beside a form.

use std::fmt::Write;

/// Height of the legend.
pub(super) const LEGEND: f64 = 70.0;

pub(super) const CSS: &str = "
svg{--ink:#1b1f24;--dim:#69727d;--paper:#fff;--lane:#b9c0c8;--blue:#0072b2;--red:#c2410c;--purple:#9c4f83;--green:#00795a;--amber:#b26a00;--shade:#e69f00;font-family:system-ui,'DejaVu Sans',Helvetica,Arial,sans-serif}
@media (prefers-color-scheme:dark){svg{--ink:#e8eaed;--dim:#9aa3ad;--paper:#16191d;--lane:#4a525b;--blue:#56b4e9;--red:#ff8a50;--purple:#e0a3cb;--green:#35c9a0;--amber:#f0b429;--shade:#e69f00}}
.paper{fill:var(--paper)}
text{fill:var(--ink)}
.head{font-size:13px;font-weight:600}
.name{font-size:12.5px;font-weight:600;text-anchor:middle}
.dim{fill:var(--dim);font-weight:400}
.time{font-size:10px;fill:var(--dim);text-anchor:end;font-variant-numeric:tabular-nums}
.tickline{stroke:var(--lane)}
.lane{stroke:var(--lane);stroke-width:1.4}
.waits{stroke:var(--blue);stroke-width:5;opacity:.28}
.label{font-size:10.5px;paint-order:stroke;stroke:var(--paper);stroke-width:3.6px;stroke-linejoin:round}
.m .line{stroke:var(--ink);stroke-width:1.15;fill:none}
.m .reach{stroke:transparent;stroke-width:9;fill:none}
.m.client .line{stroke:var(--blue)} text.m.client{fill:var(--blue)}
.m.lost .line{stroke:var(--red);stroke-dasharray:6 3} .cross{stroke:var(--red);stroke-width:2.2;fill:none} text.m.lost{fill:var(--red)}
.m.copy .line{stroke:var(--purple);stroke-dasharray:1.5 3;stroke-width:1.6} text.m.copy{fill:var(--purple)}
.m .open{fill:var(--paper);stroke:var(--ink)}
.m:hover .line{stroke-width:2.6} text.m:hover{text-decoration:underline}
.arrowhead{fill:context-stroke}
.tick rect{fill:var(--ink);stroke:var(--paper);stroke-width:1}
.tick.deferred rect{fill:var(--paper);stroke:var(--ink)}
.tick:hover rect{fill:var(--shade)}
.timer circle{fill:var(--paper);stroke:var(--amber);stroke-width:1.6} .timer path{stroke:var(--amber);stroke-width:1.3;fill:none} .timer text{fill:var(--amber)}
.crash path{stroke:var(--red);stroke-width:3.2;fill:none} .crash text{fill:var(--red);font-weight:600}
.restart path{fill:var(--green);stroke:var(--paper)} .restart text{fill:var(--green);font-weight:600}
.dead{fill:url(#hatch);stroke:var(--dim);stroke-width:.8}
.append path{stroke:var(--green);stroke-width:1.4}
.flush .bar{stroke:var(--green);stroke-width:3;opacity:.45} .flush .stable{stroke:var(--green);stroke-width:3}
.asks circle{fill:var(--blue);stroke:var(--paper)} .told rect{fill:var(--blue);stroke:var(--paper)} .told text{fill:var(--blue);font-weight:600}
.told.no rect{fill:var(--paper);stroke:var(--red);stroke-width:1.6} .told.no text{fill:var(--red)}
.cut .area{fill:var(--shade);opacity:.09} .cut .apart{fill:url(#dots)} .cut path{stroke:var(--amber);stroke-dasharray:7 3;stroke-width:1.2}
.label.cut{fill:var(--amber);font-weight:600} .note.banner,.note text{font-style:italic;fill:var(--dim)}
.violation rect{fill:var(--red)} .violation text{fill:var(--paper);font-size:12px;font-weight:700} .ring{fill:none;stroke:var(--red);stroke-width:2.6}
.key text{font-size:10.5px}
";

pub(super) const DEFS: &str = r#"<defs><marker id="head" viewBox="0 0 10 8" refX="9.2" refY="4" markerWidth="9" markerHeight="7.2" orient="auto" markerUnits="userSpaceOnUse"><path class="arrowhead" d="M0 0L10 4L0 8L2.6 4z"/></marker><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="6" height="6" style="fill:var(--paper)"/><path d="M0 0V6" style="stroke:var(--dim);stroke-width:3"/></pattern><pattern id="dots" width="6" height="6" patternUnits="userSpaceOnUse"><circle cx="1.5" cy="1.5" r="1" style="fill:var(--shade)"/></pattern></defs>"#;

pub(super) const PAGE: &str = "body{margin:16px;font-family:system-ui,sans-serif;background:#fff;color:#1b1f24}h1{font-size:18px;margin:0 0 4px}p{margin:2px 0;font-size:13px}svg{display:block}#names{position:sticky;top:0;background:inherit;z-index:1}#names svg{height:32px}body>#names{background:#fff}#facts{position:fixed;right:12px;bottom:12px;max-width:46em;max-height:60vh;overflow:auto;margin:0;padding:10px 12px;background:#fffbe8;color:#1b1f24;border:1px solid #b9c0c8;border-radius:6px;font-size:12px;white-space:pre-wrap}@media (prefers-color-scheme:dark){body,body>#names{background:#16191d;color:#e8eaed}#facts{background:#22262b;color:#e8eaed}}";

pub(super) const SCRIPT: &str = "document.addEventListener('click',e=>{const f=document.getElementById('facts');const t=e.target.closest('svg g,svg text');const title=t&&t.querySelector('title');f.hidden=!title;if(title)f.textContent=title.textContent});";

/// What the signs mean.
pub(super) fn legend(y: f64, out: &mut String) {
    let items: [(f64, &str, &str); 12] = [
        (92.0, "message", r#"<g class="m"><path class="line" d="M0 0H26" marker-end="url(#head)"/></g>"#),
        (
            142.0,
            "request or reply",
            r#"<g class="m client"><path class="line" d="M0 0H26" marker-end="url(#head)"/></g>"#,
        ),
        (
            78.0,
            "lost",
            r#"<g class="m lost"><path class="line" d="M0 0H20"/><path class="cross" d="M16-5l10 10m0-10l-10 10"/></g>"#,
        ),
        (78.0, "copy", r#"<g class="m copy"><path class="line" d="M0 0H26" marker-end="url(#head)"/></g>"#),
        (74.0, "tick", r#"<g class="tick"><rect x="8" y="-3" width="11" height="6" rx="1.5"/></g>"#),
        (
            116.0,
            "deferred tick",
            r#"<g class="tick deferred"><rect x="8" y="-3" width="11" height="6" rx="1.5"/></g>"#,
        ),
        (
            84.0,
            "timer",
            r#"<g class="timer"><circle cx="14" cy="0" r="5"/><path d="M14 0v-3.4M14 0h2.6"/></g>"#,
        ),
        (
            116.0,
            "crash, down",
            r#"<g class="crash"><path d="M0-6l12 12m0-12l-12 12"/></g><rect class="dead" x="16" y="-8" width="10" height="16"/>"#,
        ),
        (84.0, "restart", r#"<g class="restart"><path d="M14-6l7 12h-14z"/></g>"#),
        (
            150.0,
            "log: write, flush, stable",
            r#"<g class="append"><path d="M4-5h7"/></g><g class="flush"><path class="bar" d="M20-7V6"/><path class="stable" d="M15.500 6h9"/></g>"#,
        ),
        (
            120.0,
            "client waits, is told",
            r#"<path class="waits" d="M14-8V6"/><g class="told"><rect x="10" y="2" width="8" height="8" transform="rotate(45 14 6)"/></g>"#,
        ),
        (
            110.0,
            "network cut",
            r#"<g class="cut"><rect class="area" x="2" y="-8" width="24" height="16"/><path d="M2-8h24M2 8h24"/></g>"#,
        ),
    ];
    let _ = write!(out, r#"<g class="key">"#);
    let (mut x, mut row) = (14.0, y);
    for (width, name, sign) in items {
        if x + width > 740.0 {
            (x, row) = (14.0, row + 24.0);
        }
        let _ = write!(
            out,
            r#"<g transform="translate({x:.1} {row:.1})">{sign}<text x="32" y="3.5">{name}</text></g>"#
        );
        x += width + 26.0;
    }
    out.push_str("</g>");
}
