package serve_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/retainwise/millrace/serve/internal/api"
)

// unread opens n downloads of a user's file, of which nothing is read, and waits until places places for packing are held.
func (a *testAPI) unread(n, places int, user, path, accept string) (list []net.Conn) {
	a.t.Helper()
	for range n {
		c, err := net.Dial("tcp", a.address)
		if err != nil {
			a.t.Fatal(err)
		}
		a.t.Cleanup(func() { _ = c.Close() })
		_, _ = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nAccept-Encoding: %s\r\n\r\n", path, a.token(user), accept)
		list = append(list, c)
	}
	a.waitPacked(places)
	return list
}

// waitPacked waits until n places for packing are held.
func (a *testAPI) waitPacked(n int) {
	a.t.Helper()
	waitFor(a.t, fmt.Sprint(n, " places for packing"), func() bool {
		return strings.Contains(a.metricsText(), fmt.Sprintf("millrace_places_used{kind=\"packed\"} %d\n", n))
	})
}

// largeResult makes a result of several megabytes, far more than sockets hold, and gives the path of its download.
func (a *testAPI) largeResult(user string) string {
	a.t.Helper()
	return address(a.finished(manyRows(20_000), as(a.token(user)))["links"].(map[string]any)["download"])
}

// TestDownload_PlainWhilePackingIsShort holds all places for packing that a user may have. A client that takes the file
// uncompressed gets that, with all that belongs to it; one that does not is asked to come again.
func TestDownload_PlainWhilePackingIsShort(t *testing.T) {
	a := startAPI(t, nil)
	stop := a.work()
	path := a.largeResult("owner")
	stop()
	plain := a.get(path).want(t, http.StatusOK)
	packed := map[string]answer{}
	for _, coding := range []string{"gzip", "br", "zstd"} {
		packed[coding] = a.get(path, header("Accept-Encoding", coding)).want(t, http.StatusOK)
	}
	held := a.unread(8, 8, "owner", path+"?format=jsonl", "identity")
	for coding, whole := range packed {
		r := a.get(path, header("Accept-Encoding", coding)).want(t, http.StatusOK)
		wantPlain(t, coding, r, plain)
		a.testConditions(t, path, coding, plain, whole)
	}
	a.wantNoPacking(t, path)
	for _, c := range held {
		_ = c.Close()
	}
	a.waitPacked(0)
	for coding, whole := range packed {
		r := a.get(path, header("Accept-Encoding", coding)).want(t, http.StatusOK)
		if r.header.Get("Content-Encoding") != coding || r.header.Get("ETag") != whole.header.Get("ETag") ||
			!bytes.Equal(unpack(t, r), plain.body) {
			t.Errorf("%s afterwards: %v", coding, r.header)
		}
	}
}

// wantPlain wants the plain form, under a header that caches keep apart from the packed ones.
func wantPlain(t *testing.T, coding string, r, plain answer) {
	t.Helper()
	if !bytes.Equal(r.body, plain.body) {
		t.Errorf("%s: %d bytes, want %d", coding, len(r.body), len(plain.body))
	}
	for _, name := range []string{"Content-Encoding", "Content-Length", "ETag", "Accept-Ranges", "Repr-Digest", "Vary", "Content-Type"} {
		if got, want := r.header.Get(name), plain.header.Get(name); got != want {
			t.Errorf("%s: %s %q, want %q", coding, name, got, want)
		}
	}
	if r.header.Get("Content-Length") != strconv.Itoa(len(r.body)) || !strings.Contains(r.header.Get("Vary"), "Accept-Encoding") {
		t.Errorf("%s: %v", coding, r.header)
	}
}

// wantNoPacking asks for what is not there without packing.
func (a *testAPI) wantNoPacking(t *testing.T, path string) {
	var asking sync.WaitGroup
	for _, coding := range []string{"gzip", "br", "zstd"} {
		for _, ask := range [][2]string{{path, coding + ", identity;q=0"}, {path, coding + ", *;q=0"}, {path + "?format=arrow", coding}} {
			asking.Go(func() {
				a.get(ask[0], header("Accept-Encoding", ask[1])).wantError(t, http.StatusServiceUnavailable, "ERR-1404")
			})
		}
	}
	asking.Wait()
}

