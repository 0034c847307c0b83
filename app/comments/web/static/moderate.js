// What a moderator does, by the API's own routes. The token stays in this tab: its session storage, and the requests'
// Authorization header. What people wrote is only ever text.
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

/** Ask the API as the moderator; returns nothing when it refused, and has said why. */
const ask = async (url, method = "GET") => {
  try {
    const answer = await fetch(url, { method, headers: { Authorization: `Bearer ${token}` } });
    const body = await answer.json().catch(() => ({ message: `the service answered ${answer.status}` }));
    if (answer.ok) return { body, link: answer.headers.get("Link") || "" };
    if (answer.status === 401 || answer.status === 403) {
      close();
      say("This token is not the moderator's.");
      by("token").focus();
    } else {
      say(`That did not work: ${body.message}.`);
    }
  } catch {
    say("The service cannot be reached.");
  }
  return null;
};

const close = () => {
  token = "";
  sessionStorage.removeItem(TOKEN);
  by("entries").replaceChildren();
  by("work").hidden = true;
  by("more").hidden = true;
  by("open").hidden = false;
};

const entry = (comment) => {
  const who = comment.email || "no email";
  const when = new Date(comment.created_at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const row = make("div", { class: "row" });
  const item = make("li", { tabindex: "-1" },
    make("div", { class: "by" }, make("b", {}, who), make("span", { class: "soft" }, `article ${comment.content_id}`),
      make("time", { datetime: comment.created_at }, when)),
    make("p", { dir: "auto" }, comment.comment), row);
  const action = (label, kind, url, method, done) => {
    const name = `${label} the comment by ${who}`;
    const button = make("button", { type: "button", class: kind, "aria-label": name }, label);
    button.addEventListener("click", async () => {
      if (!(await ask(url, method))) return;
      const after = item.nextElementSibling || item.previousElementSibling;
      item.remove();
      say(done);
      (after || by("heading")).focus();
    });
    row.append(button);
  };
  const path = `${comment.content_id}/${comment.id}`;
  if (comment.held) {
    action("Approve", "quiet", `/api/moderation/${path}/approve`, "POST", "Approved: it is listed now.");
  }
  action("Delete", "wrong", `/api/comment/${path}`, "DELETE", "Deleted for good.");
  return item;
};

const load = async () => {
  const answer = await ask(next.url);
  if (!answer) return;
  const items = answer.body.map((comment) => entry({ ...comment, held: next.held }));
  by("entries").append(...items);
  const page = /<([^>]+)>; *rel="?next/.exec(answer.link);
  by("more").hidden = !page;
  if (page) next = { ...next, url: page[1] };
  by("open").hidden = true;
  by("work").hidden = false;
  say(by("entries").children.length ? "" : "Nothing waits for approval.");
  return items[0];
};

const begin = async (heading, url, held) => {
  by("entries").replaceChildren();
  by("heading").textContent = heading;
  next = { url, held };
  say("Loading…");
  await load();
};
const held = () => begin("Waiting for approval", "/api/moderation/held?limit=50", true);

by("open").addEventListener("submit", (event) => {
  event.preventDefault();
  token = by("token").value.trim();
  by("token").value = "";
  sessionStorage.setItem(TOKEN, token);
  held();
});
by("thread").addEventListener("submit", (event) => {
  event.preventDefault();
  const thread = by("content-id").value.trim();
  begin(`Listed on article ${thread}`, `/api/comment/list/${encodeURIComponent(thread)}?limit=50`, false);
});
by("held").addEventListener("click", held);
by("forget").addEventListener("click", () => { close(); say("The token is forgotten."); by("token").focus(); });
by("more").addEventListener("click", async () => (await load())?.focus());
if (token) held();
