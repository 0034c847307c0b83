// Shows numbers of comments on index pages: <script src="https://HOST/counts.js"></script>. docs/embedding.md has more.
(() => {
  "use strict";
  const script = document.currentScript;
  const { host } = script.dataset;
  const show = async (elements) => {
    const query = new URLSearchParams(elements.map(([, parameter, value]) => [parameter, value]));
    try {
      const signal = AbortSignal.timeout(30000);
      const url = new URL(`api/comment/counts?${query}`, script.src);
      const response = await fetch(url, { credentials: "omit", signal });
      if (response.status === 400 && elements.length > 1) { // one is invalid
        show(elements.splice(elements.length / 2));
        show(elements);
        return;
      }
      const counts = response.ok ? await response.json() : [];
      counts.forEach(({ count }, index) => { elements[index][0].textContent = count; });
    } catch { /* the elements keep their text */ }
  };
  const start = () => {
    const numbered = [];
    const pages = [];
    for (const element of document.querySelectorAll("[data-comment-count]")) {
      const { contentId, page } = element.dataset;
      if (contentId) {
        numbered.push([element, "content_id", contentId]);
        continue;
      }
      const url = element.closest("a[href]") || location;
      const path = (host === undefined ? "" : `//${host || url.host}`) + url.pathname + url.search;
      pages.push([element, "page", page || path]);
    }
    // Few enough for the length of a URL: Cyrillic letters take ten characters each.
    for (const all of [numbered, pages]) {
      const longest = Math.max(...all.map(([, ...pair]) => `${new URLSearchParams([pair])}`.length));
      while (all.length) show(all.splice(0, Math.max(1, Math.min(20, 7500 / (longest + 1)))));
    }
  };
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
  else start();
})();
