// Embeds the comments of a page: <script src="https://HOST/embed.js"></script>. docs/embedding.md has its attributes.
// Comments become text nodes, never markup. Styles are a constructed style sheet in a shadow root: they don't affect
// the page, the page's styles don't affect them, and a Content-Security-Policy doesn't have to allow inline styles.
// The service removes indentation and lines like these.
(() => {
  "use strict";
  const script = document.currentScript;
  // Levels of replies that are indented, and the depth of quotes.
  const LEVELS = 3;
  const EDIT = 15 * 60000; // how long the API accepts edits, in milliseconds
  const POLL = 30000;

  const styles = `
:host { display: block }
.thread { all: initial; display: block; text-align: start;
  --ink: var(--comments-ink, light-dark(#23211d, #ebe8e1));
  --soft: var(--comments-soft, light-dark(#5d594f, #aaa598));
  --line: var(--comments-line, light-dark(#8a8578, #7d796e));
  --rule: var(--comments-rule, light-dark(#e5e1d6, #393731));
  --paper: var(--comments-paper, light-dark(#fffefa, #1d1c1a));
  --accent: var(--comments-accent, light-dark(#1a5f4a, #8fd0b5));
  --wrong: var(--comments-wrong, light-dark(#a3261b, #ff9d91));
  font: var(--comments-font, medium/1.55 system-ui, sans-serif); color: var(--ink); background: var(--paper);
  padding: 1em; border-radius: 8px }
* { box-sizing: border-box; font: inherit; color: inherit; margin: 0 }
[hidden] { display: none }
h2 { font: 600 1.3em/1.3 ui-serif, Charter, Georgia, serif; margin-bottom: .5em }
ol { list-style: none; padding: 0 }
ol ol { margin: .9em 0 -.9em clamp(.6em, 4%, 1.6em) }
li { padding: .9em 0; border-top: 1px solid var(--rule) }
.by { display: flex; flex-wrap: wrap; gap: 0 .6em; align-items: center }
b, strong { font-weight: 600; overflow-wrap: anywhere }
.avatar { width: 1.8em; line-height: 1.8em; border-radius: 50%; text-align: center; color: #fff;
  background: hsl(var(--hue) 45% 30%) }
.badge { padding: 0 .5em; border: 1px solid; border-radius: 6px; color: var(--accent); font-size: .8em }
time, .soft, .status { color: var(--soft); font-size: .875em }
.text { white-space: pre-wrap; overflow-wrap: anywhere; margin-top: .3em }
.actions { margin-inline-start: -.5em }
em { font-style: italic }
code { font: .9em/1.5 ui-monospace, Menlo, monospace; background: var(--rule); border-radius: 4px; padding: .1em .3em }
pre, blockquote { margin: .4em 0; white-space: inherit }
pre code { display: block }
blockquote { border-inline-start: 3px solid var(--line); padding-inline-start: .8em; color: var(--soft) }
a { color: var(--accent) } a, code { unicode-bidi: isolate }
form { border-top: 1px solid var(--rule); padding-top: 1em; margin-top: .2em }
label { display: block; font-weight: 600; font-size: .875em; margin-bottom: .25em }
small { font-weight: 400; color: var(--soft) }
input, textarea { display: block; width: 100%; padding: .55em .7em; border: 1px solid var(--line); border-radius: 6px;
  background: transparent; resize: vertical }
[aria-invalid] { border: 2px solid var(--wrong) }
.error { color: var(--wrong); font-size: .875em; min-height: 1.55em; margin: .15em 0 .7em }
button { padding: .4em 1.1em; border: 1px solid var(--accent); border-radius: 6px; font-weight: 600; cursor: pointer;
  background: var(--accent); color: var(--paper) }
.quiet, .small { background: transparent; color: var(--accent) }
.more { margin: 0 0 1em }
.small { padding: .2em .5em; border: 0; font-size: .875em }
[aria-disabled] { opacity: .7; cursor: default }
.status:not(:empty) { margin-top: .8em }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }`;
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(styles);

  const english = {
    lang: "en", title: "Comments", none: "No comments yet.", loading: "Loading…", more: "Show more comments",
    again: "Try again", notLoaded: "Comments could not be loaded", added: "New comments", name: "Name", email: "Email",
    optional: " optional, never shown", comment: "Comment", send: "Post comment", sending: "Sending…",
    posted: "Your comment was posted.", pending: "Your comment awaits approval.",
    notPosted: "Your comment was not posted",
    reply: "Reply", edit: "Edit", edited: "edited", save: "Save", saved: "Your comment was changed.",
    notChanged: "Your comment was not changed", remove: "Delete", sure: "Delete this comment?", cancel: "Cancel",
    deleted: "This comment was deleted.", anonymous: "Anonymous",
    moderator: "Moderator", unreachable: "the service is unreachable", code: "the service responded with",
    // Errors of the API by their status. Translations have more.
    CONFLICT: "the comment was deleted", "NOT-FOUND": "the comment was deleted",
  };
  // The widget's own texts. A translation that cannot be loaded is replaced by English.
  const textsIn = async (lang) => {
    const code = /^(de|es|fr|pt)\b/i.exec(lang)?.[0].toLowerCase();
    if (!code) return english;
    try {
      const response = await fetch(new URL(`embed/${code}.json`, script.src), { signal: AbortSignal.timeout(5000) });
      return { ...english, ...await response.json() };
    } catch {
      return english;
    }
  };

  // Create an element, whose classes are its parts. Strings become text nodes.
  const make = (tag, attributes, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.part = element.className;
    element.append(...children);
    return element;
  };

  // Word characters around them keep the asterisks of 2*3*4. Limited lengths keep the search linear.
  const INLINE = new RegExp([
    /`([^`\n]+)`/,
    /(?<![\w*])\*\*(?=[^\s*])([^\n]{1,300}?)(?<=[^\s*])\*\*(?![\w*])/,
    /(?<![\w*])\*(?=\S)([^*\n]{1,300}?)(?<=\S)\*(?![\w*])/,
    /\[([^[\]\n]{1,300})\]\((https?:\/\/(?:[^\s()<>"]|\([^\s()<>"]*\))+)\)/,
    /(https?:\/\/(?:[^\s()<>"`*]|\([^\s()<>"`*]*\))+(?<![.,;:!?']))/,
  ].map((each) => each.source).join("|"), "g");
  const inline = (text, parent) => {
    let end = 0;
    for (const { index, 0: all, 1: code, 2: strong, 3: em, 4: label, 5: url, 6: bare } of text.matchAll(INLINE)) {
      parent.append(text.slice(end, index));
      end = index + all.length;
      if (code) parent.append(make("code", {}, code));
      else if (strong || em) inline(strong || em, parent.appendChild(make(strong ? "strong" : "em", {})));
      else parent.append(make("a", { href: url || bare, rel: "ugc nofollow noopener" }, label || bare));
    }
    parent.append(text.slice(end));
  };
  // Render a subset of Markdown: `code`, **strong**, *emphasis*, [links](https://…), > quotes, and ``` blocks.
  const markdown = (text, parent, levels = LEVELS) => {
    if (!levels) return inline(text, parent);
    text.split(/(^```[\w+#-]{0,20}\n(?:[^]*?\n)?```$|^(?:>.*(?:\n|$))+)/m).forEach((part, index) => {
      if (index % 2 === 0) {
        inline(part.replace(/^\n|\n$/g, ""), parent);
      } else if (part[0] === ">") {
        markdown(part.replace(/^> ?/gm, "").trimEnd(), parent.appendChild(make("blockquote", {})), levels - 1);
      } else {
        const code = part.slice(part.indexOf("\n") + 1, -3).replace(/\n$/, "");
        parent.append(make("pre", {}, make("code", {}, code)));
      }
    });
  };

  // An initial on a color that follows from the name.
  const avatar = (name) => {
    let hue = 0;
    for (const letter of name) hue = (hue * 31 + letter.codePointAt(0)) % 360;
    const initial = /[\p{L}\p{N}]/u.exec(name)?.[0].toUpperCase() || "?";
    const circle = make("span", { class: "avatar", "aria-hidden": "true" }, initial);
    circle.style.setProperty("--hue", hue); // a style attribute would need 'unsafe-inline'
    return circle;
  };

  // crypto.randomUUID exists only in secure contexts.
  const random = () => {
    const parts = [...crypto.getRandomValues(new Uint32Array(4))];
    return parts.map((part) => part.toString(36).padStart(7, "0")).join("-");
  };

  // The secret of this browser's comments, and when they were created: approval changes an id, but not that time.
  const identity = { token: "", own: [] };
  const loadIdentity = () => {
    try {
      Object.assign(identity, JSON.parse(localStorage.getItem("comment-thread")));
    } catch { /* blocked: own comments can be changed until the page is closed */ }
    return identity;
  };
  const saveIdentity = (created) => {
    loadIdentity(); // another tab may have posted
    identity.token ||= random();
    if (created) identity.own = [...identity.own, created].slice(-200);
    try {
      localStorage.setItem("comment-thread", JSON.stringify(identity));
    } catch { /* as above */ }
    return identity.token;
  };

  // The path of the canonical URL, or //host/path. Only WordPress has pages that differ in their query.
  const canonicalPage = (host) => {
    const { href } = document.querySelector("link[rel=canonical]") || location;
    const url = URL.canParse(href) ? new URL(href) : location;
    const [query = ""] = /[?&]p(age_id)?=\d+/.exec(url.search) || [];
    return (host === undefined ? "" : `//${host || url.host}`) + url.pathname + query.replace("&", "?");
  };

  const host = make("comment-thread", {});

  // Show the thread.
  const mount = async () => {
    const t = await textsIn((host.closest("[lang]") || document.documentElement).lang);
    const { page, contentId, theme, host: site } = script.dataset;
    const isNumbered = !page && contentId !== undefined;
    const thread = isNumbered ? { content_id: Number(contentId) } : { page: page || canonicalPage(site) };
    const api = (path) => new URL(`api/comment/${path}`, script.src);
    const urlOf = ({ content_id: of, id }) => api(`${of}/${id}`);
    let next = api(`list${isNumbered ? `/${contentId}?` : `?page=${encodeURIComponent(thread.page)}&`}limit=50`);

    const anyLanguage = { dir: "auto", lang: "" }; // that of visitors is unknown
    const title = make("h2", { class: "title", tabindex: "-1" }, t.title);
    const list = make("ol", { role: "list" }); // Safari drops the role of lists without markers
    const state = make("p", { role: "status", class: "status" });
    const button = (text, kind, click) => {
      const created = make("button", { type: "button", class: `button ${kind}` }, text);
      created.addEventListener("click", click);
      return created;
    };
    const more = button(t.more, "quiet more", () => load());
    more.hidden = true;
    const replyingTo = make("p", { class: "soft" });
    const result = make("p", { role: "status", class: "status" });
    const send = make("button", { class: "button", type: "submit" }, t.send);
    const cancel = button(t.cancel, "quiet", () => {
      if (send.ariaDisabled) return;
      const { opener } = target;
      moveForm();
      opener.focus();
    });
    const fields = {
      name: { label: t.name, input: make("input", { class: "input", autocomplete: "name", ...anyLanguage }) },
      // Not type=email: browsers change its value before the API can validate it.
      email: {
        label: t.email,
        note: t.optional,
        input: make("input", { class: "input", inputmode: "email", autocomplete: "email", spellcheck: "false" }),
      },
      comment: { label: t.comment, input: make("textarea", { class: "input", rows: "4", ...anyLanguage }) },
    };
    const form = make("form", { class: "form", novalidate: "" }, replyingTo);
    for (const [name, field] of Object.entries(fields)) {
      field.input.id = name;
      if (!field.note) field.input.ariaRequired = "true";
      field.input.setAttribute("aria-describedby", `${name}-error`);
      field.error = make("p", { id: `${name}-error`, class: "error" });
      const label = make("label", { class: "label", for: name }, field.label, make("small", {}, field.note || ""));
      field.row = make("div", {}, label, field.input, field.error);
      form.append(field.row);
    }
    form.append(send, " ", cancel, result);
    // The page's shortcuts don't see that a key is typed into a field of the shadow root. Escape may close a dialog.
    for (const type of ["keydown", "keypress", "keyup"]) {
      form.addEventListener(type, (event) => event.key === "Escape" || event.stopPropagation());
    }

    // Call the API. Never rejects.
    const request = async (url, options) => {
      try {
        const response = await fetch(url, { credentials: "omit", signal: AbortSignal.timeout(30000), ...options });
        let body = await response.json().catch(() => null);
        // A proxy may respond with anything.
        if (!Array.isArray(body) && !body?.message && !body?.id) body = { message: `${t.code} ${response.status}` };
        return { code: response.status, body, link: response.headers.get("Link") || "" };
      } catch {
        const hint = `If ${url.origin} is up, add ${location.origin} to COMMENTS_CORS_ORIGINS`;
        console.warn(`comments: request failed. ${hint}`);
        return { body: { message: t.unreachable } };
      }
    };
    const reason = (body) => t[body.status] || body.message;

    let target = null; // what the form is for, if not a new comment: { node, comment, author, isEdit, opener }
    let savedText = ""; // the text of a new comment while another one is edited
    const moveForm = (to = null) => {
      const { input } = fields.comment;
      if (target?.isEdit) input.value = savedText;
      target = to;
      const isEdit = Boolean(to?.isEdit);
      if (isEdit) {
        savedText = input.value;
        input.value = to.comment.comment;
      }
      replyingTo.replaceChildren(...(to && !isEdit ? [`${t.reply}: `, make("bdi", {}, to.author)] : []));
      fields.name.row.hidden = fields.email.row.hidden = isEdit;
      send.textContent = isEdit ? t.save : t.send;
      cancel.hidden = !to;
      result.textContent = "";
      showErrors([]);
      (to ? to.node.actions : more).after(form);
    };
    // Show errors at their fields. Returns the first invalid input.
    const showErrors = (errors) => {
      let first;
      for (const [name, { label, input, error }] of Object.entries(fields)) {
        const invalid = errors.find((each) => each.field === name);
        const translated = input.value.trim() ? t.invalid : t.required; // the API's messages are English
        error.textContent = invalid ? (translated ? `${label}: ${translated}` : `${label} ${invalid.message}.`) : "";
        input.ariaInvalid = invalid ? "true" : null;
        if (invalid) first ||= input;
      }
      return first;
    };

    const nodes = new Map(); // by id: { item, author, actions, replies, level, waiting }
    // Render a comment in its item, above its replies. A comment that no longer exists is said to be deleted.
    const render = (node, comment) => {
      const replies = node.replies ? [node.replies] : [];
      if (!comment) return node.item.replaceChildren(make("p", { class: "soft" }, t.deleted), ...replies);
      const { created_at: created } = comment;
      const author = comment.name || comment.email || t.anonymous;
      const when = new Date(created).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
      const by = make("p", { class: "by" }, avatar(author));
      by.append(make("b", { class: "author", dir: "auto" }, author));
      if (comment.moderator) by.append(make("span", { class: "badge" }, t.moderator));
      by.append(make("time", { datetime: created, ...anyLanguage }, when));
      if (comment.edited_at) by.append(make("span", { class: "soft" }, t.edited));
      if (node.to) by.append(make("span", { class: "soft" }, `${t.reply}: `, make("bdi", {}, node.to)));
      if (comment.held) by.append(make("span", { class: "soft" }, t.pending));
      const text = make("div", { class: comment.held ? "text soft" : "text", ...anyLanguage });
      markdown(comment.comment, text);
      const actions = make("div", { class: "actions" });
      const action = (label, click) => {
        const created = button(label, "small", click);
        created.ariaLabel = `${label}: ${author}`;
        actions.append(created);
        return created;
      };
      const open = (isEdit) => (event) => {
        if (send.ariaDisabled) return;
        moveForm({ node, comment, author, isEdit, opener: event.currentTarget });
        fields.comment.input.focus();
      };
      if (!comment.held) action(t.reply, open(false));
      Object.assign(node, { author, actions, waiting: comment.held && created });
      if (loadIdentity().own.includes(created)) {
        const left = Date.parse(created) + EDIT - Date.now();
        if (left > 0) {
          const edit = action(t.edit, open(true));
          setTimeout(() => edit.remove(), left);
        }
        const note = make("span", { role: "status", class: "soft" });
        action(t.remove, async () => {
          if (!confirm(t.sure)) return;
          const headers = { "Author-Token": identity.token };
          const { code, body } = await request(urlOf(comment), { method: "DELETE", headers });
          if (code !== 200 && body.status !== "NOT-FOUND") {
            note.textContent = `${t.notChanged}: ${reason(body)}.`;
            return;
          }
          if (target?.node === node) moveForm();
          render(node, null);
          node.item.focus();
        });
        actions.append(note);
      }
      node.item.replaceChildren(by, text, actions, ...replies);
    };

    // Insert an item under its parent, in the order of ids, which sort by time. The lowest level continues flat.
    const insert = (node, id, parent) => {
      let siblings = list;
      if (parent && parent.level < LEVELS) {
        siblings = parent.replies ||= parent.item.appendChild(make("ol", { role: "list" }));
      } else if (parent) {
        siblings = parent.item.parentNode;
        node.to = parent.author;
      }
      if (node.item.contains(siblings)) siblings = list; // imported comments that reply to each other
      node.level = siblings === list ? 0 : Math.min(parent.level + 1, LEVELS);
      siblings.insertBefore(node.item, [...siblings.children].find((other) => other.dataset.id > id) || null);
    };
    const add = (id) => {
      const node = { item: make("li", { tabindex: "-1", "data-id": id, class: "comment" }), level: 0 };
      nodes.set(id, node);
      return node;
    };
    // The node of a parent, which may be on another page, have been approved under another id, or be deleted.
    const parentOf = async ({ parent, content_id: thread }) => {
      if (!parent || nodes.has(parent)) return nodes.get(parent);
      const { body } = await request(urlOf({ content_id: thread, id: parent }));
      if (body.id) {
        await show(body);
        nodes.set(parent, nodes.get(body.id));
      } else if (body.status === "NOT-FOUND" && !nodes.has(parent)) {
        insert(add(parent), parent);
        render(nodes.get(parent), null);
      }
      return nodes.get(parent);
    };
    // Insert a comment. Returns null if it is already shown.
    const show = async (comment) => {
      if (nodes.has(comment.id)) return null;
      // One's own comment that was pending has a new id after its approval.
      for (const old of nodes.values()) {
        if (old.waiting === comment.created_at && old !== target?.node) old.item.remove();
      }
      const node = add(comment.id);
      const parent = await parentOf(comment);
      insert(node, comment.id, parent);
      render(node, comment);
      return node.item;
    };

    let loading = false;
    const load = async (isPoll = false) => {
      if (loading) return;
      loading = true;
      const clicked = !more.hidden; // if so, focus the first new comment
      if (!isPoll) state.textContent = t.loading;
      const { body, link } = await request(next);
      const found = Array.isArray(body);
      if (!found && body.status !== "NOT-FOUND") {
        loading = false;
        if (isPoll) return;
        state.textContent = `${t.notLoaded}: ${reason(body)}.`;
        more.textContent = t.again;
        more.hidden = false;
        return;
      }
      const items = [];
      for (const comment of found ? body : []) items.push(await show(comment));
      const added = items.filter(Boolean);
      const [, page, relation] = /<([^>]+)>; rel="(next|monitor)"/.exec(link) || [];
      if (page) next = new URL(page, next);
      loading = false;
      more.hidden = relation !== "next";
      more.textContent = t.more;
      if (!isPoll) state.textContent = list.children.length ? "" : t.none;
      else if (added.length) state.textContent = `${t.added}: ${added.length}`;
      if (clicked && !form.matches(":focus-within")) (added[0] || title).focus();
    };

    let draft = ""; // the last body sent, and its key, which retries repeat
    let key = "";
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (send.ariaDisabled) return;
      const to = target;
      const isEdit = Boolean(to?.isEdit);
      const comment = fields.comment.input.value;
      const name = fields.name.input.value.trim();
      const email = fields.email.input.value.trim() || undefined;
      const body = JSON.stringify(isEdit ? { comment } : { name, email, comment, ...thread, parent: to?.comment.id });
      if (body !== draft) {
        draft = body;
        key = random();
      }
      send.ariaDisabled = "true";
      result.textContent = t.sending;
      for (const { input } of Object.values(fields)) input.readOnly = true;
      const headers = { "Content-Type": "application/json", "Author-Token": saveIdentity() };
      if (!isEdit) headers["Idempotency-Key"] = key;
      const url = isEdit ? urlOf(to.comment) : api("new");
      const response = await request(url, { method: isEdit ? "PATCH" : "POST", headers, body });
      send.ariaDisabled = null;
      for (const { input } of Object.values(fields)) input.readOnly = false;
      const accepted = response.body.id;
      if (accepted || response.code === 422) draft = "";
      const firstInvalid = showErrors(response.body.errors || []);
      if (!accepted) {
        const why = firstInvalid ? "" : `: ${reason(response.body)}`;
        result.textContent = `${isEdit ? t.notChanged : t.notPosted}${why}.`;
        firstInvalid?.focus();
        return;
      }
      fields.comment.input.value = "";
      if (!isEdit) saveIdentity(response.body.created_at);
      if (to) moveForm();
      if (isEdit) render(to.node, response.body);
      else await show(response.body);
      result.textContent = response.code === 202 ? t.pending : isEdit ? t.saved : t.posted;
      state.textContent = "";
      if (to) nodes.get(response.body.id).item.focus();
    });

    const box = make("div", { class: "thread", lang: t.lang, dir: "ltr" });
    // Pages that don't declare their color scheme may still follow the system's.
    const declared = getComputedStyle(host).colorScheme !== "normal";
    box.style.colorScheme = theme || (declared ? "inherit" : "light dark");
    box.append(title, list, state, more, form);
    const root = host.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    root.append(box);
    moveForm();
    if (isNumbered && !/^[1-9][0-9]{0,15}$/.test(contentId)) {
      form.hidden = true;
      state.textContent = "data-content-id must be the number of a thread. Without it, the page has its own thread.";
      return;
    }
    await load();
    if (location.hash === `#${host.id}`) host.scrollIntoView();
    const timer = setInterval(() => {
      if (!box.isConnected) clearInterval(timer);
      else if (!document.hidden && more.hidden) load(true);
    }, POLL);
  };

  const start = () => {
    if (script.closest("head")) document.body.append(host);
    else script.after(host);
    if (!document.getElementById("comments")) host.id = "comments";
    mount();
  };
  // The body may be incomplete.
  if (document.readyState === "loading" && script.closest("head")) addEventListener("DOMContentLoaded", start);
  else start();
})();
