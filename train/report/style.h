// The report's CSS: light and dark by the reader's preference, always light on paper.
#pragma once

namespace mg {

inline constexpr const char* kReportStyle = R"css(
:root {
  color-scheme: light dark;
  --page: #fbfbfa; --card: #ffffff; --ink: #1c2128; --soft: #5b6470; --line: #dfe2e6; --faint: #eef0f2;
  --accent: #2459c9; --heat: #2459c9; --s1: #2459c9; --s2: #c2410c; --s3: #0f7b56; --s4: #86198f;
  --best: #0f7b56; --constant: #b45309; --chance: #7a828d; --warning: #9a3412; --warning-page: #fff4ec;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171b; --card: #1b1f25; --ink: #e6e8eb; --soft: #a0a9b4; --line: #343b44; --faint: #262c34;
    --accent: #7aa5ff; --heat: #3d74e0; --s1: #7aa5ff; --s2: #ff9a5c; --s3: #4ccb9c; --s4: #e39bec;
    --best: #4ccb9c; --constant: #f0b058; --chance: #98a1ac; --warning: #ffb48a; --warning-page: #33241b;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 76rem; padding: 2.5rem 1.5rem 4rem; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif;
  font-variant-numeric: tabular-nums; }
h1, h2, h3, h4 { line-height: 1.25; text-wrap: balance; overflow-wrap: anywhere; }
h1 { font-size: 2.1rem; margin: 0 0 .4rem; letter-spacing: -.015em; }
h2 { font-size: 1.4rem; margin: 0 0 1rem; }
h3 { font-size: 1.08rem; margin: 2rem 0 .6rem; }
h4 { font-size: .95rem; margin: 1.5rem 0 .4rem; }
p { margin: .4rem 0 .9rem; max-width: 70ch; }
section { margin-top: 2.75rem; padding-top: 1.75rem; border-top: 1px solid var(--line); }
a { color: var(--accent); }
.kicker { margin: 0 0 .2rem; color: var(--soft); font-size: .85rem; letter-spacing: .04em; text-transform: uppercase; }
.lead { color: var(--soft); overflow-wrap: anywhere; }
.label { unicode-bidi: isolate; overflow-wrap: anywhere; }
.absent { color: var(--soft); font-style: italic; }
.warning { color: var(--warning); background: var(--warning-page); border-left: 3px solid currentColor;
  padding: .5rem .8rem; }
.going-on { background: var(--faint); border-left: 3px solid var(--accent); padding: .5rem .8rem; }
nav { margin: 1.5rem 0 0; font-size: .92rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; list-style: none; margin: 0; padding: 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); gap: 1rem; margin-top: 1.5rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1.1rem 1.25rem 1rem; }
.card h3 { margin: 0; font-size: 1rem; }
.card .scope { margin: 0; color: var(--soft); font-size: .88rem; }
.card .big { margin: .5rem 0 .3rem; font-size: 2.5rem; font-weight: 650; line-height: 1.1; letter-spacing: -.02em; }
.card .big small { font-size: .95rem; font-weight: 400; letter-spacing: 0; color: var(--soft); }
.card dl { margin: .7rem 0 0; font-size: .92rem; }
.card dl div { display: flex; justify-content: space-between; gap: 1rem; padding: .15rem 0; }
.card dt { color: var(--soft); }
.card dd { margin: 0; text-align: right; white-space: nowrap; }
.key { display: inline-block; width: .28rem; height: .85em; margin-right: .5rem; vertical-align: -.08em; }
.key.best { background: var(--best); } .key.constant { background: var(--constant); }
.key.chance { background: var(--chance); }
.meter { display: block; width: 100%; height: 16px; overflow: visible; }
.meter .track { fill: var(--faint); } .meter .value { fill: var(--accent); }
.meter rect + .value ~ rect { stroke: var(--card); stroke-width: 1; vector-effect: non-scaling-stroke; }
.meter .best { fill: var(--best); } .meter .constant { fill: var(--constant); } .meter .chance { fill: var(--chance); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .4rem 0 1.2rem; font-size: .93rem; }
caption { text-align: left; color: var(--soft); padding: .2rem 0 .4rem; caption-side: top; overflow-wrap: anywhere; }
.pair td:not(.label) { white-space: nowrap; }
th, td { padding: .32rem .9rem .32rem 0; border-bottom: 1px solid var(--line); vertical-align: top; text-align: right; }
th:last-child, td:last-child { padding-right: 0; }
th { font-weight: 500; }
thead th { color: var(--soft); font-size: .86rem; border-bottom-color: var(--soft); vertical-align: bottom; }
th[scope=row], thead th:first-child, td.text { text-align: left; overflow-wrap: anywhere; }
.wide th[scope=row], .wide td.text { min-width: 7rem; }
.problems thead th { text-align: left; } .problems td:first-child { text-align: left; }
td.bar { white-space: nowrap; min-width: 9.5rem; }
td.bar .number { display: inline-block; width: 3.6rem; padding-right: .6rem; }
td.bar .track { display: inline-block; width: 5.5rem; height: .5rem; background: var(--faint); vertical-align: .06em;
  text-align: left; }
