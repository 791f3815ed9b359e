package serve_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestPageFiles loads the page for people and every file that it or one of its scripts names.
func TestPageFiles(t *testing.T) {
	a := startAPI(t, nil)
	page := a.get("/", as("")).want(t, http.StatusOK)
	if csp := page.header.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") ||
		!strings.Contains(csp, "default-src 'none'") {
		t.Errorf("policy %q", csp)
	}
	files := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
	own := regexp.MustCompile(`(?:src|href)="page/([^"]+)"`).FindAllSubmatch(page.body, -1)
	imported := regexp.MustCompile(`from "\./([^"]+)"`)
	seen := map[string]bool{}
	for len(own) > 0 {
		name := string(own[0][1])
		own = own[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		file := a.get("/page/"+name, as("")).want(t, http.StatusOK)
		own = append(own, imported.FindAllSubmatch(file.body, -1)...)
		if media := file.header.Get("Content-Type"); media != files[name[strings.LastIndex(name, "."):]] {
			t.Errorf("%s is %s", name, media)
		}
		a.get("/page/"+name, as(""), header("If-None-Match", file.header.Get("ETag"))).want(t, http.StatusNotModified)
	}
	if len(seen) != 9 {
		t.Errorf("the page has %v", seen)
	}
	if regexp.MustCompile(`(?i)<script>|<style|style=|\son[a-z]+=|https?:`).Match(page.body) {
		t.Error("the page has code or styles of its own, or something from elsewhere: its policy refuses them")
	}
	for _, name := range []string{"x.js", "page.go", "..", ".", "%2e%2e"} {
		if r := a.get("/page/"+name, as("")); r.status == http.StatusOK {
			t.Errorf("/page/%s is there", name)
		}
	}
}
