// Moderation through the API. The token is kept in the tab's session storage. Comments become text nodes, never markup.
const byId = (id) => document.getElementById(id);
const TOKEN = "comments.token";
let token = sessionStorage.getItem(TOKEN) || "";
let next;

const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};

const showStatus = (text) => { byId("state").textContent = text; };

/** Call the API as the moderator. Returns null if the request failed, after showing the reason. */
const request = async (url, method = "GET", options = {}) => {
  try {
    const headers = { Authorization: `Bearer ${token}`, ...options.headers };
    const response = await fetch(url, { method, ...options, headers });
    const body = await response.json().catch(() => ({ message: `the service responded with ${response.status}` }));
    if (response.ok) return { body, link: response.headers.get("Link") || "" };
    if (body.status === "NOT-FOUND") return { gone: true };
    if (response.status === 401) signOut("The token is wrong.");
    else showStatus(`The request failed: ${body.message}.`);
  } catch {
    showStatus("The service is unreachable.");
  }
  return null;
};

const signOut = (reason) => {
  token = "";
  next = null;
  sessionStorage.removeItem(TOKEN);
  byId("entries").replaceChildren();
  byId("work").hidden = true;
  byId("more").hidden = true;
  byId("sign-in").hidden = false;
  showStatus(reason);
  byId("token").focus();
};

const button = (label, kind, author, click) => {
  const created = make("button", { type: "button", class: kind }, label);
  created.ariaLabel = `${label} the comment by ${author}`;
  created.addEventListener("click", click);
  return created;
};

/** Remove an item, or replace it. The focus moves on. */
const remove = (item, replacement) => {
  const hadFocus = item.contains(document.activeElement);
  const neighbor = replacement || item.nextElementSibling || item.previousElementSibling || byId("heading");
  if (replacement) item.replaceWith(replacement);
  else item.remove();
  if (hadFocus) (neighbor.querySelector("button.undo") || neighbor).focus();
};

const UNDO = 8000; // milliseconds until a deletion is sent
const deletions = new Set(); // each sends a deletion that can still be undone
/** Returns whether all comments are deleted. If not, the reason is shown. */
const sendDeletions = async (options) => (await Promise.all([...deletions].map((send) => send(options)))).every(Boolean);
addEventListener("pagehide", () => sendDeletions({ keepalive: true }));

const deleteLater = (item, author, url) => {
  const send = async (options) => {
    clearTimeout(timer);
    deletions.delete(send);
    const response = await request(url, "DELETE", options);
    if (!response) {
      notice.replaceWith(item);
      return false;
    }
    remove(notice);
    if (response.gone) showStatus(GONE);
    return true;
  };
  const undo = button("Undo", "quiet undo", author, () => {
    clearTimeout(timer);
    deletions.delete(send);
    remove(notice, item);
    showStatus("");
  });
  undo.ariaLabel = `Undo deleting the comment by ${author}`;
  const notice = make("li", {}, make("div", { class: "row" }, "The comment was deleted.", undo));
  const timer = setTimeout(send, UNDO);
  deletions.add(send);
  remove(item, notice);
  showStatus("");
};

let signature = "Moderator"; // the name of the last reply
const replyForm = (comment, opener) => {
  const name = make("input", { maxlength: "50", value: signature, required: "" });
  const text = make("textarea", { "aria-label": "Reply", rows: "4", maxlength: "10000", required: "" });
  const close = () => {
    form.remove();
    opener.hidden = false;
    opener.focus();
  };
  const cancel = make("button", { type: "button", class: "quiet" }, "Cancel");
  cancel.addEventListener("click", close);
  const form = make("form", {}, text, make("label", { class: "row" }, "Name", name),
    make("div", { class: "row" }, make("button", {}, "Publish reply"), cancel));
  let draft, key; // a second click stores nothing
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    signature = name.value;
    const { page, content_id: thread, id } = comment;
    const where = page ? { page } : { content_id: thread };
    const body = JSON.stringify({ name: signature, comment: text.value, parent: id, ...where });
    if (body !== draft) key = crypto.getRandomValues(new Uint32Array(4)).join("-");
    draft = body;
    const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
    const response = await request("api/comment/new", "POST", { headers, body });
    if (!response?.body) return;
    close();
    showStatus("Your reply was published.");
  });
  return form;
};

