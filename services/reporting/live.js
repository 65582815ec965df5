"use strict";
// Nothing needs this script: it asks for the figures again when some have moved, so that the page need not be loaded anew.
(() => {
  const figures = document.getElementById("figures"), said = document.getElementById("live");
  if (!figures || !window.EventSource) return;
  // Milliseconds between two askings: after quiet, and while changes pour in; twice what the last one took, where that is more: half
  // of a bad line stays free.
  const FIRST = 300, RETRY = 5000, MOST = 8000;
  // And before a stream that was refused is opened anew: at first, and at most.
  const SOON = 2000, LATE = 60000;
  let steady = 1000, asking = false, again = false, next = 0, tag = figures.dataset.tag, source, wait = SOON;
  const say = (what) => { said.textContent = said.dataset[what].replace("{}", new Date().toLocaleTimeString(document.documentElement.lang)); };
  const show = (text) => {
    const before = new Map([...figures.querySelectorAll("a.n")].map((one) => [one.getAttribute("href"), one.textContent]));
    const open = [...figures.querySelectorAll("details[open]")].map((one) => one.id);
    const held = figures.contains(document.activeElement) && document.activeElement.getAttribute("href");
    const left = [...figures.querySelectorAll(".wide")].map((one) => one.scrollLeft);
    figures.innerHTML = text;
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    figures.querySelectorAll(".wide").forEach((one, place) => { one.scrollLeft = left[place] || 0; });
    for (const one of figures.querySelectorAll("a.n")) {
      const was = before.get(one.getAttribute("href"));
      if (was !== undefined && was !== one.textContent) one.classList.add("moved");
      if (held && one.getAttribute("href") === held) one.focus({ preventScroll: true });
    }
    say("moved");
  };
  const ask = async () => {
    if (asking) { again = true; return; }
    asking = true;
    // Many pages hear of a change at once: they do not all ask at once.
    await new Promise((done) => setTimeout(done, Math.max(next - Date.now(), Math.random() * 100)));
    again = false;
    const began = Date.now(), gap = began < next + 1000 ? steady : FIRST;
    const lost = (wait) => { say("lost"); tag = ""; again = true; next = Date.now() + wait * (1 + Math.random()); };
    try {
      const answer = await fetch(location.href, { headers: { "Sampan-Part": "figures", ...(tag && { "If-None-Match": tag }) } });
      if (answer.status === 401) { location.reload(); return; }
      if (answer.ok) { tag = answer.headers.get("ETag") || ""; show(await answer.text()); }
      next = began + Math.max(gap, 2 * (Date.now() - began));
      if (answer.status === 429) steady = Math.min(2 * steady, MOST); // its office has many pages open, and other things to ask
      if (!answer.ok && answer.status !== 304) lost(1000 * answer.headers.get("Retry-After") || RETRY);
    } catch { lost(RETRY); }
    asking = false;
    if (again) ask();
  };
  const follow = () => {
    source = new EventSource("/v1/changes");
    // What moved before it was open is not told on it.
    source.addEventListener("open", () => { wait = SOON; say("on"); ask(); });
    source.addEventListener("error", () => {
      say("lost");
      if (source.readyState !== EventSource.CLOSED) return; // the browser itself comes again
      ask(); // leads to the sign-in when the session has ended
      setTimeout(follow, wait * (1 + Math.random()));
      wait = Math.min(2 * wait, LATE);
    });
    source.addEventListener("change", ask);
    source.addEventListener("reset", ask);
  };
  follow();
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
})();
