// The page cannot know under which address it is read (a balancer may hide it), so the browser puts it into the examples.
for (const element of document.querySelectorAll("pre")) {
  element.textContent = element.textContent.replaceAll("https://HOST", location.origin);
}
