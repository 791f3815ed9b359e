// Bars as SVG. Every chart can be read without seeing it: it has a title that says everything it shows.

import { count, element, percent, svg } from "./elements.js";

const width = 360;

// rows draws a bar for each entry: { label, value, text, kind }.
export function rows(entries, title) {
  const step = 34;
  const most = Math.max(...entries.map((entry) => entry.value), Number.MIN_VALUE);
  return chart(entries.length * step, `${title}: ${entries.map((e) => `${e.label} ${e.text}`).join(", ")}`,
    entries.flatMap((entry, i) => [
      svg("text", { x: 0, y: i * step + 12 }, entry.label),
      svg("text", { x: width, y: i * step + 12, "text-anchor": "end", class: "muted" }, entry.text),
      svg("rect", {
        x: 0, y: i * step + 17, height: 10, rx: 2, class: entry.kind ?? "bar",
        width: Math.max((entry.value / most) * width, entry.value > 0 ? 2 : 0),
      }),
    ]));
}

// columns draws a histogram over the probabilities from 0 to 1.
export function columns(counts, title) {
  const height = 150;
  const most = Math.max(...counts, 1);
  const step = width / counts.length;
  const share = (i) => percent(i / counts.length);
  const bars = counts.map((n, i) => {
    const size = n > 0 ? Math.max((n / most) * height, 1) : 0;
    const bar = { x: i * step + 1, y: height - size, width: step - 2, height: size, class: "bar" };
    return svg("rect", bar, svg("title", {}, `${share(i)} to ${share(i + 1)}: ${count(n)} customers`));
  });
  const marks = [0, 0.25, 0.5, 0.75, 1].map((at) => svg("text", {
    x: at * width, y: height + 16, class: "muted",
    "text-anchor": at === 0 ? "start" : at === 1 ? "end" : "middle",
  }, percent(at)));
  const axis = svg("line", { x1: 0, x2: width, y1: height, y2: height, class: "axis" });
  const said = counts.map((n, i) => `${share(i)} to ${share(i + 1)} ${count(n)}`).join(", ");
  return chart(height + 22, `${title}: ${said}`, [...bars, axis, ...marks]);
}

const chart = (height, title, parts) =>
  svg("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title }, ...parts);

// table fills a table: head is [text, class] pairs, each line a list of texts or elements.
export function table(target, head, lines) {
  const cell = (name, content, kind) =>
    element(name, { ...(kind && { class: kind }), ...(name === "th" && { scope: "col" }) }, content);
  target.replaceChildren(
    element("thead", {}, element("tr", {}, ...head.map(([text, kind]) => cell("th", text, kind)))),
    element("tbody", {}, ...lines.map((line) =>
      element("tr", {}, ...line.map((content, i) => cell("td", content, head[i][1]))))));
}
