"use strict";
(() => {
// Everything that is shown comes from the network, so it goes in as text, never as markup.
const EVERY = 1000, PATIENCE = 3000, OLD = 3;
const $ = (id) => document.getElementById(id);
let status = null;      // the last answer
let at = 0;             // when it came, by performance.now(),
let now = 0;            // and by the daemon's clock, in seconds: all that is shown is as of then
let failure = "";

function el(tag, kind, ...children) {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== ""));
  return made;
}
const name = (text) => el("bdi", "name", String(text));
const free = (text) => el("bdi", "", String(text));

// Only what differs is changed: a selection, the scroll position and a reader's place survive.
function morph(old, made) {
  if (old.nodeType !== made.nodeType || old.nodeName !== made.nodeName) return old.replaceWith(made);
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== made.data) old.data = made.data;
    return;
  }
  for (const { name, value } of made.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes]) if (!made.hasAttribute(name)) old.removeAttribute(name);
  fill(old, [...made.childNodes]);
}
function fill(parent, children) {
  while (parent.childNodes.length > children.length) parent.lastChild.remove();
  children.forEach((child, i) => {
    if (i < parent.childNodes.length) morph(parent.childNodes[i], child);
    else parent.append(child);
  });
}
function show(id, children, kind) {
  if (kind !== undefined && $(id).className !== kind) $(id).className = kind;
  fill($(id), children.map((c) => typeof c === "string" ? document.createTextNode(c) : c));
}

function lasting(seconds) {
  const s = Math.max(0, seconds), n = Math.floor;
  if (s < 0.9995) return `${Math.round(s * 1000)} ms`;
  if (s < 9.95) return `${s.toFixed(1)} s`;
  if (s < 60) return `${n(s)} s`;
  if (s < 3600) return `${n(s / 60)} min ${n(s % 60)} s`;
  if (s < 86400) return `${n(s / 3600)} h ${n(s / 60) % 60} min`;
  return `${n(s / 86400)} d ${n(s / 3600) % 24} h`;
}
const ago = (unix) => {
  const parts = lasting(Math.floor(now - unix)).split(" ");
  return now - unix < 1 ? "just now" : `${parts[0].split(".")[0]} ${parts[1]} ago`;
};
function clock(unix) {
  const date = new Date(unix * 1000);
  if (isNaN(date)) return "";
  const same = date.toDateString() === new Date(now * 1000).toDateString();
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} `;
  return (same ? "" : day) + `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
const two = (number) => String(number).padStart(2, "0");
const entries = (object) => Object.entries(object ?? {});
const list = (names) => names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;