const GONE = "It was approved or deleted in the meantime: see its thread.";
const entry = (comment) => {
  const author = comment.name || comment.email || "no name";
  const thread = comment.page || `thread ${comment.content_id}`;
  const when = new Date(comment.created_at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const path = `${comment.content_id}/${comment.id}`;
  const url = `api/moderation/${path}`;
  const row = make("div", { class: "row" });
  const marks = [comment.held && "pending", comment.moderator && "moderator"].filter(Boolean);
  const item = make("li", { tabindex: "-1" },
    make("div", { class: "by" }, make("b", { dir: "auto" }, author),
      ...[comment.name && comment.email, thread].filter(Boolean).map((text) => make("span", { class: "soft" }, text)),
      make("a", { href: `moderate#${path}` }, make("time", { datetime: comment.created_at }, when)),
      ...marks.map((mark) => make("strong", { class: "soft" }, mark))),
    make("p", { dir: "auto" }, comment.comment), row);
  if (comment.held) {
    let busy = false;
    row.append(button("Approve", "quiet", author, async () => {
      if (busy) return;
      busy = true;
      // Authors may edit pending comments.
      const current = await request(url);
      if (current?.body && current.body.comment !== comment.comment) {
        remove(item, entry(current.body));
        showStatus("Its author changed the comment: read it again.");
        return;
      }
      const response = current && await request(`${url}/approve`, "POST");
      busy = false;
      if (!response) return;
      remove(item);
      showStatus(response.gone ? GONE : "The comment was approved.");
    }));
  } else {
    row.append(button("Reply", "quiet", author, (event) => {
      event.target.hidden = true;
      row.after(replyForm(comment, event.target));
      row.nextElementSibling.querySelector("textarea").focus();
    }));
  }
  row.append(button("Delete", "wrong", author, () => deleteLater(item, author, url)));
  return item;
};

const load = async () => {
  const current = next;
  if (current.busy) return;
  current.busy = true;
  const response = await request(current.url);
  current.busy = false;
  if (!response || current !== next) return; // another list is shown by now, or nobody is signed in
  const items = [response.body || []].flat().map(entry);
  byId("entries").append(...items);
  const page = /<([^>]+)>; rel="next"/.exec(response.link);
  if (page) next.url = new URL(page[1], new URL(next.url, location));
  byId("more").hidden = !page;
  byId("sign-in").hidden = true;
  byId("work").hidden = false;
  showStatus(byId("entries").children.length || page ? "" : next.none);
  return items[0];
};

const list = async (heading, url, none = "No comments.") => {
  const previous = next;
  const current = next = { url, none };
  const areSent = await sendDeletions();
  if (current !== next) return; // another list is wanted by now, or nobody is signed in
  if (!areSent) {
    next = previous;
    return;
  }
  byId("entries").replaceChildren();
  byId("more").hidden = true;
  byId("heading").textContent = heading;
  showStatus("Loading…");
  return load();
};
const NONE = "No pending comments.";
const listPending = () => list("Pending comments", "api/moderation/held?limit=50", NONE);
const listRecent = () => list("Newest comments", "api/moderation/recent?limit=50");

/** Show the comment of the address, or pending comments, or the newest ones. Nothing is changed without a click. */
const start = async () => {
  const comment = /^#([0-9]+\/[0-9a-f-]{36})$/.exec(location.hash);
  if (comment) return list("One comment", `api/moderation/${comment[1]}`, "The comment was deleted.");
  if (!await listPending() && next?.none === NONE && byId("state").textContent === NONE) {
    await listRecent();
    if (token) showStatus(NONE);
  }
};

byId("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  byId("token").value = "";
  if (!/^[!-~]+$/.test(token)) return signOut("The token is wrong."); // headers can't contain other characters
  sessionStorage.setItem(TOKEN, token);
  await start();
  byId("heading").focus(); // has no effect while it is hidden
});
const listPage = (page) => list(`Comments on ${page}`, `api/comment/list?page=${encodeURIComponent(page)}&limit=50`);
byId("find").addEventListener("submit", async (event) => {
  event.preventDefault();
  const wanted = byId("wanted").value.trim();
  if (/^[0-9]+$/.test(wanted)) return list(`Comments in thread ${wanted}`, `api/comment/list/${wanted}?limit=50`);
  if (/^\//.test(wanted)) return listPage(wanted);
  if (!/^https?:/.test(wanted)) {
    return list(`Newest comments with “${wanted}”`, `api/moderation/recent?text=${encodeURIComponent(wanted)}`);
  }
  const listed = listPage(wanted);
  const current = next;
  // Threads have no host unless pages set data-host.
  if (await listed || current !== next || !URL.canParse(wanted)) return;
  const { pathname, search } = new URL(wanted);
  listPage(pathname + search);
});
byId("recent").addEventListener("click", listRecent);
byId("pending").addEventListener("click", listPending);
byId("sign-out").addEventListener("click", async () => {
  if (await sendDeletions()) signOut("You are signed out.");
});
byId("more").addEventListener("click", async () => (await load())?.focus());
addEventListener("hashchange", () => token && start());
byId("sign-in").querySelector("button").disabled = false; // until now, it would have sent the form without the token
if (token) start();
