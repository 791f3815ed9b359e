// Starts Swagger UI with the API's document. Tokens are kept only in the open page.

const scheme = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", scheme.matches);
paint();
scheme.addEventListener("change", paint);

// The address of the page may have a trailing slash, so the document's is found from here.
const url = new URL("../openapi.json", document.currentScript.src).href;
SwaggerUIBundle({ url, dom_id: "#docs", deepLinking: true, validatorUrl: null });
