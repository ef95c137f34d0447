// The API as openapi.json describes it, with a form to try each request; nothing is loaded from elsewhere.
"use strict";

let description;

const make = (tag, text, name) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
};

const resolve = (schema) =>
  schema && schema.$ref ? description.components.schemas[schema.$ref.split("/").pop()] : schema;

const headers = () => {
  const token = document.getElementById("token").value;
  return token ? { authorization: `Bearer ${token}` } : {};
};

const typeOf = (schema) => {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" or ");
  if (schema.type === "array") return `list of ${typeOf(schema.items || {})}`;
  const limits = [schema.minimum, schema.maximum].some((each) => each !== undefined && Math.abs(each) < 1e38)
    ? ` ${schema.minimum ?? "…"} to ${schema.maximum ?? "…"}` : "";
  return `${schema.type || "anything"}${schema.format ? ` (${schema.format})` : ""}${limits}`;
};

const fields = (title, schema) => {
  const box = make("div");
  box.append(make("h4", title));
  const scroll = box.appendChild(make("div", undefined, "scroll"));
  const table = scroll.appendChild(make("table"));
  const required = new Set(schema.required || []);
  for (const [name, field] of Object.entries(schema.properties || {})) {
    const row = table.appendChild(make("tr"));
    const cell = row.appendChild(make("td"));
    cell.append(make("code", name), required.has(name) ? " *" : "");
    row.append(make("td", typeOf(field)), make("td", field.description || ""));
  }
  return box;
};

const partsOf = (schema) =>
  Object.entries(schema.properties || {}).flatMap(([name, field]) =>
    (field.anyOf || [field]).filter((each) => each.type === "array" && each.items.$ref)
      .map((each) => [name, resolve(each.items)]));

const example = (schema) => {
  const [[name, entity] = []] = partsOf(schema);
  if (!entity) return "{}";
  const values = Object.fromEntries(Object.keys(entity.properties).map((key) => [key, ""]));
  return JSON.stringify({ [name]: [values] }, null, 2);
};

const attempt = (path, method, withBody) => {
  const form = make("form");
  const body = withBody ? form.appendChild(make("textarea", example(withBody))) : null;
  form.append(make("button", "Send"));
  const answer = form.appendChild(make("pre"));
  answer.hidden = true;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const sent = await fetch(path, {
      method: method.toUpperCase(),
      headers: { ...headers(), ...(body ? { "content-type": "application/json" } : {}) },
      body: body ? body.value : undefined,
    });
    const text = await sent.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: shown as it is */ }
    answer.hidden = false;
    answer.textContent = `${sent.status}\n${shown}`;
  });
  return form;
};

const show = () => {
  document.getElementById("title").textContent = description.info.title;
  document.getElementById("about").textContent = description.info.description;
  const paths = document.getElementById("paths");
  paths.replaceChildren();
  const sorted = Object.entries(description.paths).sort(([a], [b]) => a.startsWith("/v1") ? -1 : b.startsWith("/v1") ? 1 : 0);
  for (const [path, methods] of sorted) {
    for (const [method, operation] of Object.entries(methods)) {
      const box = paths.appendChild(make("details"));
      const summary = box.appendChild(make("summary"));
      summary.append(make("span", method.toUpperCase(), "method"), make("code", path), ` — ${operation.summary}`);
      const content = operation.requestBody?.content["application/json"].schema;
      const schema = content && resolve(content);
      if (schema) {
        box.open = true;
        for (const [name, part] of partsOf(schema)) box.append(fields(`each of ${name}`, part));
      }
      box.append(attempt(path, method, schema));
      const answers = box.appendChild(make("table"));
      for (const [status, answer] of Object.entries(operation.responses)) {
        const row = answers.appendChild(make("tr"));
        row.append(make("td", status), make("td", answer.description));
      }
    }
  }
};

const load = async () => {
  const problem = document.getElementById("problem");
  problem.textContent = "";
  const found = await fetch("/openapi.json", { headers: headers() });
  document.getElementById("access").hidden = found.status !== 401 && !description?.security;
  if (!found.ok) {
    if (document.getElementById("token").value) problem.textContent = (await found.json()).detail;
    return;
  }
  description = await found.json();
  show();
};

document.getElementById("access").addEventListener("submit", (event) => {
  event.preventDefault();
  load();
});
load();
