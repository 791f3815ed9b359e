// What became of an upload: figures, charts, and the customers to look at first.

import { changes } from "./changes.js";
import * as charts from "./charts.js";
import { count, element, exactPercent, percent, plural, short } from "./elements.js";

const at = (id) => document.getElementById(id);
const riskKinds = ["low", "middle", "high"];

// show fills the result's section with a finished prediction.
export function show(prediction) {
  const summary = prediction.summary;
  at("result-title").textContent = prediction.filename;
  at("figures").replaceChildren(...figures(summary));
  at("notes").textContent = notes(prediction);
  at("rejects").hidden = prediction.rows.rejected === 0;
  at("bands").replaceChildren(charts.rows(bands(summary.bands), "Customers by risk"));
  at("histogram").replaceChildren(charts.columns(summary.histogram, "Customers by probability of leaving"));
  const drivers = (summary.drivers ?? []).slice(0, 8);
  at("drivers").replaceChildren(drivers.length > 0
    ? charts.rows(drivers.map((d) => ({ label: d.label, value: d.share, text: percent(d.share) })), "Share of the scores")
    : "This upload was scored without explanations.");
  showTop(summary.top);
  at("changes").replaceChildren(...changes(summary));
  at("changes").hidden = at("changes").childElementCount === 0;
}

const figure = (label, value, more) =>
  element("div", {}, element("span", {}, label), element("strong", {}, value), element("span", {}, more));

function figures(summary) {
  const share = summary.scored > 0 ? summary.expected_churners / summary.scored : 0;
  const list = [
    figure("Customers scored", count(summary.scored),
      summary.rejected > 0 ? `${plural(summary.rejected, "row", "rows")} rejected` : "no row rejected"),
    figure("Expected to leave", count(summary.expected_churners),
      `${exactPercent(share)}, give or take ${count(summary.expected_spread)}`),
  ];
  if (summary.value) {
    list.push(figure("Expected loss", short(summary.value.expected_loss),
      `of ${short(summary.value.total)} ${summary.value.column}`));
  }
  const reach = halfOfLoss(summary);
  if (reach) list.push(figure("Contact first", count(reach.contacted), reach.text));
  return list;
}

// halfOfLoss is how few customers hold half of what may be lost.
function halfOfLoss({ reach }) {
  const point = reach.by_loss?.find((p) => p.expected_loss_share >= 0.5);
  if (point) return { contacted: point.contacted, text: `hold ${percent(point.expected_loss_share)} of the loss` };
  const likely = reach.by_probability?.find((p) => p.expected_churners_share >= 0.5);
  return likely && {
    contacted: likely.contacted, text: `hold ${percent(likely.expected_churners_share)} of those who leave`,
  };
}

function notes(prediction) {
  const list = (prediction.summary?.remarks ?? []).map((r) => r.text);
  const unused = prediction.summary?.columns_not_used ?? [];
  if (unused.length) list.push(`Columns not used: ${unused.join(", ")}.`);
  if (prediction.status === "cancelled") list.unshift("This prediction was stopped: only a part of the rows was scored.");
  return list.join(" ");
}

function bands(list) {
  return list.map((band, i) => ({
    label: band.name, value: band.count, kind: riskKinds[Math.round((i / Math.max(list.length - 1, 1)) * 2)],
    text: `${plural(band.count, "customer", "customers")}, ${count(band.expected_churners)} expected to leave`,
  }));
}

function showTop(top) {
  at("order").hidden = !top.by_loss;
  at("order").onchange = (event) => fillTop(top[event.target.value]);
  document.querySelector("#order input").checked = true;
  fillTop(top.by_probability);
}

function fillTop(rows) {
  const money = rows.some((row) => row.expected_loss !== undefined);
  const head = [["Customer", "id"], ["Probability", "number"], ["Why", "text"]];
  if (money) head.splice(2, 0, ["Expected loss", "number"]);
  charts.table(at("top"), head, rows.map((row) => {
    const line = [row.id ?? `row ${row.row}`, exactPercent(row.probability), row.explanation ?? ""];
    if (money) line.splice(2, 0, row.expected_loss === undefined ? "" : short(row.expected_loss));
    return line;
  }));
}
