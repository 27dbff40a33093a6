/** Text of ours as HTML: nothing that is put in can become markup. */
export const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** One line with `code` in backticks. */
export const inline = (text: string): string => escape(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>');

/** Paragraphs apart by an empty line. */
export const paragraphs = (text: string): string => text.split('\n\n').map((paragraph) => `<p>${inline(paragraph)}</p>`).join('\n');

/** A whole page with its one style sheet: it needs no script and nothing from elsewhere. */
export const page = (title: string, body: string): string =>
  `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<style>${STYLE}</style>
</head>
<body>
${body}
</body>
</html>
`;

/** Hashed into the Content-Security-Policy of each page. */
export const STYLE = `
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5b6675; --line: #dde2e9; --paper: #fff; --shade: #f5f7fa; --link: #1457b8; --get: #0b6e4f; --post: #1457b8; --patch: #8a5a00; --bad: #a3232e }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --soft: #9aa5b4; --line: #323a46; --paper: #14181f; --shade: #1d232c; --link: #7db1ff; --get: #4fc79b; --post: #7db1ff; --patch: #e0ab4f; --bad: #f08a92 } }
* { box-sizing: border-box }
html { scroll-padding-top: 1rem }
body { margin: 0; font: 15px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper) }
a { color: var(--link); text-decoration: none } a:hover { text-decoration: underline }
code, pre { font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", monospace }
code { background: var(--shade); padding: .1em .3em; border-radius: 3px; overflow-wrap: anywhere }
pre { background: var(--shade); border: 1px solid var(--line); border-radius: 6px; padding: .7rem .9rem; overflow-x: auto; margin: .5rem 0 1rem }
pre code { background: none; padding: 0; overflow-wrap: normal }
.frame { display: grid; grid-template-columns: 18rem minmax(0, 1fr); max-width: 84rem; margin: 0 auto }
nav { position: sticky; top: 0; align-self: start; height: 100vh; overflow-y: auto; padding: 1.5rem 1rem; border-right: 1px solid var(--line); font-size: 14px }
nav h2 { font-size: 12px; text-transform: uppercase; letter-spacing: .06em; color: var(--soft); margin: 1.2rem 0 .3rem }
nav ul { list-style: none; margin: 0; padding: 0 } nav li { margin: .15rem 0 } nav a { color: inherit }
main { padding: 1.5rem 2rem 6rem; min-width: 0 }
main.narrow { max-width: 52rem; margin: 0 auto }
h1 { font-size: 1.9rem; margin: 0 0 .2rem } main > h2 { font-size: 1.4rem; margin: 3rem 0 .2rem; padding-top: .6rem; border-top: 2px solid var(--line) }
section > h3 { font-size: 1.15rem; margin: 2.2rem 0 .2rem } h4 { font-size: .8rem; text-transform: uppercase; letter-spacing: .05em; color: var(--soft); margin: 1.1rem 0 .3rem } h3 code { font-size: 1em } h4 code { text-transform: none; letter-spacing: 0 }
.path { font: 600 14px/1.6 ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere }
.verb { text-transform: uppercase; margin-right: .5rem } .get { color: var(--get) } .post { color: var(--post) } .patch { color: var(--patch) }
.facts { color: var(--soft); font-size: 14px } .facts span + span::before { content: " · " }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: 14px; margin: .3rem 0 1rem } td, th { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line) } th { color: var(--soft); font-weight: 600 }
td:first-child { white-space: nowrap }
.need { color: var(--bad) } .status { font-weight: 600 } .good { color: var(--get) } .bad { color: var(--bad) }
section:target > h3, section:target > h2 { background: var(--shade); box-shadow: -.6rem 0 0 var(--shade), .6rem 0 0 var(--shade) }
@media (max-width: 52rem) { .frame { display: block } nav { position: static; height: auto; border-right: 0; border-bottom: 1px solid var(--line) } main { padding: 1rem } }
`;
