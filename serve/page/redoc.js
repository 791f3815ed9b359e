// Starts ReDoc with the API's document, in the colours of look.css. ReDoc computes with them once, so a change of the
// scheme loads the page again.

const style = getComputedStyle(document.documentElement);
const colour = (name) => style.getPropertyValue(`--${name}`).trim();
const font = "system-ui, sans-serif";

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => location.reload());

// The address of the page may have a trailing slash, so the document's is found from here.
Redoc.init(new URL("../openapi.json", document.currentScript.src).href, {
  disableSearch: true,
  theme: {
    colors: {
      primary: { main: colour("accent") },
      text: { primary: colour("text"), secondary: colour("muted") },
      border: { dark: colour("line"), light: colour("line") },
      error: { main: colour("bad") },
    },
    schema: {
      nestedBackground: colour("ground"),
      linesColor: colour("line"),
      typeNameColor: colour("muted"),
      typeTitleColor: colour("muted"),
      requireLabelColor: colour("bad"),
    },
    rightPanel: {
      servers: {
        overlay: { backgroundColor: colour("card"), textColor: colour("text") },
        url: { backgroundColor: colour("ground") },
      },
    },
    sidebar: { backgroundColor: colour("card"), textColor: colour("text") },
    typography: {
      fontFamily: font,
      headings: { fontFamily: font },
      code: { color: colour("bad"), backgroundColor: colour("ground") },
    },
  },
}, document.getElementById("docs"));
