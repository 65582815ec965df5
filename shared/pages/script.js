"use strict";
// Nothing needs this script: it spares a round trip for one more line, shortens long tables, and guards against pressing twice.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) { event.preventDefault(); return; }
  if (form.method === "post" && form.enctype !== "multipart/form-data") {
    form.dataset.sent = "yes";
    addEventListener("pageshow", () => { delete form.dataset.sent; });
  }
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[name=more]");
  const lines = button && button.closest("fieldset").querySelectorAll(":scope > .line");
  if (!lines || !lines.length) return;
  event.preventDefault();
  const last = lines[lines.length - 1], line = last.cloneNode(true), place = lines.length;
  const before = `.${place - 1}.`, after = `.${place}.`, stem = button.value;
  for (const one of line.querySelectorAll("[name], [id], [for], [aria-describedby]")) {
    for (const name of ["name", "id", "for", "aria-describedby"]) {
      const value = one.getAttribute(name);
      if (value && value.includes(stem + before)) one.setAttribute(name, value.replaceAll(stem + before, stem + after));
    }
    if (one.matches("input, textarea")) { one.value = ""; one.removeAttribute("value"); one.removeAttribute("aria-invalid"); }
    if (one.matches("select")) one.selectedIndex = 0;
  }
  for (const wrong of line.querySelectorAll(".wrong")) wrong.remove();
  last.after(line);
  line.querySelector("input, select, textarea").focus();
});
for (const box of document.querySelectorAll("[data-filters]")) {
  const rows = document.querySelectorAll(`#${box.dataset.filters} tbody tr`);
  if (rows.length < 8) continue;
  box.closest(".field").hidden = false;
  box.addEventListener("input", () => {
    const wanted = box.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
}
