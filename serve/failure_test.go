package serve_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/serve/internal/auth"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// TestServe_ObjectsInS3 sends files to a real S3 server: what holds for a directory holds there.
func TestServe_ObjectsInS3(t *testing.T) {
	objects, err := objects.OpenS3(t.Context(), storetest.S3(t))
	if err != nil {
		t.Fatal(err)
	}
	a := startAPI(t, func(c *api.Config, p *api.Parts) {
		p.Objects = objects
		smallLimits(c, p)
	})
	a.objects = objects
	a.work()
	for name, test := range map[string]struct{ text, code string }{
		"open quote": {telecom + "\"A-4,1,2,3,One year\n", "ERR-1009"},
		"rows":       {telecom + strings.Repeat("A-4,1,20,30,One year\n", 1000), "ERR-1002"},
	} {
		if r := a.post("/upload", test.text); !strings.Contains(string(r.body), test.code) {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	a.wantHalfClosed(t, "POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: "+a.token("owner")+
		"\r\nContent-Type: text/csv\r\nContent-Length: 9999\r\n\r\n"+telecom, 400, "ERR-1013")
	if keys := a.objectKeys(); len(keys) != 0 {
		t.Errorf("left behind: %v", keys)
	}
	view := a.finished(bad)
	path := address(view["links"].(map[string]any)["download"])
	whole := a.get(path).want(t, http.StatusOK)
	a.testDelivery(path, whole)
}

func TestServer_PanicFailsOneRequest(t *testing.T) {
	a := startAPI(t, func(_ *api.Config, p *api.Parts) {
		p.Samples = func(string) ([]byte, bool) { panic("a customer's cell") }
	})
	a.get("/csv-samples/saas").wantError(t, http.StatusInternalServerError, "ERR-1500")
	a.get("/health").want(t, http.StatusOK)
	if log := a.log.String(); strings.Contains(log, "customer's cell") || !strings.Contains(log, "panicked") {
		t.Errorf("log: %s", log)
	}
}

func TestShutdown_CancelsRunningRequests(t *testing.T) {
	a := startAPI(t, nil)
	id := a.upload(telecom)
	req, _ := http.NewRequest(http.MethodGet, a.url+"/predictions/"+id+"/events", nil)
	req.Header.Set("Authorization", a.token("owner"))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	conn, err := net.Dial("tcp", a.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: text/csv\r\n"+
		"Content-Length: %d\r\n\r\n%s", a.token("owner"), len(telecom), telecom[:50])
	waitFor(t, "the upload to run", func() bool { return a.rest().running == 1 }) // a stream that has begun is not counted
	ctx, timeIsUp := context.WithCancel(context.Background())
	defer timeIsUp()
	done := make(chan error, 1)
	go func() { done <- a.server.Shutdown(ctx) }()
	waitFor(t, "the end of the listener", func() bool {
		another, err := net.Dial("tcp", a.address)
		if err == nil {
			_ = another.Close()
		}
		return err != nil
	})
	_, _ = io.WriteString(conn, telecom[50:]) // what was begun is finished
	r, err := readAnswer(bufio.NewReader(conn))
	if err != nil {
		t.Fatal(err)
	}
	r.want(t, http.StatusOK)
	if !r.closes {
		t.Error("the connection stays")
	}
	timeIsUp()
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Logf("event stream ended with %v", err)
	}
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("shutdown did not wait for the event stream: %v", err)
	}
}

func TestServe_UnreachableDatabaseError(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	view := a.finished(telecom)
	id := view["prediction_id"].(string)
	a.get("/predictions").want(t, http.StatusOK)
	a.store.Close()
	for _, path := range []string{"", "/download", "/rejects", "/rows", "/events"} {
		r := a.get("/predictions/" + id + path)
		e := r.wantError(t, http.StatusServiceUnavailable, "ERR-1501")
		if !e.Retryable || r.header.Get("Retry-After") == "" {
			t.Errorf("%q is not retryable", path)
		}
	}
	a.do(http.MethodPost, "/predictions/"+id+"/cancel", nil).wantError(t, http.StatusServiceUnavailable, "ERR-1501")
	before := len(a.objectKeys())
	a.post("/upload", telecom).wantError(t, http.StatusServiceUnavailable, "ERR-1501")
	if after := len(a.objectKeys()); after != before+1 {
		t.Errorf("%d objects, then %d: one must stay, because its upload may have been recorded", before, after)
	}
	a.get("/models", as(a.token("somebody new"))).wantError(t, http.StatusServiceUnavailable, "ERR-1501")
}

func TestDevelopmentKey_FileIsPrivate(t *testing.T) {
	dir := t.TempDir()
	if _, err := auth.NewDevelopmentIssuer(dir); err != nil {
		t.Fatal(err)
	}
	file := dir + "/development-key.pem"
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := auth.NewDevelopmentIssuer(dir); err == nil {
		t.Error("a world-readable key was accepted")
	}
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := auth.NewDevelopmentIssuer(dir); err == nil {
		t.Error("a file without a key was taken")
	}
	if _, err := auth.NewDevelopmentIssuer(dir + "/none"); err == nil {
		t.Error("a directory that is not there was taken")
	}
}
