// Moderation through the API. The token is kept in the tab's session storage. Comments become text nodes, never markup.
const by = (id) => document.getElementById(id);
const TOKEN = "comments.token";
let token = sessionStorage.getItem(TOKEN) || "";
let next;

const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};

const say = (text) => { by("state").textContent = text; };

/** Call the API as the moderator. Returns null if the request failed, after showing the reason. */
const request = async (url, method = "GET") => {
  try {
    const response = await fetch(url, { method, headers: { Authorization: `Bearer ${token}` } });
    const body = await response.json().catch(() => ({ message: `the service responded with ${response.status}` }));
    if (response.ok) return { body, link: response.headers.get("Link") || "" };
    if (response.status === 401) signOut("The token is wrong.");
    else say(`The request failed: ${body.message}.`);
  } catch {
    say("The service is unreachable.");
  }
  return null;
};

const signOut = (reason) => {
  token = "";
  sessionStorage.removeItem(TOKEN);
  by("entries").replaceChildren();
  by("work").hidden = true;
  by("more").hidden = true;
  by("sign-in").hidden = false;
  say(reason);
  by("token").focus();
};

const entry = (comment, isPending) => {
  const author = comment.email || "no email";
  const when = new Date(comment.created_at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const row = make("div", { class: "row" });
  const item = make("li", { tabindex: "-1" },
    make("div", { class: "by" }, make("b", {}, author), make("span", { class: "soft" }, `article ${comment.content_id}`),
      make("time", { datetime: comment.created_at }, when)),
    make("p", { dir: "auto" }, comment.comment), row);
  const action = (label, kind, url, method, done) => {
    const name = `${label} the comment by ${author}`;
    const button = make("button", { type: "button", class: kind, "aria-label": name }, label);
    button.addEventListener("click", async () => {
      if (!(await request(url, method))) return;
      const neighbor = item.nextElementSibling || item.previousElementSibling;
      item.remove();
      say(done);
      (neighbor || by("heading")).focus();
    });
    row.append(button);
  };
  const url = `/api/moderation/${comment.content_id}/${comment.id}`;
  if (isPending) action("Approve", "quiet", `${url}/approve`, "POST", "The comment was approved.");
  action("Delete", "wrong", url, "DELETE", "The comment was deleted.");
  return item;
};

const load = async () => {
  const response = await request(next.url);
  if (!response) return;
  const items = response.body.map((comment) => entry(comment, next.isPending));
  by("entries").append(...items);
  const page = /<([^>]+)>/.exec(response.link);
  if (page) next.url = page[1];
  by("more").hidden = !response.link.includes('results="true"');
  by("sign-in").hidden = true;
  by("work").hidden = false;
  say(by("entries").children.length ? "" : next.isPending ? "No pending comments." : "No comments.");
  return items[0];
};

const list = async (heading, url, isPending) => {
  by("entries").replaceChildren();
  by("more").hidden = true;
  by("heading").textContent = heading;
  next = { url, isPending };
  say("Loading…");
  await load();
};
const listPending = () => list("Pending comments", "/api/moderation/held?limit=50", true);

by("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  token = by("token").value.trim();
  by("token").value = "";
  sessionStorage.setItem(TOKEN, token);
  listPending();
});
by("thread").addEventListener("submit", (event) => {
  event.preventDefault();
  const thread = by("content-id").value.trim();
  list(`Comments on article ${thread}`, `/api/comment/list/${encodeURIComponent(thread)}?limit=50`, false);
});
by("pending").addEventListener("click", listPending);
by("sign-out").addEventListener("click", () => signOut("You are signed out."));
by("more").addEventListener("click", async () => (await load())?.focus());
if (token) listPending();
