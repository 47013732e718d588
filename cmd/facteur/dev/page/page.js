"use strict";
// The page works without this script. With it, what changes appears by itself: each part
// of the page is replaced when the server draws it in another way.

const live = document.getElementById("live");
const said = document.getElementById("said");
let drawn = parts(live), busy = false, again = false;

// The page that answers a form with what is wrong in it says so until that flow changes:
// the live page, which has not seen the form, does not draw over it.
let refused = live.querySelector("#form :is([aria-invalid], [role=alert])") !== null;
if (refused) history.replaceState(null, "", "/?flow=" + encodeURIComponent(live.querySelector("#form [name=flow]").value));

// parts gives the texts of the page's parts, by id.
function parts(root) {
  const texts = new Map();
  for (const part of root.querySelectorAll("nav[id], section[id]")) texts.set(part.id, part.outerHTML);
  return texts;
}

// keep notes what the reader has done to a part, and returns what brings it back.
function keep(part) {
  const open = [...part.querySelectorAll("details[open][id]")].map((d) => d.id);
  const values = [...part.querySelectorAll("input:not([type=hidden]), textarea, select")].map((f) => [f.id, f.value]);
  const focus = part.contains(document.activeElement) ? document.activeElement.id : "";
  return () => {
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    for (const [id, value] of values) {
      const field = document.getElementById(id);
      if (field) field.value = value;
    }
    if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
  };
}

function replace(fresh) {
  const texts = parts(fresh), news = [];
  const main = document.getElementById("main");
  for (const id of drawn.keys()) if (!texts.has(id)) document.getElementById(id)?.remove();
  for (const [id, text] of texts) {
    if (drawn.get(id) === text || refused && id === "form") continue;
    const part = fresh.querySelector("#" + id), old = document.getElementById(id);
    if (part.dataset.said && part.dataset.said !== old?.dataset.said) news.push(part.dataset.said);
    if (!old) { main.append(part); continue; }
    const back = keep(old);
    old.replaceWith(part);
    back();
  }
  drawn = texts;
  refused = false;
  if (news.length) said.textContent = news.join(", ");
}

async function refresh() {
  if (busy) { again = true; return; }
  busy = true;
  try {
    do {
      again = false;
      const answer = await fetch("/dev/live" + location.search);
      if (!answer.ok) break;
      replace(new DOMParser().parseFromString(await answer.text(), "text/html").body);
    } while (again);
  } catch { /* the daemon is gone; the stream says when it is back */ }
  busy = false;
}

// listen hears of news while the page is seen: browsers open but six connections to a server,
// and a seventh tab would wait for ever.
let news = null;
function listen() {
  news?.close();
  if (document.hidden) return;
  news = new EventSource("/dev/news");
  news.onmessage = refresh;
  news.onopen = () => { document.getElementById("gone").textContent = ""; refresh(); };
  news.onerror = () => {
    document.getElementById("gone").textContent = "facteur dev has stopped or does not answer. The page shows the last known state and continues once it is back.";
  };
}
document.addEventListener("visibilitychange", listen);
listen();

// Not all that becomes of a run is news: that no answer came, that a wait began.
setInterval(() => {
  if (!document.hidden && live.querySelector("#run-title .status:is(.running, .waiting, .queued, .held)")) refresh();
}, 2000);

// Who presses twice runs once.
let sent = false;
document.addEventListener("submit", (event) => {
  if (sent) event.preventDefault();
  sent = true;
});
window.addEventListener("pageshow", () => { sent = false; });
