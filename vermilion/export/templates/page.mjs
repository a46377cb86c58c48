// The model of this folder, in the browser: the same as classify.py.

import * as ort from "./ort.wasm.bundle.min.mjs";
import { Tokenizer } from "./tokenizers.min.mjs";

const SHOWN = 5;
const RARE_HAN =
  /[\u{20000}-\u{2A6DF}\u{2A700}-\u{2B73F}\u{2B740}-\u{2B81F}\u{2B820}-\u{2CEAF}\u{2F800}-\u{2FA1F}]/gu;
const byId = (id) => document.getElementById(id);

// --- loading: every file is checked by its sha256

async function fetched(name) {
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`${name}: the server says ${answer.status}`);
  return answer.arrayBuffer();
}

async function checked(name, told) {
  const bytes = await fetched(name);
  // Browsers give no crypto to a page that comes over plain HTTP from elsewhere than this machine.
  if (globalThis.crypto?.subtle) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    if (found !== told.sha256[name]) throw new Error(`${name}: is not what its sha256 says; export the model again`);
  }
  return bytes;
}

const json = (bytes) => JSON.parse(new TextDecoder().decode(bytes));
const session = (bytes) => ort.InferenceSession.create(new Uint8Array(bytes), { executionProviders: ["wasm"] });

async function load() {
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = 1; // more need a server that isolates the page
  const wasm = "ort-wasm-simd-threaded.wasm";
  const told = json(await fetched("pipeline.json"));
  ort.env.wasm.wasmBinary = await checked(wasm, told);
  const labels = json(await checked("labels.json", told)).map((label) => label.name);
  const encoders = [];
  for (const one of told.encoders) {
    const written = json(await checked(one.tokenizer, told));
    encoders.push({
      ...one,
      bert: written.normalizer?.type === "BertNormalizer",
      tokenizer: new Tokenizer(written, {}),
      session: await session(await checked(one.file, told)),
    });
  }
  return { told, labels, encoders, head: await session(await checked(told.head, told)) };
}

// --- text to probabilities

function cut(text, most) {
  let end = 0;
  let count = 0;
  for (const character of text) {
    if (count === most) break;
    count += 1;
    end += character.length;
  }
  return text.slice(0, end);
}

function tokens(encoder, text) {
  const shown = cut(text.toWellFormed(), encoder.max_characters);
  // The tokenizer that the model learned with lowers a last sigma to σ, and takes rare Han letters for words, too.
  const same = encoder.bert ? shown.replaceAll("Σ", "σ").replace(RARE_HAN, " $& ") : shown;
  const { ids } = encoder.tokenizer.encode(same);
  const most = encoder.max_tokens;
  return most !== null && ids.length > most ? [...ids.slice(0, most - 1), ids.at(-1)] : ids;
}

async function vector(model, text) {
  const parts = [];
  for (const encoder of model.encoders) {
    const found = tokens(encoder, text);
    const ids = found.length ? found : [encoder.empty];
    const feed = {
      input_ids: new ort.Tensor("int64", BigInt64Array.from(ids, BigInt), [1, ids.length]),
      attention_mask: new ort.Tensor("int64", new BigInt64Array(ids.length).fill(1n), [1, ids.length]),
    };
    const { vectors } = await encoder.session.run(feed);
    parts.push(...vectors.data.map((value) => value * encoder.weight));
  }
  return Float32Array.from(parts);
}

async function probabilities(model, row) {
  const { probabilities: found } = await model.head.run({ vectors: new ort.Tensor("float32", row, [1, row.length]) });
  return Array.from(found.data);
}

// --- probabilities to a decision

const likeliest = (proba) => [...proba.keys()].sort((a, b) => proba[b] - proba[a] || a - b);

function decide(proba, labels, rule) {
  const order = likeliest(proba);
  if (rule.rule === "thresholds")
    return { labels: order.filter((n) => proba[n] >= rule.values[n]).map((n) => labels[n]) };
  if (rule.rule === "tree") {
    const { path, mass } = walk(proba, rule.parents);
    const sure = path.slice(0, Math.max(path.filter((n) => mass[n] >= rule.least).length, 1));
    const last = sure.at(-1);
    return { label: labels[last], confidence: mass[last], path: sure.map((n) => labels[n]) };
  }
  let chosen = order[0];
  if (rule.rule === "threshold")
    chosen = proba[rule.positive] >= rule.value ? rule.positive : 1 - rule.positive;
  return { label: labels[chosen], confidence: proba[chosen] };
}