// What somebody who is woken up must know, worst first.
function holders(group) {
  return entries(status.nodes).filter(([, n]) => n.alive && n.groups?.[group]?.role === "ACTIVE").map(([node]) => node);
}
function problems() {
  const bad = status.alone ? [status.alone] : [], warn = [];
  for (const [group, g] of entries(status.groups)) {
    const held = holders(group);
    if (held.length > 1) bad.push(`Group ${group} is held by ${list(held)} at the same time`);
    else if (!g.holder && !held.length && !status.alone) bad.push(`Nobody holds group ${group}`);
    for (const [node, doing] of entries(g.under_way)) {
      const [what, ...step] = doing.split(",");
      warn.push([`${node} is ${what} group ${group}`, ...step].join(","));
    }
    const holder = held[0] ?? g.holder;
    const others = entries(status.nodes).filter(([node, n]) => node !== holder && n.alive && n.groups?.[group]?.eligible);
    if (holder && !others.length && !status.alone) warn.push(`No other node can take group ${group} from ${holder}`);
    for (const [node, n] of entries(status.nodes)) {
      const said = n.groups?.[group];
      if (n.alive && said && said.fitness !== "fit" && !drained(said))
        warn.push(`${node} is ${said.fitness} for group ${group}${said.reason ? `: ${said.reason}` : ""}`);
    }
  }
  for (const [node, n] of entries(status.nodes)) {
    if (!n.alive) warn.push(`Node ${node} ${ended(n)}; last heard of ${lasting(age(n))} ago`);
    if (n.alive && !n.self && Object.values(n.groups ?? {}).some(drained)) warn.push(`${node} is drained: it will take over no group`);
    if (n.configuration === "differs") warn.push(`The configuration of ${node} differs from this node's`);
    if (n.alive && !n.self)
      for (const [link, heard] of entries(n.links))
        if (silent(heard)) warn.push(`${node} is not heard on link ${link}`);
    if (n.alive && !n.self && n.received < 19) warn.push(`Of the last 20 heartbeats of ${node} only ${n.received} arrived`);
  }
  warn.push(...(status.troubles ?? []));
  if (status.drained) warn.push(`${status.node} is drained: it will take over no group until hatwist undrain`);
  if (status.guarantee?.level === "best effort") warn.push(`The guarantee is best effort: ${status.guarantee.reason}`);
  return { bad, warn };
}
const drained = (said) => said.fitness === "unfit" && String(said.reason ?? "").startsWith("drained");
const ended = (n) => n.fenced ? "died or hangs, and its guard released what it held" : n.left ? "was stopped" : "is not heard";
const passed = () => Math.max(0, (performance.now() - at) / 1000);
const age = (n) => n.self ? 0 : n.age ?? Infinity;
const silent = (heard) => heard === null || heard > Math.max(status.tolerance, 2 * status.interval);

const SIGNS = { good: "✓", warn: "!", bad: "✕", quiet: "○" };
const badge = (kind, text) => el("span", `badge ${kind}`, `${SIGNS[kind]} ${text}`);
const ROLES = { ACTIVE: ["good", "ACTIVE"], ASKING: ["warn", "ASKING"], STANDBY: ["quiet", "STANDBY"], DRAINED: ["warn", "DRAINED"], SHUTDOWN: ["warn", "STOPPED"] };
const goneBadge = (n) => n.fenced ? badge("bad", "GUARD FIRED") : n.left ? badge("warn", "STOPPED") : badge("bad", "NOT HEARD");
const roleBadge = (role) => badge(...(ROLES[role] ?? ["quiet", String(role ?? "unknown")]));
const fitnessKind = (fitness) => fitness === "fit" ? "good" : fitness === "unfit" ? "bad" : "warn";

function verdict() {
  const { bad, warn } = problems();
  const count = bad.length + warn.length;
  const line = (kind) => (text) =>
    el("li", "", el("span", `sign ${kind}`, SIGNS[kind]), free(text));
  const title = !count ? "✓ All is well" : bad.length ? `✕ Act now: ${bad[0]}` : `! ${count} ${count > 1 ? "things need" : "thing needs"} attention`;
  const rest = [...bad.slice(1).map(line("bad")), ...warn.map(line("warn"))];
  show("verdict", [el("h2", "", free(title)), ...(rest.length ? [el("ul", "", rest)] : [])], bad.length ? "bad" : warn.length ? "warn" : "good");
  return bad.length ? "✕" : warn.length ? "!" : "✓";
}

