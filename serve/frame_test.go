package serve_test

import (
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/retainwise/millrace/serve"
)

// peoplePages are the pages that people open in a browser.
var peoplePages = []string{"/", "/docs", "/redoc", "/errors", "/errors/ERR-1004"}

// TestPagesShareHeader compares the headers, but for the entry of the page itself and the way to the root.
func TestPagesShareHeader(t *testing.T) {
	a := startAPI(t, nil)
	header := regexp.MustCompile(`(?s)<header>.*</header>`)
	own := regexp.MustCompile(` aria-current="page"|\.\./`)
	first := ""
	for _, page := range peoplePages {
		for _, slash := range []string{"", "/"} {
			body := a.get(strings.TrimSuffix(page, "/")+slash, as("")).want(t, http.StatusOK).body
			got := own.ReplaceAllString(string(header.Find(body)), "")
			if first == "" {
				first = got
			}
			if got != first || !strings.Contains(got, "Millrace") {
				t.Errorf("%s%s has another header than /:\n%s", page, slash, got)
			}
		}
	}
}

// TestPagesIgnoreParametersOfOthers opens the pages with what mail programs and searches add to links, which routes for
// programs refuse.
func TestPagesIgnoreParametersOfOthers(t *testing.T) {
	a := startAPI(t, nil)
	for _, page := range peoplePages {
		r := a.get(page+"?utm_source=mail&utm_source=again&fbclid=x", as("")).want(t, http.StatusOK)
		if media := r.header.Get("Content-Type"); !strings.HasPrefix(media, "text/html") {
			t.Errorf("%s is %s", page, media)
		}
	}
	for _, route := range []string{"/models", "/openapi.json", "/csv-samples/saas"} {
		a.get(route+"?utm_source=mail").wantError(t, http.StatusBadRequest, "ERR-1305")
	}
}

// TestErrorPagesLinkWhatTheyName wants a link at every route that the page of a code names, and follows all links without
// a token, those to a description into the API's document.
func TestErrorPagesLinkWhatTheyName(t *testing.T) {
	a := startAPI(t, nil)
	described := map[string]bool{}
	for _, item := range document(t).Paths.Map() {
		for _, op := range item.Operations() {
			described["/"+op.Tags[0]+"/"+op.OperationID] = true
		}
	}
	routes := map[string]bool{"page at /": true}
	for _, o := range serve.Operations() {
		routes[o.Method+" "+o.Pattern] = true
	}
	link := regexp.MustCompile(`<a href="([^"]+)">([^<]+)</a>`)
	name := regexp.MustCompile(`\b(?:GET|POST|PUT|DELETE|page at) /[a-z{}./-]*[a-z}]|page at /`)
	opened := map[string]bool{}
	for _, code := range serve.AllCodes() {
		at := "/errors/" + code.String()
		body := string(a.get(at, as("")).want(t, http.StatusOK).body)
		_, body, _ = strings.Cut(body, "</header>")
		linked := map[string]bool{}
		for _, found := range link.FindAllStringSubmatch(body, -1) {
			linked[found[2]] = true
			target, err := url.Parse(found[1])
			if err != nil {
				t.Fatal(err)
			}
			address := path.Join(path.Dir(at), target.Path)
			if !opened[address] {
				opened[address] = true
				a.get(address, as("")).want(t, http.StatusOK)
			}
			if target.Fragment != "" && !described[target.Fragment] {
				t.Errorf("%s: %s describes nothing", code, found[1])
			}
		}
		for _, named := range name.FindAllString(body, -1) {
			if routes[named] && !linked[named] {
				t.Errorf("%s: %s has no link", code, named)
			}
		}
	}
	for _, address := range []string{"/", "/docs", "/csv-samples/telecom", "/csv-samples/saas"} {
		if !opened[address] {
			t.Errorf("no page links %s", address)
		}
	}
}