function walk(proba, parents) {
  const depth = (n) => (parents[n] < 0 ? 0 : 1 + depth(parents[n]));
  const mass = [...proba];
  for (const n of [...parents.keys()].sort((a, b) => depth(b) - depth(a)))
    if (parents[n] >= 0) mass[parents[n]] += mass[n];
  const path = [];
  let below = [...parents.keys()].filter((n) => parents[n] < 0);
  while (below.length) {
    const best = below.reduce((a, b) => (mass[b] > mass[a] ? b : a));
    if (path.length && mass[best] < proba[path.at(-1)]) break;
    path.push(best);
    below = [...parents.keys()].filter((n) => parents[n] === best);
  }
  return { path, mass };
}

// --- the page

const percent = (share) => `${(100 * share).toFixed(1)} %`;

function rows(body, cells) {
  body.replaceChildren(
    ...cells.map(([name, value]) => {
      const row = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = name;
      const cell = document.createElement("td");
      cell.className = "num";
      cell.textContent = value;
      row.append(head, cell);
      return row;
    }),
  );
}

function show(model, proba) {
  const decision = decide(proba, model.labels, model.told.decision);
  const label = decision.labels ? decision.labels.join(", ") || "no label" : decision.label;
  byId("label").textContent = decision.labels ? label : `${label}, ${percent(decision.confidence)}`;
  byId("path").hidden = !decision.path;
  byId("path").textContent = decision.path ? decision.path.join(" › ") : "";
  const first = likeliest(proba).slice(0, SHOWN);
  rows(byId("candidates"), first.map((n) => [model.labels[n], percent(proba[n])]));
  byId("result").hidden = false;
}

async function classify(model) {
  const text = byId("text").value;
  if (!text.trim()) {
    byId("status").textContent = "Write a text first.";
    return;
  }
  const start = performance.now();
  show(model, await probabilities(model, await vector(model, text)));
  byId("status").textContent = `Done in ${Math.max(1, Math.round(performance.now() - start))} ms.`;
}

async function check(model) {
  const golden = json(await checked("golden.json", model.told));
  const found = { vectors: 0, probabilities: 0, tokens: 0, decisions: 0 };
  const apart = (a, b) => a.reduce((most, value, n) => Math.max(most, Math.abs(value - b[n])), 0);
  for (const one of golden.texts) {
    const row = await vector(model, one.text);
    const proba = await probabilities(model, row);
    const said = decide(proba, model.labels, model.told.decision);
    const own = model.encoders.map((encoder) => tokens(encoder, one.text));
    found.vectors = Math.max(found.vectors, apart(one.vector, row));
    found.probabilities = Math.max(found.probabilities, apart(one.probabilities, proba));
    found.tokens += JSON.stringify(own) === JSON.stringify(one.tokens) ? 1 : 0;
    const same = ["label", "labels", "path"].every(
      (name) => one.decision[name] === undefined || JSON.stringify(one.decision[name]) === JSON.stringify(said[name]),
    );
    found.decisions += same ? 1 : 0;
  }
  const count = golden.texts.length;
  const close = found.vectors <= golden.tolerance && found.probabilities <= golden.tolerance;
  const passed = close && found.tokens === count;
  byId("verdict").textContent = passed ? "Equal." : "Not equal.";
  rows(byId("figures"), [
    ["texts", count],
    ["the same tokens", found.tokens],
    ["the same decision", found.decisions],
    ["largest difference of a vector", found.vectors.toExponential(1)],
    ["largest difference of a probability", found.probabilities.toExponential(1)],
    ["allowed", golden.tolerance],
  ]);
  byId("checked").hidden = false;
  document.documentElement.dataset.check = JSON.stringify({ ...found, texts: count, passed });
}

function setUpTheme() {
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const button = byId("theme");
  const name = () => (button.textContent = isDark() ? "Light theme" : "Dark theme");
  const asked = window.location.hash.slice(1);
  if (asked === "dark" || asked === "light") root.dataset.theme = asked;
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    name();
  });
  system.addEventListener("change", name);
  name();
}

async function start() {
  setUpTheme();
  const status = byId("status");
  try {
    const model = await load();
    let busy = Promise.resolve();
    const say = (error) => (status.textContent = `It went wrong: ${error.message}`);
    byId("form").addEventListener("submit", (event) => {
      event.preventDefault();
      busy = busy.then(() => classify(model)).catch(say);
    });
    byId("text").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      byId("form").requestSubmit();
    });
    byId("classify").disabled = false;
    status.textContent = "Ready.";
    const asked = new URLSearchParams(window.location.search);
    if (asked.has("check")) await check(model);
    if (asked.has("text")) {
      byId("text").value = asked.get("text");
      byId("form").requestSubmit();
    }
  } catch (error) {
    status.textContent = `The model cannot be loaded: ${error.message}`;
  }
}

start();
