// What became of the customers of the upload before.

import * as charts from "./charts.js";
import { count, element, exactPercent, plural, short, time } from "./elements.js";

const silent = {
  first_upload: "",
  previous_unavailable: "What the upload before said is no longer kept, so nothing can be compared.",
  too_large: "The uploads are too large to be compared customer by customer.",
  no_ids: "The file has no customer ids, so it cannot be compared with the upload before.",
};

// changes gives the content of the section; nothing for a first upload.
export function changes({ changes: report }) {
  if (!report || report.status === "first_upload") return [];
  const title = element("h3", {}, `Since ${report.previous?.filename ?? "the upload before"}`);
  const when = element("p", { class: "muted" }, report.previous ? time(report.previous.created_at) : "");
  if (silent[report.status]) return [title, when, element("p", {}, silent[report.status])];
  return [title, when, ...sentences(report), ...moves("Risen most", report.risen), ...moves("Fallen most", report.fallen)];
}

function sentences({ status, customers, expected_churners: churners, expected_loss: loss }) {
  const list = [`${count(customers.new)} new, ${count(customers.gone)} gone, ${count(customers.stayed)} stayed.`];
  if (status === "model_changed") list.push("The model has changed since, so risks cannot be compared.");
  if (customers.moved_up !== undefined) {
    list.push(`${plural(customers.moved_up, "customer", "customers")} moved up to a higher risk, ` +
      `${count(customers.moved_down)} down, ${count(customers.unchanged)} stayed where they were.`);
  }
  if (churners) list.push(`Expected to leave: ${count(churners.before)} before, ${count(churners.after)} now.`);
  if (loss) list.push(`Expected loss: ${short(loss.before)} before, ${short(loss.after)} now.`);
  return list.map((text) => element("p", {}, text));
}

function moves(title, rows) {
  if (!rows?.length) return [];
  const table = element("table", {});
  charts.table(table, [["Customer", "id"], ["Before", "number"], ["Now", "number"], ["Why", "text"]],
    rows.slice(0, 10).map((row) =>
      [row.id ?? `row ${row.row}`, exactPercent(row.before), exactPercent(row.after), row.explanation]));
  const frame = element("div", { class: "wide", role: "region", "aria-label": title, tabindex: "0" }, table);
  return [element("h4", {}, title), frame];
}
