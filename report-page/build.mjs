// Makes the page without a snapshot, one file: node build.mjs OUTPUT. `cargo xtask page` calls it.
//
// The result depends on the sources and on package-lock.json only. The page's policy allows exactly this script and this style, so a
// name in the snapshot cannot become code, and nothing can be loaded.

import { build } from "esbuild";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

const bundle = async (entry) => {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    write: false,
    format: "iife",
    target: ["es2021", "chrome100", "firefox100", "safari15"],
    charset: "ascii",
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "none",
  });
  return outputFiles[0].text.trim();
};

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

const [script, style] = [await bundle("src/main.jsx"), await bundle("src/page.css")];
for (const text of [script, style]) {
  if (/<\/(script|style)|<!--|@tenure-snapshot@/i.test(text)) throw new Error("the bundle has text that ends its element");
}
const policy = `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; base-uri 'none'; form-action 'none'`;
const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Memory</title>
<!-- Made from report-page/ by \`cargo xtask page\`; do not edit. Contains Preact, ${JSON.parse(readFileSync("node_modules/preact/package.json")).version}, MIT license. -->
<style>${style}</style>
</head>
<body>
<div id="page"><noscript>This page needs JavaScript, which it contains. The data stand in it as JSON.</noscript></div>
<script type="application/json" id="snapshot">@tenure-snapshot@</script>
<script>${script}</script>
</body>
</html>
`;
writeFileSync(process.argv[2], page);
