"use strict";
// Arrow keys walk through a grid of links; Tab passes it in one step.
document.querySelectorAll(".grid-map").forEach((table) => {
  const links = [...table.querySelectorAll("tbody a.cell")];
  links.forEach((a, n) => { a.tabIndex = n ? -1 : 0; });
  table.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const cell = event.target.closest("td");
    if (!step || !cell) return;
    event.preventDefault();
    let row = cell.parentNode, column = cell.cellIndex;
    for (;;) {
      row = step[0] < 0 ? row.previousElementSibling : step[0] > 0 ? row.nextElementSibling : row;
      column += step[1];
      const next = row && row.cells[column];
      if (!next) return;
      const link = next.querySelector("a.cell");
      if (link) { links.forEach((a) => { a.tabIndex = -1; }); link.tabIndex = 0; link.focus(); return; }
    }
  });
});

// Commands and addresses are copied with a click where the browser lets a page from disk do so.
document.querySelectorAll("button.copy").forEach((button) => {
  button.hidden = false;
  button.addEventListener("click", () => {
    const code = button.parentNode.querySelector("code"), range = document.createRange();
    range.selectNodeContents(code);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    if (document.execCommand("copy")) button.textContent = "已复制";
  });
});

// findings.html: the rows come as script files a week, because pages opened from disk may not fetch.
const page = document.getElementById("finder");
if (page) {
  const meta = JSON.parse(document.getElementById("meta").textContent);
  const rows = [], loaded = new Set(), form = document.getElementById("filters"), body = document.getElementById("rows");
  const count = document.getElementById("count"), more = document.getElementById("more"), STEP = 100;
  let shown = STEP;
  window.addFindings = (list) => { for (const r of list) { r.x = [...Object.values(r), meta.counties[r.c], meta.forms[r.f], meta.rules[r.r]].join(" ").toLowerCase(); rows.push(r); } };
  const text = (tag, value, cls) => { const e = document.createElement(tag); e.textContent = value; if (cls) e.className = cls; return e; };
  const link = (href, value) => { const a = text("a", value); a.href = href; return a; };
  const load = (chunks) => Promise.all(chunks.filter((c) => !loaded.has(c)).map((c) => new Promise((done) => {
    loaded.add(c);
    const s = document.createElement("script");
    s.src = c; s.onload = done; s.onerror = done;
    document.head.append(s);
  })));
  const wanted = () => {
    const week = form.week.value;
    return meta.chunks.filter((c) => !week || c.week === week).map((c) => c.file);
  };
  const draw = () => {
    const q = form.q.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const pick = { w: form.week.value, c: form.county.value, f: form.form.value, r: form.rule.value, s: form.severity.value, t: form.status.value, l: form.life.value, o: form.owner.value };
    const found = rows.filter((r) => Object.keys(pick).every((k) => !pick[k] || r[k] === pick[k]) && q.every((word) => r.x.includes(word)));
    found.sort((a, b) => (a.w < b.w ? 1 : a.w > b.w ? -1 : a.n - b.n));
    body.replaceChildren(...found.slice(0, shown).map((r) => {
      const tr = document.createElement("tr");
      const cell = (...parts) => { const td = document.createElement("td"); td.append(...parts); tr.append(td); return td; };
      cell(r.w).className = "nowrap";
      cell(meta.counties[r.c] ? link(`counties/${r.c}.html`, meta.counties[r.c]) : r.c).className = "nowrap";
      cell(meta.forms[r.f] || "", document.createElement("br"), text("span", r.p, "muted")).className = "place";
      cell(text("span", meta.severities[r.s], `tag ${r.s}`), document.createElement("br"), meta.rules[r.r] ? link(`rules/${r.r}.html`, r.r) : r.r).className = "nowrap";
      const mend = meta.mend[r.r] || "";  // most messages say it themselves
      cell(r.m, text("span", r.m.includes(mend.replace(/。$/, "")) ? "" : mend, "mend")).className = "told";
      const figures = document.createElement("dl");
      for (const [name, value] of [["填报", r.v], ["应为", r.e], ["差额", r.d]]) if (value) figures.append(text("dt", name), text("dd", value));
      cell(...(figures.children.length ? [figures] : [])).className = "values";
      const since = r.l === "resolved" ? (r.z === r.w ? "重报时已改正" : r.z ? `${r.z} 起没有` : "") : r.l === "new" || r.l === "waived" ? "" : `自 ${r.i}`;
      const lines = [text("span", meta.lives[r.l], `life ${r.l}`)];
      for (const line of [since, `${meta.owners[r.o]}整改`]) if (line) lines.push(document.createElement("br"), text("span", line, "muted"));
      cell(...lines).className = "nowrap";
      return tr;
    }));
    count.textContent = `共 ${found.length.toLocaleString()} 条，已显示 ${Math.min(shown, found.length).toLocaleString()} 条`;
    more.hidden = shown >= found.length;
    document.getElementById("none").hidden = found.length > 0;
  };
  const refresh = () => { shown = STEP; count.textContent = "正在载入…"; load(wanted()).then(draw); };
  form.addEventListener("input", refresh);
  form.addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", () => { shown += STEP; draw(); });
  const hash = new URLSearchParams(location.hash.slice(1));
  for (const name of ["week", "county", "form", "rule", "severity", "status", "life", "owner", "q"]) if (hash.has(name)) form[name].value = hash.get(name);
  refresh();
}
