// The server may not know its public address, so the browser completes the examples.
for (const element of document.querySelectorAll("pre")) {
  element.textContent = element.textContent.replaceAll("https://HOST/", new URL(".", location));
}
