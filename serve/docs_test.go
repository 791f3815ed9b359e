package serve_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/retainwise/millrace/serve/internal/api"
)

// TestDocPages loads both pages and everything they name, as a browser would, and finds nothing from elsewhere.
func TestDocPages(t *testing.T) {
	a := startAPI(t, nil)
	named := regexp.MustCompile(`<(?:link|script)[^>]* (?:src|href)="([^"]+)"`)
	for _, page := range []string{"/docs", "/redoc"} {
		r := a.get(page, as("")).want(t, http.StatusOK)
		csp := r.header.Get("Content-Security-Policy")
		if strings.Contains(csp, "unsafe") || !strings.Contains(csp, "default-src 'none'") {
			t.Errorf("%s: policy %q", page, csp)
		}
		files := named.FindAllStringSubmatch(string(r.body), -1)
		if len(files) < 2 {
			t.Errorf("%s names %v", page, files)
		}
		for _, file := range files {
			if strings.Contains(file[1], ":") || strings.HasPrefix(file[1], "/") {
				t.Errorf("%s names %s", page, file[1])
				continue
			}
			plain := a.get("/"+file[1], as("")).want(t, http.StatusOK)
			packed := a.get("/"+file[1], as(""), header("Accept-Encoding", "gzip")).want(t, http.StatusOK)
			if string(unpack(t, packed)) != string(plain.body) {
				t.Errorf("%s: packed and plain differ", file[1])
			}
			if tag := plain.header.Get("ETag"); tag != "" {
				a.get("/"+file[1], header("If-None-Match", tag)).want(t, http.StatusNotModified)
			}
			if media := plain.header.Get("Content-Type"); strings.HasSuffix(file[1], ".css") != strings.HasPrefix(media,
				"text/css") {
				t.Errorf("%s is %s", file[1], media)
			}
		}
	}
	for _, path := range []string{"/docs/redoc.standalone.js", "/redoc/swagger-ui.css", "/docs/README.md", "/docs/x"} {
		a.get(path).wantError(t, http.StatusNotFound, "ERR-1307")
	}
}

// TestVendoredFiles compares the viewers with the digests of what their packages hold.
func TestVendoredFiles(t *testing.T) {
	a := startAPI(t, nil)
	sums, err := os.ReadFile("internal/api/docs/SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(sums)) {
		want, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		folder := "/docs/"
		if strings.HasPrefix(name, "redoc") {
			folder = "/redoc/"
		}
		sum := sha256.Sum256(a.get(folder+name).want(t, http.StatusOK).body)
		if hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s is not the file of its package", name)
		}
	}
}

// TestPage_SignsInByLinkInDevelopmentOnly: what lets the page take a token from its address is there in development mode
// only.
func TestPage_SignsInByLinkInDevelopmentOnly(t *testing.T) {
	for _, development := range []bool{false, true} {
		a := startAPI(t, func(c *api.Config, _ *api.Parts) { c.Development = development })
		for _, path := range []string{"/", "/page/index.html"} {
			body := a.get(path, as("")).want(t, http.StatusOK).body
			if got := bytes.Contains(body, []byte("<body data-development>")); got != development {
				t.Errorf("development %t: %s says %t", development, path, got)
			}
		}
	}
}
