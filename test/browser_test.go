package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retainwise/millrace/serve"
)

// startPage opens the web page in a browser, with a token.
func startPage(t *testing.T) (*browser, *running) {
	t.Helper()
	return startPageOf(t, func(*serve.RunConfig) {})
}

// startPageOf is startPage for a server with other settings.
func startPageOf(t *testing.T, change func(*serve.RunConfig)) (*browser, *running) {
	t.Helper()
	b := openBrowser(t)
	m := start(t, change)
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{
		"width": 1200, "height": 900, "deviceScaleFactor": 1, "mobile": false,
	})
	b.open(m.API + "/#token=" + m.Token)
	b.until("document.getElementById('send') && !document.getElementById('send').hidden && " +
		"document.querySelectorAll('#samples button').length === 2")
	return b, m
}

// visible returns an expression that is true if an element is visible.
func visible(id string) string {
	return "(document.getElementById('" + id + "')?.checkVisibility() ?? false)"
}

// TestPageShowsCustomersAtRisk uploads a file and reads the customers at risk and the reasons; the token is removed from
// the address.
func TestPageShowsCustomersAtRisk(t *testing.T) {
	b, _ := startPage(t)
	if at := b.eval("location.href"); strings.Contains(at, "token") {
		t.Errorf("the token is still in the address")
	}
	b.screenshot("page-start")
	b.choose("file", "testdata/samples/telecom_10k.csv")
	b.until(visible("result"))
	b.until("document.querySelectorAll('#list tbody tr').length === 1")
	for expression, want := range map[string]string{
		"document.querySelector('#figures strong').textContent":                         "10,000",
		"document.querySelectorAll('#bands rect').length":                               "3",
		"document.querySelectorAll('#histogram rect').length":                           "20",
		"document.querySelectorAll('#top tbody tr').length":                             "20",
		"document.activeElement.id":                                                     "result",
		"document.querySelector('#result-title').textContent":                           "telecom_10k.csv",
		"document.querySelector('#histogram svg').getAttribute('aria-label').length>99": "true",
	} {
		if got := b.eval(expression); got != want {
			t.Errorf("%s is %s, want %s", expression, got, want)
		}
	}
	const why = "document.querySelector('#top tbody tr td:last-child').textContent"
	if got := b.eval(why); !strings.Contains(got, "risk (") {
		t.Errorf("the first customer's reason is %q", got)
	}
	first := b.eval("document.querySelector('#top tbody td').textContent")
	b.eval("document.querySelector('#order input[value=by_loss]').click()")
	if b.eval("document.querySelector('#top tbody td').textContent") == first {
		t.Error("ordering by loss changes nothing")
	}
	b.screenshot("page-result")
	b.faultless()
}

// TestPageIgnoresTokensOfLinks opens a link with a valid token on a server with an identity provider: nobody is signed in,
// and who signs in by hand sees whose account it is, and out of it again.
func TestPageIgnoresTokensOfLinks(t *testing.T) {
	b, provider := startPage(t)
	if got := b.eval("document.getElementById('account-name').textContent"); got != "developer" {
		t.Errorf("in development mode: signed in as %q", got)
	}
	m := start(t, func(c *serve.RunConfig) {
		c.Auth.JWKSURL, c.Auth.Issuer = provider.Admin+"/.well-known/jwks.json", "millrace-development"
	})
	b.open(m.API + "/#token=" + provider.Token)
	b.until(visible("link-ignored"))
	if at := b.eval("location.href"); strings.Contains(at, "token") {
		t.Error("the token is still in the address")
	}
	for id, want := range map[string]string{"sign-in": "true", "send": "false", "account": "false", "history": "false"} {
		if got := b.eval(visible(id)); got != want {
			t.Errorf("%s is visible: %s", id, got)
		}
	}
	b.eval("document.getElementById('token').value = '" + provider.Token + "'")
	b.eval("document.getElementById('sign-in').requestSubmit()")
	b.until(visible("account"))
	if got := b.eval("document.getElementById('account-name').textContent"); got != "developer" {
		t.Errorf("signed in as %q", got)
	}
	b.screenshot("page-account")
	b.eval("document.getElementById('sign-out').click()")
	b.until("document.getElementById('sign-in') && " + visible("sign-in") + " && !" + visible("account"))
	b.faultless()
}

// TestPageShowsChanges uploads twice: the second result shows new customers, moved ones, and the reasons.
func TestPageShowsChanges(t *testing.T) {
	b, _ := startPage(t)
	sample, err := os.ReadFile("testdata/samples/telecom_sample.csv")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "march.csv")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(string(sample))
	b.choose("file", file)
	b.until(visible("result"))
	if b.eval(visible("changes")) != "false" {
		t.Error("a first upload has changes")
	}
	write(strings.ReplaceAll(string(sample), "Two year", "Month-to-month"))
	b.eval("result.hidden = true") // of the file before
	b.choose("file", file)
	b.until(visible("result"))
	text := b.eval("document.getElementById('changes').innerText")
	for _, want := range []string{"Since march.csv", "0 new, 0 gone", "moved up to a higher risk", "Risen most", "contract"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q: %q", want, text)
		}
	}
	b.faultless()
}

