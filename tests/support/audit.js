/* What a page lacks for people who cannot see it well, or use no mouse; returns a list of sentences. The rules are those of
   WCAG 2.2 that a program can judge: names, contrast, headings, labels, tables, what scrolls without a focus. */
const complaints = [];
const complain = (element, text) => complaints.push(`${describe(element)}: ${text}`);
const isShown = element => element.checkVisibility({visibilityProperty: true}) && element.getClientRects().length > 0;
const all = selector => [...document.querySelectorAll(selector)].filter(isShown);

function describe(element) {
  const id = element.id ? `#${element.id}` : "", kind = element.getAttribute("class") ? `.${element.getAttribute("class").trim().replace(/\s+/g, ".")}` : "";
  return `${element.closest("section, header, footer, .tiles")?.id ?? ""} ${element.tagName.toLowerCase()}${id}${kind} "${element.textContent.trim().slice(0, 40)}"`;
}

/* -- Names -- */
function nameOf(element) {
  const by = (element.getAttribute("aria-labelledby") ?? "").split(/\s+/).filter(Boolean).map(id => document.getElementById(id)?.textContent ?? "").join(" ");
  const labels = [...(element.labels ?? [])].map(label => label.textContent).join(" ");
  return (by || element.getAttribute("aria-label") || labels || element.textContent || element.title || "").trim();
}

for (const element of all("a[href], button, select, input, textarea, [role=img], [role=group], [role=region], section, nav, table, [tabindex='0']")) {
  const named = element.tagName === "TABLE" ? element.caption?.textContent.trim() : nameOf(element);
  if (!named) complain(element, "has no name");
  if (element.matches("input, select") && !element.getAttribute("aria-label") && !element.labels.length) complain(element, "has no label");
}
for (const element of all("svg")) if (!element.getAttribute("aria-label") && !element.closest("[aria-hidden=true]")) complain(element, "is a picture without a sentence");
for (const element of all("[role=img]")) if (element.querySelector("a[href], button, input, [tabindex]")) complain(element, "is a picture with a control in it");
for (const element of all("[aria-hidden=true]")) if (element.matches("a, button, input, select, [tabindex]") || element.querySelector("a[href], button, input, select")) complain(element, "is hidden, and has the focus");
for (const element of all("[aria-expanded], [aria-pressed]")) if (!element.matches("button")) complain(element, "has a state that its kind has not");
for (const element of all("[aria-sort]")) if (element.tagName !== "TH") complain(element, "sorts and is no header");
for (const element of document.querySelectorAll("[tabindex]")) if (element.tabIndex > 0) complain(element, "jumps the order of the focus");

/* -- Structure -- */
const ids = [...document.querySelectorAll("[id]")].map(element => element.id);
for (const id of new Set(ids.filter((id, index) => ids.indexOf(id) !== index))) complaints.push(`two elements have the id ${id}`);
if (!document.documentElement.lang) complaints.push("the document has no language");
if (!document.title.trim()) complaints.push("the document has no title");
if (all("main").length !== 1) complaints.push("there is not one main part");
let level = 0;
for (const heading of all("h1, h2, h3, h4, h5, h6")) {
  const next = Number(heading.tagName[1]);
  if (next > level + 1) complain(heading, `follows a heading of level ${level}`);
  if (!heading.textContent.trim()) complain(heading, "is empty");
  level = next;
}
if (all("h1").length !== 1) complaints.push("there is not one h1");
for (const table of all("table")) {
  if (!table.caption) complain(table, "has no caption");
  for (const cell of table.querySelectorAll("thead th")) if (cell.scope !== "col" || !cell.textContent.trim()) complain(cell, "is an empty header, or one without scope");
}
for (const list of all("ul, ol")) for (const child of list.children) if (child.tagName !== "LI") complain(list, `has a ${child.tagName} in it`);

/* -- What scrolls can be scrolled by keys -- */
for (const element of all("*")) {
  const style = getComputedStyle(element), scrolls = /auto|scroll/;
  const isCut = (scrolls.test(style.overflowX) && element.scrollWidth > element.clientWidth + 1) || (scrolls.test(style.overflowY) && element.scrollHeight > element.clientHeight + 1);
  if (isCut && element.tabIndex < 0 && !element.querySelector("a[href], button, input, select, [tabindex='0']")) complain(element, "scrolls, and no key can do it");
}

/* -- Contrast -- */
const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
function rgba(color) { // whatever way it is written
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = color;
  canvas.fillRect(0, 0, 1, 1);
  const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
  return [red, green, blue, alpha / 255];
}
const over = ([r, g, b, a], below) => [r, g, b].map((value, index) => value * a + below[index] * (1 - a));
function groundOf(element) {
  const layers = [];
  for (let at = element; at; at = at.parentElement) {
    const color = rgba(getComputedStyle(at).backgroundColor);
    layers.push(color);
    if (color[3] === 1) break;
  }
  return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
}
const bright = color => color.map(value => value / 255).map(value => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
  .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
function contrast(one, other) {
  const [light, dark] = [bright(one), bright(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const seen = new Set();
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  const element = node.parentElement;
  if (!node.data.trim() || seen.has(element) || element.closest("script, style, noscript, option, .unseen") || !isShown(element)) continue;
  seen.add(element);
  const style = getComputedStyle(element), isDrawn = element instanceof SVGElement;
  const ground = groundOf(element), ink = over(rgba(isDrawn ? style.fill : style.color), ground), ratio = contrast(ink, ground);
  if (ratio < 4.5) complain(element, `has a contrast of ${ratio.toFixed(2)}`);
  if (Number(style.opacity) < 1) complain(element, "is half transparent, so nobody knows its contrast");
}
return complaints;
