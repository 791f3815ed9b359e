package test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// look is a page for people, the part of it whose colours are not a viewer's, and what shows that it is drawn.
type look struct{ name, path, scope, drawn string }

// signIn returns the fragment of the page's address.
func (l look) signIn(token string) string {
	if l.path == "/" {
		return "#token=" + token
	}
	return ""
}

var looked = []look{
	{"customers", "/", "body", "document.querySelectorAll('#templates button').length >= 2"},
	{"docs", "/docs", "body > header", "document.querySelectorAll('.opblock').length > 15"},
	{"redoc", "/redoc", "body > header", "document.querySelectorAll('[data-section-id^=\"tag/\"]').length > 15"},
	{"errors", "/errors", "body", "document.querySelectorAll('tbody tr').length > 50"},
	{"error", "/errors/ERR-1004", "body", "document.querySelectorAll('.card').length === 2"},
}

// TestPagesShareTheirLook opens every page in a wide and a narrow window, light and dark: one name, one header, one ground,
// text that can be read, nothing that the policy refuses, and a way back.
func TestPagesShareTheirLook(t *testing.T) {
	b, m := startPage(t)
	for _, dark := range []bool{false, true} {
		grounds := map[string]bool{}
		for _, width := range []int{1200, 375} {
			for _, page := range looked {
				name := fmt.Sprintf("%s, dark %v, %d pixels", page.name, dark, width)
				b.call("Emulation.setDeviceMetricsOverride", map[string]any{
					"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500,
				})
				b.dark(dark)
				b.open("about:blank")
				b.open(m.API + page.path + "?utm_source=mail" + page.signIn(m.Token))
				b.until("location.pathname === '" + page.path + "' && document.readyState === 'complete' && " + page.drawn)
				grounds[b.eval("getComputedStyle(document.body).backgroundColor")] = true
				if title := b.eval("document.title"); !strings.HasSuffix(title, " – Millrace") {
					t.Errorf("%s: title %q", name, title)
				}
				if faint := b.eval(faintText(page.scope)); faint != "" {
					t.Errorf("%s: hard to read: %s", name, faint)
				}
				if b.eval("document.documentElement.scrollWidth <= innerWidth") != "true" {
					t.Errorf("%s: the page scrolls sideways", name)
				}
				b.screenshot(fmt.Sprintf("look-%s-%v-%d", page.name, map[bool]string{false: "light", true: "dark"}[dark], width))
				b.eval("document.querySelector('body > header a.brand').click()")
				b.until("location.pathname === '/' && document.getElementById('sign-in')")
			}
		}
		if len(grounds) != 1 {
			t.Errorf("dark %v: the pages have the grounds %v", dark, grounds)
		}
	}
	b.faults = slices.DeleteFunc(b.faults, func(fault string) bool { // the policy keeps ReDoc's logo out, as it should
		return strings.Contains(fault, "cdn.redoc.ly")
	})
	b.faultless()
}
