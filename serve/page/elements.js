// Elements and texts. Whatever comes from a file becomes text, never markup.

const build = (made, attributes, content) => {
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...content);
  return made;
};

export const element = (name, attributes, ...content) => build(document.createElement(name), attributes, content);

export const svg = (name, attributes, ...content) =>
  build(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, content);

export const button = (text, action, kind = "") => {
  const made = element("button", { type: "button", ...(kind && { class: kind }) }, text);
  made.addEventListener("click", action);
  return made;
};

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { maximumSignificantDigits: 3, notation: "compact" });
const share = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });

export const count = (n) => whole.format(n);
export const short = (n) => compact.format(n);
export const percent = (p) => share.format(p);
export const exactPercent = (p) => fine.format(p);
export const time = (text) => (text ? new Date(text).toLocaleString() : "");
export const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;
