// The server cannot know under which address it is read (a balancer may hide it): the browser completes the examples.
for (const element of document.querySelectorAll("pre")) {
  element.textContent = element.textContent.replaceAll("https://HOST", location.origin);
}