td.bar .track span { display: block; height: 100%; background: var(--accent); }
td.bar .no { background: none; }
.classes thead th:nth-child(n+3) { text-align: left; padding-left: 1.2rem; }
.pair > div { max-width: 100%; }
.pair { display: flex; flex-wrap: wrap; gap: 0 5rem; align-items: flex-start; }
.levels { width: min(100%, 46rem); } .levels td.bar { width: 60%; } .levels thead th { text-align: left; }
.levels td.bar { text-align: left; } .levels td.bar .track { width: calc(100% - 4.4rem); }
td.bar.best .track span { background: var(--best); } td.bar.constant .track span { background: var(--constant); }
td.bar.chance .track span { background: var(--chance); }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem; margin: .8rem 0 0; font-size: .95rem; }
.facts dt { color: var(--soft); } .facts dd { margin: 0; overflow-wrap: anywhere; }
.split { margin: 2rem 0 0; font-size: 1.2rem; } .split + .cards { margin-top: .8rem; }
.note { color: var(--soft); font-size: .92rem; margin-top: .9rem; }
.columns { columns: 20rem; column-gap: 2.5rem; }
.keys { width: 100%; break-inside: avoid; } .keys caption { font-weight: 600; color: var(--ink); }
.keys th { color: var(--soft); width: 45%; } #environment .keys { max-width: 46rem; } #environment .keys th { width: 30%; }
figure { margin: 0; }
figcaption { font-size: .93rem; margin-bottom: .3rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); gap: 1.6rem 2rem; }
.chart figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem; }
.chart > svg { display: block; width: 100%; height: auto; }
.legend span { margin-left: 1rem; white-space: nowrap; color: var(--soft); }
.legend svg { margin-right: .4rem; vertical-align: .08em; }
.confusion { margin: 1.2rem 0; } .confusion svg { max-width: none; height: auto; }
.confused { margin: 0; padding-left: 1.4rem; } .confused b { font-weight: 500; } .confused li { padding: .1rem 0; }
svg text { fill: var(--ink); font-size: 12px; }
svg .tick { fill: var(--soft); } svg .unit { fill: var(--soft); font-style: italic; }
svg .end { text-anchor: end; } svg .middle, svg .count { text-anchor: middle; }
svg .strong { fill: #ffffff; font-weight: 600; }
svg .grid { stroke: var(--line); stroke-width: 1; fill: none; } svg .axis { stroke: var(--soft); stroke-width: 1; }
svg .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; } svg .band { stroke: none; fill-opacity: .18; }
svg .heat { fill: var(--heat); }
.line.s1 { stroke: var(--s1); } .line.s2 { stroke: var(--s2); stroke-dasharray: 7 3; }
.line.s3 { stroke: var(--s3); stroke-dasharray: 2 3; } .line.s4 { stroke: var(--s4); stroke-dasharray: 9 3 2 3; }
.dot.s1, .band.s1 { fill: var(--s1); } .dot.s2, .band.s2 { fill: var(--s2); }
.dot.s3, .band.s3 { fill: var(--s3); } .dot.s4, .band.s4 { fill: var(--s4); }
@media (max-width: 42rem) {
  body { padding: 1.5rem 1rem 3rem; }
  .stack, .stack tbody, .stack tr, .stack th, .stack td { display: block; width: 100%; }
  .stack thead { display: none; }
  .stack tbody th { border: 0; font-weight: 600; padding-top: .7rem; }
  .stack td { display: flex; justify-content: space-between; gap: 1rem; padding: .15rem 0; border-bottom-color: var(--faint); }
  .stack td::before { content: attr(data-head); color: var(--soft); }
}
@media print {
  :root {
    color-scheme: light;
    --page: #ffffff; --card: #ffffff; --ink: #111111; --soft: #444444; --line: #cccccc; --faint: #eeeeee;
    --accent: #2459c9; --heat: #2459c9; --s1: #2459c9; --s2: #c2410c; --s3: #0f7b56; --s4: #86198f;
    --best: #0f7b56; --constant: #b45309; --chance: #7a828d; --warning: #9a3412; --warning-page: #fff4ec;
  }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { display: none; }
  h2, h3, h4, caption, thead { break-after: avoid; }
  .warning { break-after: avoid; }
  figure, .card, tr, .pair { break-inside: avoid; }
  .cards { grid-template-columns: repeat(3, 1fr); gap: .6rem; }
  .card dd { white-space: normal; }
  .card .big { font-size: 1.8rem; }
  .charts { grid-template-columns: 1fr 1fr; gap: 1rem; }
  .wide { overflow: visible; }
  .confusion svg { max-width: 100%; }
}
)css";

}  // namespace mg