function groupCard([group, g]) {
  const held = holders(group);
  const here = el("span", "", el("span", "soft", "this node "), roleBadge(g.role));
  const card = el("article", `card ${held.length === 1 ? "" : "bad"}`);
  card.append(el("div", "top", el("h3", "", "Group ", name(group)), here));
  const holder = el("p", "holder");
  if (held.length > 1) holder.append(el("small", "", "Conflict: held at the same time by"), el("span", "bad", "✕ ", free(list(held))));
  else if (held.length || g.holder) holder.append(el("small", "", g.state === "acquiring" ? "Being taken over by" : "Held by"), free(held[0] ?? g.holder));
  else holder.append(el("small", "", "Held by"), el("span", "bad", status.alone ? "? unknown here" : "✕ nobody"));
  card.append(holder);
  if (g.since || g.reason) card.append(since(g.since, g.reason, g.term));
  if (g.steps > 0) {
    const progress = el("progress", "");
    progress.max = g.steps;
    progress.value = g.step;
    progress.setAttribute("aria-label", "resources");
    card.append(el("p", "since warn", `! ${g.state ?? "under way"}, step ${g.step} of ${g.steps}`), progress);
  }
  const rows = entries(status.nodes).filter(([, n]) => n.groups?.[group]).sort(([, a], [, b]) => rank(a, group) - rank(b, group));
  card.append(el("ul", "rows", rows.map(([node, n]) => groupRow(node, n, n.groups[group], held.length > 1, g.under_way?.[node]))));
  if (g.checks?.length)
    card.append(el("ul", "rows", g.checks.map((check) => {
      const kind = { good: "good", failed: "bad" }[check.state] ?? "warn";
      return el("li", "", el("div", "row", "Check ", name(check.name), el("span", `right ${kind}`, `${SIGNS[kind]} `, free(check.state))),
        check.reason ? el("div", "soft", free(check.reason)) : "");
    })));
  if (g.resources?.length) card.append(el("ul", "chips", el("li", "label", "Resources"), g.resources.map((resource) => el("li", "", free(resource)))));
  return card;
}
function since(time, reason, term) {
  const begun = time ? `since ${clock(time)}, for ${lasting(now - time)}` : "";
  const number = term ? el("span", "soft number", ` (term ${term})`) : "";
  return el("p", "since", begun, number, reason ? [begun ? ": " : "", free(reason)] : "");
}
const rank = (n, group) => (n.alive ? 0 : 1000) + (n.groups[group].role === "ACTIVE" ? 0 : 500) - (n.groups[group].priority ?? 0);
function groupRow(node, n, said, conflict, doing) {
  const resting = said.role === "STANDBY" && drained(said);
  const state = !n.alive ? goneBadge(n) : conflict && said.role === "ACTIVE" ? badge("bad", "ACTIVE") : roleBadge(resting ? "DRAINED" : said.role);
  const fitness = n.alive && !resting ? el("span", fitnessKind(said.fitness), `${SIGNS[fitnessKind(said.fitness)]} ${said.fitness}`) : "";
  const more = [`priority ${said.priority}`];
  if (n.alive && doing) more.push(doing);
  else if (n.alive && said.role !== "ACTIVE" && !said.eligible) more.push("cannot take over");
  return el("li", "", el("div", "row", name(node), n.self ? el("span", "soft", "this node") : "", fitness, el("span", "right", state)),
    el("div", "soft number", more.join(", ")), said.reason ? el("div", "soft", free(said.reason)) : "");
}

function nodeCard([node, n]) {
  const state = !n.alive ? goneBadge(n) : badge("good", n.self ? "THIS NODE" : "ALIVE");
  const card = el("article", `card ${n.alive ? "" : n.left ? "warn" : "bad"}`, el("div", "top", el("h3", "", name(node)), state));
  const heard = n.self ? `running for ${lasting(status.uptime ?? 0)}` : age(n) === Infinity ? "never heard of" : `last heard of ${lasting(age(n))} ago`;
  card.append(el("p", "soft number", heard));
  const rows = [];
  if (!n.self)
    for (const [link, seen] of entries(n.links)) {
      const quiet = silent(seen);
      const text = seen === null ? "never heard" : `${lasting(seen)} ago`;
      rows.push(el("li", "row", "Link ", name(link), el("span", `right number ${quiet ? "bad" : "good"}`, `${quiet ? SIGNS.bad : SIGNS.good} ${text}`)));
    }
  if (!n.self && n.alive && n.received !== undefined && n.received !== null) {
    const kind = n.received < 19 ? "warn" : "good";
    rows.push(el("li", "row", "Last 20 heartbeats", el("span", `right number ${kind}`, `${SIGNS[kind]} ${n.received === 20 ? "all" : n.received} arrived`)));
  }
  const differs = n.configuration === "differs";
  if (!n.self) rows.push(el("li", "row", "Configuration", el("span", `right ${differs ? "warn" : "good"}`, differs ? "! differs" : "✓ the same")));
  if (n.self) rows.push(fact("Heartbeats", `every ${lasting(status.interval)}`), fact("Signed", status.signed ? "✓ yes" : "no"),
    fact("Gone after", `${lasting(status.tolerance)} of silence`), fact("Configuration", status.digest), fact("hatwist", status.version));
  if (n.self && status.drained) rows.push(el("li", "row", "Drained", el("span", "right warn", "! takes over no group")));
  if (rows.length) card.append(el("ul", "rows", rows));
  return card;
}

