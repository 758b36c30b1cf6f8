"use strict";

let openapi = null;
let token = sessionStorage.getItem("token");

/** Make an element; a child that is text never becomes markup. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function resolve(schema) {
  return schema && schema.$ref ? openapi.components.schemas[schema.$ref.split("/").pop()] : schema || {};
}

function isA(type, name) {
  return [].concat(type.type).includes(name);
}

/** Say a schema in a few words. */
function kind(schema) {
  const type = resolve(schema);
  const words = [];
  if (type.anyOf) {
    const isNullable = type.anyOf.some((each) => each.type === "null");
    const others = type.anyOf.filter((each) => each.type !== "null").map(kind);
    words.push(others.join(" or ") + (isNullable ? " or null" : ""));
  } else if (type.enum) words.push(type.enum.join(" | "));
  else if (isA(type, "array")) words.push("list of " + kind(type.items) + (isA(type, "null") ? " or null" : ""));
  else words.push([].concat(type.type || "any").join(" or "));
  if (type.minimum !== undefined || type.maximum !== undefined) {
    const most = type.maximum > 2 ** 53 ? undefined : type.maximum;
    words.push(most === undefined ? `from ${type.minimum}` : `${type.minimum ?? ""} … ${most}`);
  }
  if (type.maxLength) words.push(`up to ${type.maxLength} characters`);
  if (type.examples) words.push(`such as ${type.examples[0]}`);
  if (type.default !== undefined && type.default !== null) words.push(`default ${JSON.stringify(type.default)}`);
  return words.join(", ");
}

/** List the fields of a schema, those of nested objects with their path. */
function rows(schema, prefix = "", depth = 0) {
  const type = resolve(schema);
  if (isA(type, "array")) return rows(type.items, prefix + "[].", depth);
  const found = [];
  for (const [name, field] of Object.entries(type.properties || {})) {
    const isRequired = (type.required || []).includes(name);
    found.push(row(prefix + name, field, isRequired));
    const inner = resolve(field);
    const isObject = inner.properties || (isA(inner, "array") && resolve(inner.items).properties);
    if (isObject && depth < 3) found.push(...rows(inner, prefix + name + (isA(inner, "array") ? "" : "."), depth + 1));
  }
  return found;
}

function row(name, schema, isRequired) {
  const text = resolve(schema).description || "";
  return make("tr", {}, make("td", { class: isRequired ? "required" : undefined }, name),
    make("td", { class: "kind" }, kind(schema)), make("td", {}, text));
}

function example(schema, depth = 0) {
  const type = resolve(schema);
  if (type.examples) return type.examples[0];
  if (type.default !== undefined && type.default !== null) return type.default;
  if (type.anyOf) return example(type.anyOf[0], depth);
  if (type.enum) return type.enum[0];
  const plain = [].concat(type.type)[0];
  if (plain === "array") return depth > 3 ? [] : [example(type.items, depth + 1)];
  if (plain === "integer" || plain === "number") return type.minimum > 0 ? type.minimum : 1;
  if (plain === "boolean") return false;
  if (plain === "object" || type.properties) {
    const fields = Object.entries(type.properties || {});
    const required = fields.filter(([name]) => (type.required || []).includes(name));
    return Object.fromEntries((required.length ? required : fields).map(([name, each]) => [name, example(each, depth + 1)]));
  }
  return plain === "string" ? "" : null;
}

function section(title, ...content) {
  return [make("h3", {}, title), ...content];
}

function inside(path, method, operation) {
  const box = make("div", { class: "inside" });
  if (operation.description) box.append(make("p", {}, operation.description));
  box.append(make("p", { class: "permission" }, operation["x-permission"] ? `Needs ${operation["x-permission"]}`
    : operation.security.length ? "Needs a log-in" : "Open to anybody"));
  const parameters = operation.parameters || [];
  if (parameters.length) {
    box.append(...section("Parameters", make("table", {},
      ...parameters.map((each) => row(`${each.name} (${each.in})`, each.schema, each.required)))));
  }
  const content = Object.entries(operation.requestBody?.content || {})[0];
  if (content) box.append(...section(`Body, ${content[0]}`, make("table", {}, ...rows(content[1].schema))));
  for (const [status, answer] of Object.entries(operation.responses)) {
    const schema = answer.content?.["application/json"]?.schema;
    if (schema) box.append(...section(`Answer ${status}`, make("table", {}, ...rows(schema))));
  }
  const errors = Object.entries(operation.responses).filter(([status]) => status >= "4" && status < "6");
  box.append(...section("Errors", make("table", {},
    ...errors.map(([status, answer]) => make("tr", {}, make("td", {}, status), make("td", {}, answer.description))))));
  box.append(...section("Try it", tryForm(path, method, parameters, content)));
  return box;
}

