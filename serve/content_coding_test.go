package serve_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/retainwise/millrace/serve"
)

// manyRows is a file whose predictions have answers of every size.
func manyRows(n int) string {
	var b strings.Builder
	b.WriteString("customerID,tenure,MonthlyCharges,TotalCharges,Contract\n")
	for i := range n {
		if i%10 == 9 {
			fmt.Fprintf(&b, "C-%d,forty,20.1,804,Two year\n", i)
			continue
		}
		fmt.Fprintf(&b, "C-%d,%d,%d.35,350.5,%s\n", i, 1+i%70, 20+i%90, [...]string{"Month-to-month", "One year"}[i%2])
	}
	return b.String()
}

// answers asks for every route that has an answer of its own, and gives them by what was asked.
func (a *testAPI) answers(file string, links map[string]any, options ...option) map[string]answer {
	list := map[string]answer{}
	for _, o := range serve.Operations() {
		path := strings.NewReplacer("{code}", "ERR-1001", "{name}", "telecom").Replace(o.Pattern)
		if strings.Contains(o.Pattern, "{id}") {
			path = strings.Replace(path, "{id}", links["id"].(string), 1)
		}
		switch {
		case o.Method == http.MethodGet && !strings.HasSuffix(path, "/events"):
			list["GET "+path] = a.get(path, options...)
		case path == "/score", path == "/validate":
			list["POST "+path] = a.post(path, file, options...)
		}
	}
	for _, path := range []string{
		"/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/redoc/redoc.standalone.js", "/page/page.js",
		"/page/page.css",
	} {
		list["GET "+path] = a.get(path, options...)
	}
	list["POST /score as JSON"] = a.post("/score?format=json", file, options...)
	list["GET /errors as JSON"] = a.get("/errors", append(options, header("Accept", "application/json"))...)
	list["GET /predictions/x"] = a.get("/predictions/x", options...)
	list["GET rows, explained"] = a.get("/predictions/"+links["id"].(string)+"/rows?explain=true", options...)
	return list
}

// Every body of 1,000 bytes or more is packed in each coding, says so, is the same when it is unpacked, and has a tag
// of its own if the plain one has any; smaller ones are sent as they are. All together they are 60 % smaller at least,
// and so is each but the smallest.
func TestC1EveryBodyIsPacked(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	file := manyRows(3000)
	view := a.finished(file)
	links := map[string]any{"id": view["prediction_id"]}
	for range 4 {
		a.upload(telecom, header("X-Request-Id", "x"))
	}
	plain := a.answers(file, links, header("X-Request-Id", "x"))
	for _, coding := range []string{"gzip", "br", "zstd"} {
		before, after, large := 0, 0, 0
		for name, r := range a.answers(file, links, header("Accept-Encoding", coding), header("X-Request-Id", "x")) {
			p := plain[name]
			if got := p.header.Get("Content-Encoding"); got != "" {
				t.Fatalf("%s without a list is %s", name, got)
			}
			file := strings.HasSuffix(name, "/download") || strings.HasSuffix(name, "/rejects") // packed whatever their size
			want := coding
			if len(p.body) < 1000 && !file {
				want = ""
			}
			if got := r.header.Get("Content-Encoding"); got != want || r.status != p.status {
				t.Errorf("%s of %d bytes as %s: %d %q", name, len(p.body), coding, r.status, got)
				continue
			}
			if !strings.Contains(r.header.Get("Vary"), "Accept-Encoding") {
				t.Errorf("%s: Vary %q", name, r.header.Get("Vary"))
			}
			if got := unpack(t, r); !bytes.Equal(got, p.body) && !changing(name) {
				t.Errorf("%s as %s: other bytes", name, coding)
			}
			if tag, other := r.header.Get("ETag"), p.header.Get("ETag"); want != "" && (tag == "") != (other == "") ||
				want != "" && tag != "" && tag == other {
				t.Errorf("%s as %s: tag %s, plain %s", name, coding, tag, other)
			}
			if want == "" || file {
				continue
			}
			large++
			before, after = before+len(p.body), after+len(r.body)
			if saved := 1 - float64(len(r.body))/float64(len(p.body)); saved < 0.35 || saved < 0.6 && len(p.body) > 8000 {
				t.Errorf("%s as %s: %d of %d bytes, %.0f %% less", name, coding, len(r.body), len(p.body), 100*saved)
			}
		}
		saved := 100 * (1 - float64(after)/float64(before))
		t.Logf("%s: %d bodies, %d bytes instead of %d: %.0f %% less", coding, large, after, before, saved)
		if large < 20 || saved < 60 {
			t.Errorf("%s: %d bodies, %.0f %% less", coding, large, saved)
		}
	}
}