const fact = (term, text) => el("li", "row", term, el("bdi", "right number", String(text ?? "unknown")));

function change(entry) {
  const time = el("time", "", `${clock(entry.time)}, ${ago(entry.time)}`);
  const old = entry.old ? `${entry.old} → ` : "";
  return el("li", "", time, el("span", "", name(entry.node), el("span", "soft", " in "), free(entry.group), `: ${old}`,
    el("span", `name ${{ ACTIVE: "good", SILENT: "bad" }[entry.new] ?? ""}`, String(entry.new)), el("span", "soft number", ` term ${entry.term}`), ", ", free(entry.reason)));
}

function facts() {
  const g = status.guarantee ?? {};
  const kind = { "exclusive": "good", "self-releasing": "quiet", "best effort": "warn" }[g.level] ?? "quiet";
  const card = el("article", "card", el("div", "top", el("h3", "", "Against two holders at once"), badge(kind, String(g.level))));
  card.append(el("p", "", free(g.reason ?? "")));
  if (g.gaps?.length) card.append(el("ul", "rows", g.gaps.map((gap) => el("li", "", "Not protected: ", free(gap)))));
  return [card];
}

function render() {
  const old = status !== null && (failure !== "" || passed() > OLD);
  document.body.className = old ? "stale" : "";
  $("stale").hidden = !old && !(failure && status === null);
  if (status === null) {
    if (failure) show("stale", [`✕ The daemon does not answer: ${failure}`]);
    show("verdict", [el("h2", "", failure ? "Nothing is known yet" : "Asking the daemon…")], "quiet");
    document.title = failure ? "✕ no answer" : "hatwist";
    return;
  }
  if (old) {
    show("stale", ["✕ No answer from ", free(status.node), ` for ${lasting(passed())} (${failure || "waiting"}). Below is how it was at ${clock(now)}; it may be otherwise now.`]);
  }
  show("cluster", [free(status.cluster)]);
  show("here", ["as ", name(status.node), " sees it"]);
  show("live", [old ? "✕ not live" : `● live, ${clock(now)}`]);
  const sign = verdict();
  show("groups", entries(status.groups).map(groupCard));
  show("nodes", entries(status.nodes).map(nodeCard));
  const history = [...(status.history ?? [])].reverse();
  show("changes", history.length ? history.map(change) : [el("li", "", "None yet")]);
  show("facts", facts());
  document.title = `${old ? "? " : sign} ${status.cluster}: ${status.node}`;
}

async function ask() {
  try {
    const answer = await fetch("status", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    const told = await answer.json();
    const date = Date.parse(answer.headers.get("Date"));
    // The header has whole seconds; this clock knows better as long as it agrees.
    now = (Math.abs(date - Date.now()) > 2000 ? date : Date.now()) / 1000;
    status = told;
    at = performance.now();
    failure = "";
  } catch (error) {
    failure = error.name === "TimeoutError" ? `not within ${PATIENCE / 1000} s` : error instanceof TypeError ? "it cannot be reached" : error.message;
  }
  try {
    render();
  } catch (error) {
    $("stale").hidden = false;
    show("stale", [`✕ This page cannot show what the daemon tells: ${error.message}`]);
  }
  setTimeout(ask, EVERY);
}
setInterval(() => { if (failure || passed() > OLD) render(); }, 500);
ask();
})();
