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
const request = async (url, method = "GET") => {
  try {
    const response = await fetch(url, { method, headers: { Authorization: `Bearer ${token}` } });
    const body = await response.json().catch(() => ({ message: `the service responded with ${response.status}` }));
    if (response.ok) return { body, link: response.headers.get("Link") || "" };
    if (response.status === 404 && method !== "GET") return { gone: true };
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

const entry = (comment, isPending) => {
  const author = comment.name || comment.email || "no name";
  const thread = comment.page || `thread ${comment.content_id}`;
  const when = new Date(comment.created_at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const row = make("div", { class: "row" });
  let busy = false;
  const item = make("li", { tabindex: "-1" },
    make("div", { class: "by" }, make("b", { dir: "auto" }, author),
      make("span", { class: "soft" }, comment.name && comment.email || ""), make("span", { class: "soft" }, thread),
      make("time", { datetime: comment.created_at }, when)),
    make("p", { dir: "auto" }, comment.comment), row);
  const action = (label, kind, url, method, done) => {
    const name = `${label} the comment by ${author}`;
    const button = make("button", { type: "button", class: kind, "aria-label": name }, label);
    button.addEventListener("click", async () => {
      if (busy) return;
      busy = true;
      const response = await request(url, method);
      busy = false;
      if (!response) return;
      const neighbor = item.nextElementSibling || item.previousElementSibling || byId("heading");
      if (item.contains(document.activeElement)) neighbor.focus();
      item.remove();
      showStatus(response.gone ? "It was approved or deleted in the meantime: see its thread." : done);
    });
    row.append(button);
  };
  const url = `api/moderation/${comment.content_id}/${comment.id}`;
  if (isPending) action("Approve", "quiet", `${url}/approve`, "POST", "The comment was approved.");
  action("Delete", "wrong", url, "DELETE", "The comment was deleted.");
  return item;
};

const load = async () => {
  const current = next;
  if (current.busy) return;
  current.busy = true;
  const response = await request(current.url);
  current.busy = false;
  if (!response || current !== next) return; // another list is shown by now, or nobody is signed in
  const items = response.body.map((comment) => entry(comment, next.isPending));
  byId("entries").append(...items);
  const page = /<([^>]+)>; rel="next"/.exec(response.link);
  if (page) next.url = new URL(page[1], new URL(next.url, location));
  byId("more").hidden = !page;
  byId("sign-in").hidden = true;
  byId("work").hidden = false;
  showStatus(byId("entries").children.length ? "" : next.isPending ? "No pending comments." : "No comments.");
  return items[0];
};

const list = async (heading, url, isPending) => {
  byId("entries").replaceChildren();
  byId("more").hidden = true;
  byId("heading").textContent = heading;
  next = { url, isPending };
  showStatus("Loading…");
  await load();
};
const listPending = () => list("Pending comments", "api/moderation/held?limit=50", true);

byId("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  byId("token").value = "";
  if (!/^[!-~]+$/.test(token)) return signOut("The token is wrong."); // headers can't contain other characters
  sessionStorage.setItem(TOKEN, token);
  await listPending();
  byId("heading").focus(); // has no effect while it is hidden
});
byId("thread").addEventListener("submit", (event) => {
  event.preventDefault();
  const thread = byId("content-id").value.trim();
  const isPage = /\D/.test(thread);
  const path = isPage ? `?page=${encodeURIComponent(thread)}&` : `/${thread}?`;
  list(`Comments ${isPage ? "on" : "in thread"} ${thread}`, `api/comment/list${path}limit=50`, false);
});
byId("pending").addEventListener("click", listPending);
byId("sign-out").addEventListener("click", () => signOut("You are signed out."));
byId("more").addEventListener("click", async () => (await load())?.focus());
if (token) listPending();
