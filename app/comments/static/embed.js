/*
 * Embeds a thread of comments: <script src="https://HOST/embed.js" data-content-id="1"></script>
 * data-theme="light" or "dark" overrides the system's color scheme.
 * Comments become text nodes, never markup. Styles are a constructed style sheet in a shadow root: they don't affect
 * the page, the page's styles don't affect them, and a Content-Security-Policy doesn't have to allow inline styles.
 */
(() => {
  "use strict";
  const script = document.currentScript;
  const thread = script.dataset.contentId;
  let next = new URL(`api/comment/list/${thread}?limit=50`, script.src);

  const styles = `
.thread { all: initial; display: block; color-scheme: light dark; text-align: start;
  --ink: light-dark(#23211d, #ebe8e1); --soft: light-dark(#5d594f, #aaa598); --line: light-dark(#8a8578, #7d796e);
  --rule: light-dark(#e5e1d6, #393731); --paper: light-dark(#fffefa, #1d1c1a); --accent: light-dark(#1a5f4a, #8fd0b5);
  --wrong: light-dark(#a3261b, #ff9d91);
  font: medium/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  padding: 1em; border-radius: 8px }
.thread[data-theme=light] { color-scheme: light } .thread[data-theme=dark] { color-scheme: dark }
* { box-sizing: border-box; font: inherit; color: inherit; margin: 0 }
[hidden] { display: none }
h2 { font: 600 1.3em/1.3 ui-serif, Charter, Georgia, serif; margin-bottom: .5em }
ol { list-style: none; padding: 0 }
li { padding: .9em 0; border-top: 1px solid var(--rule) }
.by { display: flex; flex-wrap: wrap; gap: 0 .75em; align-items: baseline }
b { font-weight: 600; overflow-wrap: anywhere }
time, .status { color: var(--soft); font-size: .875em }
.text { white-space: pre-wrap; overflow-wrap: anywhere; margin-top: .15em }
form { border-top: 1px solid var(--rule); padding-top: 1em; margin-top: .2em }
label { display: block; font-weight: 600; font-size: .875em; margin-bottom: .25em }
small { font-weight: 400; color: var(--soft) }
input, textarea { display: block; width: 100%; padding: .55em .7em; border: 1px solid var(--line); border-radius: 6px;
  background: transparent; resize: vertical }
[aria-invalid] { border: 2px solid var(--wrong) }
.error { color: var(--wrong); font-size: .875em; min-height: 1.55em; margin: .15em 0 .7em }
button { padding: .4em 1.1em; border: 1px solid var(--accent); border-radius: 6px; font-weight: 600; cursor: pointer;
  background: var(--accent); color: var(--paper) }
.more { background: transparent; color: var(--accent); margin: 0 0 1em }
[aria-disabled] { opacity: .7; cursor: default }
.status:not(:empty) { margin-top: .8em }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }`;

  /** Create an element. Strings become text nodes. */
  const make = (tag, attributes, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };

  const theirs = { dir: "auto", lang: "" }; // the language of visitors is unknown
  const list = make("ol", { role: "list" }); // Safari drops the role of lists without markers
  const state = make("p", { role: "status", class: "status" });
  const more = make("button", { type: "button", class: "more", hidden: "" });
  const result = make("p", { role: "status", class: "status" });
  const send = make("button", { type: "submit" }, "Post comment");
  const fields = {
    // Not type=email: browsers change its value before the API can validate it.
    email: {
      label: "Email",
      note: " may be shown with your comment",
      input: make("input", { inputmode: "email", autocomplete: "email", spellcheck: "false" }),
    },
    comment: { label: "Comment", input: make("textarea", { rows: "4", ...theirs }) },
  };
  const form = make("form", { novalidate: "" });
  for (const [name, field] of Object.entries(fields)) {
    field.input.id = name;
    field.input.ariaRequired = "true";
    field.input.setAttribute("aria-describedby", `${name}-error`);
    field.error = make("p", { id: `${name}-error`, class: "error" });
    const label = make("label", { for: name }, field.label, make("small", {}, field.note || ""));
    form.append(label, field.input, field.error);
  }
  form.append(send, result);
  // The page's shortcuts don't see that a key is typed into a field of the shadow root. Escape may close a dialog.
  for (const type of ["keydown", "keypress", "keyup"]) {
    form.addEventListener(type, (event) => event.key === "Escape" || event.stopPropagation());
  }

  /** Call the API. Never rejects. */
  const request = async (url, options) => {
    try {
      const response = await fetch(url, { credentials: "omit", signal: AbortSignal.timeout(30000), ...options });
      let body = await response.json().catch(() => null);
      // A proxy may respond with anything.
      if (!Array.isArray(body) && !body?.message) body = { message: `the service responded with ${response.status}` };
      return { code: response.status, body, link: response.headers.get("Link") || "" };
    } catch {
      console.warn(`comments: request failed. If ${url.origin} is up, add ${location.origin} to COMMENTS_CORS_ORIGINS`);
      return { body: { message: "the service is unreachable" } };
    }
  };

  /** Insert a comment in the order of ids, which sort by time. Returns null if it is already shown. */
  const show = ({ id, email, comment, created_at: created }) => {
    const items = [...list.children];
    if (items.some((item) => item.dataset.id === id)) return null;
    const when = new Date(created).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
    const by = make("p", { class: "by" }, make("b", { dir: "auto" }, email || "Anonymous"));
    by.append(make("time", { datetime: created, ...theirs }, when));
    const item = make("li", { tabindex: "-1", "data-id": id }, by, make("p", { class: "text", ...theirs }, comment));
    list.insertBefore(item, items.find((other) => other.dataset.id > id) || null);
    return item;
  };

  let loading = false;
  const load = async () => {
    if (loading) return;
    loading = true;
    const clicked = !more.hidden; // if so, focus the first new comment
    state.textContent = "Loading…";
    const { body, link } = await request(next);
    loading = false;
    const found = Array.isArray(body);
    if (!found && body.status !== "NOT-FOUND") {
      state.textContent = `Comments could not be loaded: ${body.message}.`;
      more.textContent = "Try again";
      more.hidden = false;
      return;
    }
    const items = found ? body.map(show).filter(Boolean) : [];
    const [, page, relation] = /<([^>]+)>; rel="(next|monitor)"/.exec(link) || [];
    if (page) next = new URL(page, next);
    more.hidden = relation !== "next";
    more.textContent = "Show more comments";
    state.textContent = list.children.length ? "" : "No comments yet.";
    if (clicked && items.length && !form.matches(":focus-within")) items[0].focus();
  };
  more.addEventListener("click", load);

  let draft = ""; // the last body sent, and its key, which retries repeat
  let key = "";
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (send.ariaDisabled) return;
    const email = fields.email.input.value.trim();
    const comment = fields.comment.input.value;
    const body = JSON.stringify({ email, comment, content_id: Number(thread) });
    if (body !== draft) {
      draft = body;
      // crypto.randomUUID exists only in secure contexts.
      key = [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join("-");
    }
    send.ariaDisabled = "true";
    result.textContent = "Sending…";
    for (const { input } of Object.values(fields)) input.readOnly = true;
    const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
    const response = await request(new URL("api/comment/new", script.src), { method: "POST", headers, body });
    send.ariaDisabled = null;
    const accepted = response.body.id;
    if (accepted || response.code === 422) draft = "";
    const errors = response.body.errors || [];
    let firstInvalid;
    for (const [name, { label, input, error }] of Object.entries(fields)) {
      input.readOnly = false;
      const invalid = errors.find((each) => each.field === name);
      error.textContent = invalid ? `${label} ${invalid.message}.` : "";
      input.ariaInvalid = invalid ? "true" : null;
      if (invalid) firstInvalid ||= input;
    }
    if (!accepted) {
      result.textContent = `Your comment was not posted${firstInvalid ? "" : `: ${response.body.message}`}.`;
      firstInvalid?.focus();
      return;
    }
    fields.comment.input.value = "";
    const isPending = response.code === 202;
    result.textContent = isPending ? "Your comment awaits approval." : "Your comment was posted.";
    if (isPending) return;
    show(response.body);
    state.textContent = "";
  });

  const box = make("div", { class: "thread", lang: "en", dir: "ltr" });
  box.append(make("h2", {}, "Comments"), list, state, more, form);
  box.dataset.theme = script.dataset.theme || "";
  const host = make("comment-thread", {});
  host.style.display = "block"; // a style attribute would need 'unsafe-inline'
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(styles);
  root.adoptedStyleSheets = [sheet];
  root.append(box);
  if (!script.closest("head")) script.after(host);
  else if (document.body) document.body.append(host);
  else addEventListener("DOMContentLoaded", () => document.body.append(host));
  if (/^[1-9][0-9]{0,15}$/.test(thread)) {
    load();
  } else {
    form.hidden = true;
    state.textContent = "The script tag needs data-content-id, the number of the thread.";
  }
})();