// testConditions asks under conditions while packing is short: a client has what it has in either form, and ranges are of the
// plain file.
func (a *testAPI) testConditions(t *testing.T, path, coding string, plain, packed answer) {
	t.Helper()
	accept := header("Accept-Encoding", coding)
	for _, tag := range []string{plain.header.Get("ETag"), packed.header.Get("ETag")} {
		r := a.get(path, accept, header("If-None-Match", tag))
		if r.status != http.StatusNotModified || r.header.Get("ETag") != tag || len(r.body) != 0 {
			t.Errorf("%s: %d for %s, %s", coding, r.status, tag, r.header.Get("ETag"))
		}
	}
	for ifRange, want := range map[string]int{
		plain.header.Get("ETag"): http.StatusPartialContent, packed.header.Get("ETag"): http.StatusOK,
	} {
		r := a.get(path, accept, header("Range", "bytes=5-9"), header("If-Range", ifRange)).want(t, want)
		if want == http.StatusPartialContent && string(r.body) != string(plain.body[5:10]) {
			t.Errorf("%s: range %q", coding, r.body)
		}
		if want == http.StatusOK {
			wantPlain(t, coding, r, plain)
		}
	}
}

// TestDownload_PackedTakeTurns has one turn, and clients that read nothing of what is packed for them: those that read get all of
// theirs, whole and in every form.
func TestDownload_PackedTakeTurns(t *testing.T) {
	a := startAPI(t, func(c *api.Config, _ *api.Parts) { c.Cores = 1 })
	stop := a.work()
	path := a.largeResult("owner")
	stop()
	want := map[string][]byte{}
	for _, format := range []string{"csv", "jsonl", "arrow"} {
		want[format] = a.get(path+"?format="+format).want(t, http.StatusOK).body
	}
	a.unread(4, 4, "owner", path+"?format=jsonl", "identity")
	var asking sync.WaitGroup
	for _, coding := range []string{"gzip", "br", "zstd"} {
		for format := range want {
			asking.Go(func() {
				r := a.get(path+"?format="+format, header("Accept-Encoding", coding+", identity;q=0"))
				for r.status == http.StatusServiceUnavailable { // four places are left for nine
					r = a.get(path+"?format="+format, header("Accept-Encoding", coding+", identity;q=0"))
				}
				if r.status != http.StatusOK || r.header.Get("Content-Encoding") != coding || !bytes.Equal(unpack(t, r), want[format]) {
					t.Errorf("%s as %s: %d, %v", format, coding, r.status, r.header)
				}
			})
		}
	}
	asking.Wait()
	a.waitPacked(4) // those that read nothing have kept their places, and the others left theirs
}

// TestDownload_LostPlaceIsNotAnEnd has slow readers lose their places for packing: what they have got must not pass for a whole
// file.
func TestDownload_LostPlaceIsNotAnEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than five seconds")
	}
	a := startAPI(t, nil)
	stop := a.work()
	path := a.largeResult("owner")
	other := a.largeResult("other")
	third := address(a.finished(telecom, as(a.token("third")))["links"].(map[string]any)["download"])
	stop()
	lines := a.get(path+"?format=jsonl").want(t, http.StatusOK).body
	held := a.unread(8, 8, "owner", path+"?format=jsonl", "identity")
	others := a.unread(8, 16, "other", other+"?format=jsonl", "identity")
	waitFor(t, "a place that was lost", func() bool {
		return a.get(third, as(a.token("third")), header("Accept-Encoding", "gzip, identity;q=0")).status == http.StatusOK
	})
	broken := 0
	for i, c := range append(held, others...) {
		r, err := readAnswer(bufio.NewReader(c))
		switch {
		case err != nil:
			broken++
		case r.status != http.StatusOK || !bytes.Equal(r.body, lines):
			t.Errorf("download %d: %d, %d bytes of %d, and no error", i, r.status, len(r.body), len(lines))
		}
	}
	if broken == 0 {
		t.Error("no download was broken off")
	}
}