function tryForm(path, method, parameters, content) {
  const inputs = parameters.map((each) => [each, make("input", { name: each.name, required: each.required })]);
  const fields = make("div", { class: "fields" }, ...inputs.map(([each, input]) => make("label", {}, each.name, input)));
  const isForm = content && content[0].startsWith("multipart");
  let body = null;
  if (isForm) body = make("input", { type: "file" });
  else if (content) {
    body = make("textarea", { "aria-label": "Body", spellcheck: "false" });
    body.value = JSON.stringify(example(content[1].schema), null, 2);
  }
  const output = make("pre", { hidden: true, "aria-live": "polite" });
  const form = make("form", {}, fields, body, make("p", {}, make("button", {}, "Send")), output);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    output.hidden = false;
    output.textContent = "…";
    output.textContent = await send(path, method, inputs, body, isForm);
  });
  return form;
}

async function send(path, method, inputs, body, isForm) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const query = new URLSearchParams();
  for (const [each, input] of inputs) {
    if (each.in === "path") path = path.replace(`{${each.name}}`, encodeURIComponent(input.value));
    else if (input.value && each.in === "query") query.set(each.name, input.value);
    else if (input.value) headers[each.name] = input.value;
  }
  let data;
  if (isForm) {
    data = new FormData();
    if (body.files[0]) data.set("file", body.files[0]);
  } else if (body) {
    headers["Content-Type"] = "application/json";
    data = body.value;
  }
  const address = path + (query.size ? `?${query}` : "");
  try {
    const answer = await fetch(address, { method: method.toUpperCase(), headers, body: data });
    const text = await answer.text();
    const isJson = (answer.headers.get("Content-Type") || "").includes("json");
    return `${method.toUpperCase()} ${address}\n${answer.status} ${answer.statusText}\n\n`
      + (isJson && text ? JSON.stringify(JSON.parse(text), null, 2) : text);
  } catch (error) {
    return String(error);
  }
}

function route(path, method, operation) {
  const words = [path, method, operation.summary, operation["x-permission"], operation.tags[0]].join(" ").toLowerCase();
  const box = make("details", { class: "route", "data-words": words },
    make("summary", {}, make("span", { class: `method ${method}` }, method.toUpperCase()),
      make("span", { class: "path" }, path), make("span", { class: "summary" }, operation.summary)));
  // Written when it is opened: there are hundreds.
  box.addEventListener("toggle", () => {
    if (box.open && box.children.length === 1) box.append(inside(path, method, operation));
  });
  return box;
}

function show() {
  document.getElementById("version").textContent = openapi.info.version;
  const main = document.getElementById("routes");
  const nav = document.getElementById("modules");
  main.replaceChildren();
  for (const tag of openapi.tags.map((each) => each.name)) {
    const group = make("section", {}, make("h2", { id: tag }, tag));
    for (const [path, operations] of Object.entries(openapi.paths)) {
      for (const [method, operation] of Object.entries(operations)) {
        if (operation.tags?.[0] === tag) group.append(route(path, method, operation));
      }
    }
    main.append(group);
    nav.append(make("a", { href: `#${tag}` }, tag));
  }
}

function filter(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const group of document.querySelectorAll("main section")) {
    let isEmpty = true;
    for (const box of group.querySelectorAll(".route")) {
      box.hidden = !words.every((word) => box.dataset.words.includes(word));
      isEmpty = isEmpty && box.hidden;
    }
    group.hidden = isEmpty;
  }
}

function remember(value, name) {
  token = value;
  if (value) {
    sessionStorage.setItem("token", value);
    sessionStorage.setItem("name", name);
  } else sessionStorage.clear();
  document.getElementById("login").hidden = Boolean(value);
  document.getElementById("who").hidden = !value;
  document.querySelector("#who span").textContent = name || "";
}

async function logIn(event) {
  event.preventDefault();
  const form = event.target;
  const sent = JSON.stringify({ email: form.email.value, password: form.password.value });
  const answer = await fetch("/api/auth/login", { method: "POST", headers: { "Content-Type": "application/json" }, body: sent });
  const result = await answer.json();
  form.password.value = "";
  if (answer.ok) remember(result.access_token, form.email.value);
  else window.alert(result.detail);
}

document.getElementById("login").addEventListener("submit", logIn);
document.querySelector("#who button").addEventListener("click", () => remember(null, ""));
document.getElementById("search").addEventListener("input", (event) => filter(event.target.value));
remember(token, sessionStorage.getItem("name") || "");
fetch("/api/openapi.json").then((answer) => answer.json()).then((document_) => {
  openapi = document_;
  show();
}).catch((error) => {
  document.getElementById("routes").replaceChildren(make("p", { class: "bad" }, `The document did not load: ${error}`));
});