// changing says whether an answer may differ from one time to the next.
func changing(name string) bool {
	return name == "GET /predictions" // some of them are queued
}

// The client's list decides, by its weights.
func TestC1CodingIsTheClientsChoice(t *testing.T) {
	a := startAPI(t, nil)
	for accept, want := range map[string]string{
		"": "", "identity": "", "gzip": "gzip", "x-gzip": "gzip", "GZIP": "gzip", "gzip, deflate, br": "br",
		"gzip, deflate, br, zstd": "zstd", "zstd;q=0.2, br;q=0.4, gzip;q=0.8": "gzip", "deflate": "", "*": "gzip",
		"*;q=0": "", "gzip;q=0, *": "", "gzip;q=0.5, identity": "", "gzip, identity;q=0.5": "gzip", "identity;q=0, *": "gzip",
		"gzip;q=0": "", "gzip;q=nan": "", "gzip;q=-1": "", ";q=1": "", "br ; q=0.3 ,gzip;q=0.2": "br",
	} {
		r := a.get("/openapi.json", header("Accept-Encoding", accept)).want(t, http.StatusOK)
		if got := r.header.Get("Content-Encoding"); got != want {
			t.Errorf("%q: got %q, want %q", accept, got, want)
		}
	}
}

// A tag is good for its coding only, for what is made for each request and for what the program holds; HEAD says what
// GET does.
func TestC1TagsByCodingAndHEAD(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	view := a.finished(manyRows(200))
	for _, path := range []string{
		"/predictions/" + view["prediction_id"].(string), "/openapi.json", "/csv-samples/telecom", "/page/page.js",
		"/docs/swagger-ui.css",
	} {
		tags := map[string]string{}
		for _, coding := range []string{"identity", "gzip", "br", "zstd"} {
			accept := header("Accept-Encoding", coding)
			r := a.get(path, accept).want(t, http.StatusOK)
			tag := r.header.Get("ETag")
			if other := tags[tag]; tag == "" || other != "" {
				t.Errorf("%s as %s: tag %s is that of %q", path, coding, tag, other)
			}
			tags[tag] = coding
			if again := a.get(path, accept, header("If-None-Match", tag)); again.status != http.StatusNotModified ||
				len(again.body) != 0 || again.header.Get("ETag") != tag || again.header.Get("Content-Encoding") != "" {
				t.Errorf("%s as %s: %d with its tag, %v", path, coding, again.status, again.header)
			}
			head := a.do(http.MethodHead, path, nil, accept).want(t, http.StatusOK)
			for _, name := range []string{"ETag", "Content-Encoding", "Content-Length", "Content-Type", "Vary", "Cache-Control"} {
				if got, want := head.header.Get(name), r.header.Get(name); got != want {
					t.Errorf("HEAD %s as %s: %s %q, GET %q", path, coding, name, got, want)
				}
			}
			if length := r.header.Get("Content-Length"); length != strconv.Itoa(len(r.body)) {
				t.Errorf("%s as %s: length %s of %d", path, coding, length, len(r.body))
			}
		}
		for tag, of := range tags {
			for _, coding := range tags {
				if r := a.get(path, header("Accept-Encoding", coding), header("If-None-Match", tag)); (r.status ==
					http.StatusNotModified) != (of == coding) {
					t.Errorf("%s as %s with the tag of %s: %d", path, coding, of, r.status)
				}
			}
		}
	}
}

// Many at a time get whole answers: packers are used again, never by two at once.
func TestC1ManyAtATime(t *testing.T) {
	a := startAPI(t, nil)
	want := a.get("/errors", header("Accept", "application/json")).want(t, http.StatusOK).body
	var asking sync.WaitGroup
	for i := range 4 * runtime.GOMAXPROCS(0) {
		asking.Go(func() {
			for j := range 8 {
				req, _ := http.NewRequest(http.MethodGet, a.url+"/errors", nil)
				req.Header.Set("Accept", "application/json")
				req.Header.Set("Accept-Encoding", [...]string{"gzip", "br", "zstd"}[(i+j)%3])
				resp, err := http.DefaultTransport.RoundTrip(req)
				if err != nil {
					t.Error(err)
					return
				}
				text, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if got := unpack(t, answer{header: resp.Header, body: text}); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s: other bytes (%v)", resp.Header.Get("Content-Encoding"), err)
				}
			}
		})
	}
	asking.Wait()
}
