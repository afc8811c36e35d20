// A box above the page of settings that hides what does not fit. Without this file the page is whole, and its table of
// contents leads to each setting.
const index = document.querySelector(".settings-index");
if (index) {
  const box = document.createElement("div");
  box.className = "settings-filter";
  box.innerHTML = '<input type="search" aria-label="Find a setting" placeholder="Find a setting: timeout, proxy, 503 …">'
    + '<output aria-live="polite"></output>';
  index.before(box);
  const [input, output] = box.children;
  const groups = [...index.parentElement.querySelectorAll(":scope > section")];
  const settings = groups.flatMap(group => [...group.querySelectorAll(":scope > section")]);
  const words = new Map(settings.map(each => [each, each.textContent.toLowerCase().replaceAll("-", "_")]));
  const names = new Map(settings.map(each => [each, each.querySelector("h3 code").textContent]));

  const show = () => {
    const wanted = input.value.trim().toLowerCase().replaceAll("-", "_").split(/\s+/).filter(Boolean);
    let found = settings.filter(each => wanted.every(word => names.get(each).includes(word)));
    if (!found.length) found = settings.filter(each => wanted.every(word => words.get(each).includes(word)));
    for (const each of settings) each.hidden = !found.includes(each);
    for (const group of groups) group.hidden = !found.some(each => group.contains(each));
    index.hidden = wanted.length > 0;
    output.textContent = wanted.length ? `${found.length} of ${settings.length}` : "";
  };
  input.addEventListener("input", show);
  // A link to a setting must not lead to what is hidden.
  addEventListener("hashchange", () => { input.value = ""; show(); document.querySelector(location.hash)?.scrollIntoView(); });
}
