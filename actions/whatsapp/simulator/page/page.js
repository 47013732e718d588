"use strict";
// The page works without this script. With it, what changes appears by itself, and forms
// do not load the page anew.

const part = document.getElementById("part");
const notice = document.getElementById("notice");
let busy = false, again = false;

function key() { return new URL(location.href).searchParams.get("c") || ""; }

// merge makes the old tree look like the new one, and leaves alone what is the same: what
// is open stays open, what is written stays written, and the focus stays where it is.
function merge(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !(name === "open" && old.tagName === "DETAILS")) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && !(name === "open" || name === "value" && old.matches("input:not([type=hidden])"))) old.setAttribute(name, value);
  }
  let at = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    let match = at;
    if (child.id) {
      while (match && match.id !== child.id) match = match.nextSibling;
    } else if (match && (match.id || match.nodeName !== child.nodeName)) {
      match = null;
    }
    if (!match) {
      old.insertBefore(child, at);
      continue;
    }
    while (at !== match) { const gone = at; at = at.nextSibling; gone.remove(); }
    at = match.nextSibling;
    if (match.nodeType !== Node.ELEMENT_NODE) {
      if (match.data !== child.data) match.data = child.data;
    } else if (!match.isEqualNode(child)) {
      merge(match, child);
    }
  }
  while (at) { const gone = at; at = at.nextSibling; gone.remove(); }
}

// last is what is at the end of the messages.
function last() { const of = document.getElementById("messages").lastElementChild; return of && of.id; }

// scrolls tells whether the messages scroll by themselves; on a phone the page does.
function scrolls(log) { return log.scrollHeight > log.clientHeight + 1; }

function nearEnd() {
  const log = document.getElementById("log");
  if (scrolls(log)) return log.scrollHeight - log.scrollTop - log.clientHeight < 160;
  const end = log.getBoundingClientRect().bottom;
  return end > 0 && end < window.innerHeight + 160;
}

function toEnd() {
  const log = document.getElementById("log");
  if (scrolls(log)) log.scrollTop = log.scrollHeight;
  else log.scrollIntoView({ block: "end" });
}

async function refresh() {
  if (busy) { again = true; return; }
  busy = true;
  try {
    do {
      again = false;
      const answer = await fetch("/_simulator/page/part" + location.search);
      if (!answer.ok) break;
      const text = '<div id="part">' + await answer.text() + "</div>";
      const fresh = new DOMParser().parseFromString(text, "text/html").getElementById("part");
      const end = nearEnd(), before = last();
      merge(part, fresh);
      if (end && last() !== before) toEnd();
      const who = part.querySelector(".list [aria-current] .who");
      document.title = (who ? who.textContent + " · " : "") + "WhatsApp simulator";
    } while (again);
  } catch { /* the simulator is gone; the stream says when it is back */ }
  busy = false;
}

const gone = "The simulator has stopped or does not answer. The page shows the last known state and continues once it is back.";
const pressed = new Set(); // the forms without fields that are on their way: pressed twice, they are sent once
let turn = Promise.resolve();

document.addEventListener("submit", async (event) => {
  const form = event.target;
  event.preventDefault();
  const body = new URLSearchParams(new FormData(form, event.submitter));
  const fields = [...form.querySelectorAll("input:not([type=hidden]), textarea")].map((field) => ({ field, text: field.value }));
  if (!fields.length && pressed.has(form)) return;
  pressed.add(form);
  for (const { field } of fields) field.value = field.defaultValue;
  if (form.classList.contains("compose")) document.getElementById("text").focus();
  const sent = turn.then(() => fetch(form.action, { method: "POST", body })); // one after another, as they were written
  turn = sent.catch(() => {});
  const answer = await sent.catch(() => null);
  pressed.delete(form);
  if (!answer || !answer.ok) {
    for (const { field, text } of fields) if (field.value === field.defaultValue) field.value = text;
  }
  if (!answer) {
    notice.textContent = gone;
    return;
  }
  if (answer.ok) {
    notice.textContent = "";
    const to = new URL(answer.url).searchParams.get("c");
    if (to && to !== key()) history.pushState(null, "", "/?c=" + encodeURIComponent(to));
  } else {
    const page = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("notice");
    notice.textContent = page ? page.textContent : "The simulator answered with status " + answer.status + ".";
  }
  await refresh();
  if (form.classList.contains("compose")) toEnd();
});

document.addEventListener("click", (event) => {
  const to = event.target.closest(".list a");
  if (!to || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  history.pushState(null, "", to.href);
  refresh().then(toEnd);
});

window.addEventListener("popstate", () => refresh().then(toEnd));

// listen hears of changes while the page is seen: browsers open but six connections to a
// server, and a seventh tab would wait for ever.
let stream = null;
function listen() {
  stream?.close();
  if (document.hidden) return;
  stream = new EventSource("/_simulator/page/events");
  stream.onmessage = refresh;
  stream.onopen = () => {
    if (notice.textContent === gone) notice.textContent = "";
    refresh();
  };
  stream.onerror = () => { notice.textContent = gone; };
}
document.addEventListener("visibilitychange", listen);
listen();
toEnd();