// TestPageWorksByKeyboard reaches and starts the sample without a mouse.
func TestPageWorksByKeyboard(t *testing.T) {
	b, _ := startPage(t)
	for range 20 {
		b.press("Tab", 9)
		if b.eval("document.activeElement.textContent") == "saas customers" {
			break
		}
		if b.eval("getComputedStyle(document.activeElement).outlineStyle") == "none" &&
			b.eval("document.activeElement.id") != "file" { // the label beside it shows the focus
			t.Errorf("focus on %s cannot be seen", b.eval("document.activeElement.outerHTML"))
		}
	}
	b.press("Enter", 13)
	b.until(visible("result"))
	b.faultless()
}

// TestPageShowsErrors checks that the error of a bad file is shown with its code and a link.
func TestPageShowsErrors(t *testing.T) {
	b, _ := startPage(t)
	file := filepath.Join(t.TempDir(), "few columns.csv")
	if err := os.WriteFile(file, []byte("customerID,tenure\nA,1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.eval("document.getElementById('model').value = 'telecom'")
	b.choose("file", file)
	b.until(visible("failure"))
	if text := b.eval("document.getElementById('failure').innerText"); !strings.Contains(text, "ERR-1004") ||
		!strings.Contains(text, "Monthly Charges") {
		t.Errorf("the page says %q", text)
	}
	if link := b.eval("document.getElementById('failure-link').href"); !strings.HasSuffix(link, "/errors/ERR-1004") {
		t.Errorf("link to %q", link)
	}
	if b.eval("document.activeElement.id") != "failure" || b.eval("document.getElementById('run').hidden") != "true" {
		t.Error("the failure has no focus, or something still seems to run")
	}
}

// TestPageEscapesMarkup checks that markup in a customer's file is shown as text.
func TestPageEscapesMarkup(t *testing.T) {
	b, _ := startPage(t)
	sample, err := os.ReadFile("testdata/samples/telecom_sample.csv")
	if err != nil {
		t.Fatal(err)
	}
	const markup = "<img src=x onerror=alert(1)>"
	lines := strings.SplitAfter(string(sample), "\n")
	_, rest, _ := strings.Cut(lines[1], ",")
	file := filepath.Join(t.TempDir(), "customers.csv") // a name with markup is refused
	if err := os.WriteFile(file, []byte(lines[0]+markup+","+rest), 0o600); err != nil {
		t.Fatal(err)
	}
	b.choose("file", file)
	b.until(visible("result"))
	if got := b.eval("document.querySelector('#top tbody td').textContent"); got != markup {
		t.Errorf("the customer is shown as %q", got)
	}
	if n := b.eval("document.querySelectorAll('img, main b').length"); n != "0" {
		t.Errorf("%s elements were made of a file's text", n)
	}
	b.faultless()
}

// faintText returns an expression that lists the elements in a scope whose text has a contrast under 4.5 (WCAG 2.2, 1.4.3).
func faintText(scope string) string { return strings.ReplaceAll(faintTextIn, "SCOPE", scope) }

const faintTextIn = `(() => {
	const channels = (c) => c.match(/[\d.]+/g).slice(0, 3).map((v) => v / 255)
		.map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
	const light = (c) => channels(c).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const ground = (e) => {
		for (; e; e = e.parentElement) {
			const c = getComputedStyle(e).backgroundColor;
			if (c !== 'rgba(0, 0, 0, 0)') return c;
		}
		return 'rgb(255, 255, 255)';
	};
	return [...document.querySelectorAll('SCOPE :is(h1, h2, h3, p, a, td, th, pre, label, button, .button, figcaption, .muted)')]
		.map((e) => [e, light(getComputedStyle(e).color), light(ground(e))])
		.filter(([e, a, b]) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5)
		.map(([e]) => e.outerHTML.slice(0, 60)).join('; ');
})()`

// TestPageDarkMode checks the contrast of text in both colour schemes.
func TestPageDarkMode(t *testing.T) {
	b, _ := startPage(t)
	b.eval("document.querySelectorAll('[hidden]').forEach((e) => e.hidden = false)")
	colours := map[string]bool{}
	for _, dark := range []bool{false, true} {
		b.dark(dark)
		if faint := b.eval(faintText("body")); faint != "" {
			t.Errorf("dark %v: hard to read: %s", dark, faint)
		}
		colours[b.eval("getComputedStyle(document.body).backgroundColor")] = true
	}
	if len(colours) != 2 {
		t.Error("dark and light look the same")
	}
}

// TestDocsAreDrawn checks that the viewers of the OpenAPI document render every operation under their strict policy.
func TestDocsAreDrawn(t *testing.T) {
	b, m := startPage(t)
	b.open(m.API + "/docs")
	b.until("document.querySelectorAll('.opblock').length > 15")
	b.screenshot("docs")
	b.open(m.API + "/redoc")
	b.until("document.querySelectorAll('[data-section-id^=\"tag/\"]').length > 15")
	b.screenshot("redoc")
}

// TestPageOffersTemplates saves the empty file of a model's columns, which needs the token of the page.
func TestPageOffersTemplates(t *testing.T) {
	b, _ := startPage(t)
	b.eval("HTMLAnchorElement.prototype.click = function () { window.saved = this.download; }")
	b.until("document.querySelectorAll('#templates button').length === 2")
	b.eval("[...document.querySelectorAll('#templates button')].find((e) => e.textContent === 'Telecom churn').click()")
	b.until("window.saved === 'telecom-template.csv'")
	b.faultless()
}
