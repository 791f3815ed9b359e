package serve_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve/internal/api"
)

// raw sends bytes over a connection of its own and reads the first answer.
func (a *testAPI) raw(text string) (answer, error) {
	a.t.Helper()
	conn, err := net.Dial("tcp", a.address)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		a.t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(conn, text) }()
	return readAnswer(bufio.NewReader(conn))
}

func readAnswer(r *bufio.Reader) (answer, error) {
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, body, resp.Close}, err
}

// TestMalformedRequests sends what a client library would not.
func TestMalformedRequests(t *testing.T) {
	a := startAPI(t, nil)
	auth := "Authorization: " + a.token("owner") + "\r\n"
	const host = "Host: x\r\n"
	post := "POST /upload HTTP/1.1\r\n" + host + auth + "Content-Type: text/csv\r\n"
	get := "GET /predictions HTTP/1.1\r\n" + host + auth
	for name, test := range map[string]struct {
		text   string
		status int
		code   string
	}{
		"length and encoding": {
			post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
			"ERR-1314",
		},
		"encoding and length": {
			post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400,
			"ERR-1314",
		},
		"identity and length":    {post + "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello", 400, "ERR-1314"},
		"identity":               {post + "Transfer-Encoding: identity\r\n\r\n", 400, "ERR-1314"},
		"gzip, chunked":          {post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, "ERR-1314"},
		"two lengths":            {post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400, "ERR-1314"},
		"signed length":          {post + "Content-Length: +5\r\n\r\nhello", 400, "ERR-1314"},
		"negative length":        {post + "Content-Length: -5\r\n\r\nhello", 400, "ERR-1314"},
		"length in hexadecimal":  {post + "Content-Length: 0x5\r\n\r\nhello", 400, "ERR-1314"},
		"space before the colon": {post + "Content-Length : 5\r\n\r\nhello", 400, "ERR-1314"},
		"folded header":          {get + "X-Long: a\r\n b\r\n\r\n", 400, "ERR-1314"},
		"folded header by a tab": {get + "X-Long: a\r\n\tb\r\n\r\n", 400, "ERR-1314"},
		"two tokens":             {get + auth + "\r\n", 400, "ERR-1314"},
		"two types":              {post + "Content-Type: text/html\r\nContent-Length: 0\r\n\r\n", 400, "ERR-1314"},
		"two hosts":              {get + host + "\r\n", 400, "ERR-1314"},
		"no host":                {"GET /predictions HTTP/1.1\r\n" + auth + "\r\n", 400, "ERR-1314"},
		"HTTP/2.0":               {"GET /predictions HTTP/2.0\r\n" + host + auth + "\r\n", 400, "ERR-1314"},
		"HTTP/1.2":               {"GET /predictions HTTP/1.2\r\n" + host + auth + "\r\n", 400, "ERR-1314"},
		"HTTP/0.9":               {"GET /predictions\r\n\r\n", 400, "ERR-1314"},
		"absolute form":          {"GET http://x/predictions HTTP/1.1\r\n" + host + auth + "\r\n", 400, "ERR-1314"},
		"asterisk":               {"OPTIONS * HTTP/1.1\r\n" + host + "\r\n", 400, "ERR-1314"},
		"two slashes":            {"GET //predictions HTTP/1.1\r\n" + host + auth + "\r\n", 400, "ERR-1314"},
		"dots":                   {"GET /x/../predictions HTTP/1.1\r\n" + host + auth + "\r\n", 400, "ERR-1314"},
		"a dot":                  {"GET /./predictions HTTP/1.1\r\n" + host + auth + "\r\n", 400, "ERR-1314"},
		"encoded dots":           {"GET /x/%2e%2E/predictions HTTP/1.1\r\n" + host + auth + "\r\n", 400, "ERR-1314"},
		"encoded slash":          {"GET /predictions%2fx HTTP/1.1\r\n" + host + auth + "\r\n", 400, "ERR-1314"},
		"encoded NUL":            {"GET /predictions/%00 HTTP/1.1\r\n" + host + auth + "\r\n", 400, "ERR-1314"},
		"backslash":              {"GET /x\\..\\predictions HTTP/1.1\r\n" + host + auth + "\r\n", 400, "ERR-1314"},
		"fragment":               {"GET /predictions#x HTTP/1.1\r\n" + host + auth + "\r\n", 400, "ERR-1314"},
		"GET with a body":        {get + "Content-Length: 5\r\n\r\nhello", 400, "ERR-1314"},
		"GET with chunks":        {get + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "ERR-1314"},
		"GET of an upload":       {"GET /upload HTTP/1.1\r\n" + host + auth + "Content-Length: 5\r\n\r\nhello", 405, "ERR-1308"},
		"CR in a header":         {get + "X-A: a\rb\r\n\r\n", 400, "ERR-1314"},
		"NUL in a header":        {get + "X-A: a\x00b\r\n\r\n", 400, "ERR-1314"},
		"no header name":         {get + ": a\r\n\r\n", 400, "ERR-1314"},
		"header of 20 kB":        {get + "X-A: " + strings.Repeat("a", 20_000) + "\r\n\r\n", 431, "ERR-1314"},
		"TLS to a plain port":    {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "ERR-1314"},
		"lower case method":      {"get /predictions HTTP/1.1\r\n" + host + auth + "\r\n", 405, "ERR-1308"},
		"TRACE":                  {"TRACE /predictions HTTP/1.1\r\n" + host + auth + "\r\n", 405, "ERR-1308"},
		"CONNECT":                {"CONNECT /predictions HTTP/1.1\r\n" + host + auth + "\r\n", 405, "ERR-1308"},
		"DELETE":                 {"DELETE /predictions HTTP/1.1\r\n" + host + auth + "\r\n", 405, "ERR-1308"},
		"no such route":          {"GET /prediction HTTP/1.1\r\n" + host + auth + "\r\n", 404, "ERR-1307"},
		"two trailing slashes":   {"GET /predictions// HTTP/1.1\r\n" + host + auth + "\r\n", 404, "ERR-1307"},
		"case":                   {"GET /Predictions HTTP/1.1\r\n" + host + auth + "\r\n", 404, "ERR-1307"},
		"encoded letter":         {"GET /%70redictions HTTP/1.1\r\n" + host + auth + "\r\n", 404, "ERR-1307"},
		"metrics":                {"GET /metrics HTTP/1.1\r\n" + host + auth + "\r\n", 404, "ERR-1307"},
		"profiles":               {"GET /debug/pprof/ HTTP/1.1\r\n" + host + auth + "\r\n", 404, "ERR-1307"},
		"token as parameter": {"GET /predictions?access_token=" + strings.TrimPrefix(a.token("owner"),
			"Bearer ") + " HTTP/1.1\r\n" + host + "\r\n", 401, "ERR-1203"},
		"short body":            {post + "Content-Length: 5000\r\n\r\n" + telecom, 400, "ERR-1013"},
		"broken chunk":          {post + "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloworld\r\n0\r\n\r\n", 400, "ERR-1314"},
		"no number of a chunk":  {post + "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n", 400, "ERR-1314"},
		"LF in chunk extension": {post + "Transfer-Encoding: chunked\r\n\r\n5;a\nb\r\nhello\r\n0\r\n\r\n", 400, "ERR-1314"},
	} {
		t.Run(name, func(t *testing.T) {
			text := test.text
			if name == "short body" {
				a.wantHalfClosed(t, text, test.status, test.code)
				return
			}
			r, err := a.raw(text)
			if err != nil {
				t.Fatal(err)
			}
			r.wantError(t, test.status, test.code)
			if test.code == "ERR-1308" && name != "GET of an upload" && r.header.Get("Allow") != "GET, HEAD, OPTIONS" {
				t.Errorf("Allow: %q", r.header.Get("Allow"))
			}
			if r.header.Get("Server") != "" {
				t.Errorf("Server: %q", r.header.Get("Server"))
			}
		})
	}
	if files := a.leftovers(); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
	if log := a.log.String(); strings.Contains(log, "hello") || strings.Contains(log, "Bearer") ||
		strings.Contains(log, "A-1") {
		t.Errorf("the log quotes a request:\n%s", log)
	}
}

// wantHalfClosed sends a request, ends the sending direction, and checks the answer.
func (a *testAPI) wantHalfClosed(t *testing.T, text string, status int, code string) {
	t.Helper()
	conn, err := net.Dial("tcp", a.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, text)
	_ = conn.(*net.TCPConn).CloseWrite()
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	r, err := readAnswer(bufio.NewReader(conn))
	if err != nil {
		t.Fatal(err)
	}
	r.wantError(t, status, code)
}

func TestBody_Truncated(t *testing.T) {
	a := startAPI(t, nil)
	auth := "Host: x\r\nAuthorization: " + a.token("owner") + "\r\n"
	body, contentType := form(t, "a.csv", []byte(telecom))
	for name, text := range map[string]string{
		"nothing":        "Content-Type: text/csv\r\nContent-Length: 20\r\n\r\n",
		"small":          "Content-Type: text/csv\r\nContent-Length: 20\r\n\r\nabc",
		"after the file": "Content-Type: text/csv\r\nContent-Length: 9999\r\n\r\n" + telecom,
		"large":          "Content-Type: text/csv\r\nContent-Length: 9999999\r\n\r\n" + telecom + strings.Repeat("A-4,1,20,30,One year\n", 9000),
		"chunks": "Content-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n",
			len(telecom), telecom),
		"in a chunk": "Content-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n" + telecom,
		"form": "Content-Type: " + contentType + "\r\nContent-Length: " + fmt.Sprint(len(body)) + "\r\n\r\n" +
			string(body[:len(body)-70]),
		"behind the form": "Content-Type: " + contentType + "\r\nContent-Length: " + fmt.Sprint(len(body)+100) +
			"\r\n\r\n" + string(body),
	} {
		t.Run(name, func(t *testing.T) {
			a.wantHalfClosed(t, "POST /upload HTTP/1.1\r\n"+auth+text, http.StatusBadRequest, "ERR-1013")
		})
	}
	if files := a.leftovers(); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

// TestBody_TooLargeIsAnsweredEarly announces far more than is allowed and wants the answer before the body is sent, over a
// connection that is closed gently enough for the answer to arrive.
func TestBody_TooLargeIsAnsweredEarly(t *testing.T) {
	a := startAPI(t, smallLimits)
	auth := "Host: x\r\nContent-Type: text/csv\r\nAuthorization: " + a.token("owner") + "\r\n"
	first := map[string]string{"plain": "c"} // the server looks at a request when its body begins
	for name, extra := range map[string]string{"plain": "", "expect": "Expect: 100-continue\r\n"} {
		r, err := a.raw("POST /upload HTTP/1.1\r\n" + auth + extra + "Content-Length: 50000000\r\n\r\n" + first[name])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r.wantError(t, http.StatusRequestEntityTooLarge, "ERR-1002")
		if !r.closes {
			t.Errorf("%s: the connection stays", name)
		}
	}
	// A client that sends everything before it reads gets the answer too.
	for range 5 {
		big := telecom + strings.Repeat("A-4,1,20,30,One year\n", 500_000)
		e := a.post("/upload", big).wantError(t, http.StatusRequestEntityTooLarge, "ERR-1002")
		if e.Error.Details["limit"] != float64(1<<20) {
			t.Errorf("details %v", e.Error.Details)
		}
		conn, err := net.Dial("tcp", a.address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(conn, "POST /upload HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n", auth, len(big))
		_, _ = io.WriteString(conn, big)
		r, err := readAnswer(bufio.NewReader(conn))
		_ = conn.Close()
		if err != nil {
			t.Fatalf("answer lost: %v", err)
		}
		r.wantError(t, http.StatusRequestEntityTooLarge, "ERR-1002")
	}
	// The size of a chunked body is unknown until it is over the limit.
	var chunked bytes.Buffer
	for range 70 {
		fmt.Fprintf(&chunked, "4000\r\n%s\r\n", strings.Repeat("x", 0x4000))
	}
	r, err := a.raw("POST /upload HTTP/1.1\r\n" + auth + "Transfer-Encoding: chunked\r\n\r\n" + chunked.String() +
		"0\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if r.status != http.StatusUnprocessableEntity && r.status != http.StatusRequestEntityTooLarge {
		t.Errorf("chunked: %d %s", r.status, r.body)
	}
}

func TestExpectContinue(t *testing.T) {
	a := startAPI(t, nil)
	conn, err := net.Dial("tcp", a.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	in := bufio.NewReader(conn)
	_, _ = fmt.Fprintf(conn, "POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: text/csv\r\n"+
		"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n", a.token("owner"), len(telecom))
	if line, err := in.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	_, _ = in.ReadString('\n')
	_, _ = io.WriteString(conn, telecom)
	r, err := readAnswer(in)
	if err != nil {
		t.Fatal(err)
	}
	r.want(t, http.StatusOK)
	if got := strings.Count(a.log.String(), `"msg":"request"`); got != 1 {
		t.Errorf("%d log lines for one request", got)
	}
	// A request that may not be made is refused before its body is sent.
	r, err = a.raw("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	r.wantError(t, http.StatusUnauthorized, "ERR-1203")
}

func TestKeepAliveAfterAnError(t *testing.T) {
	a := startAPI(t, nil)
	conn, err := net.Dial("tcp", a.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	for range 3 {
		_, _ = io.WriteString(conn, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
		r, err := readAnswer(in)
		if err != nil {
			t.Fatal(err)
		}
		r.wantError(t, http.StatusNotFound, "ERR-1307")
	}
}

func TestSlowBody(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than five seconds")
	}
	a := startAPI(t, nil)
	conn, err := net.Dial("tcp", a.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: text/csv\r\n"+
		"Content-Length: 100000\r\n\r\n%s", a.token("owner"), telecom)
	begun := time.Now()
	go func() { // a drop now and then keeps a plain idle timeout from firing
		for range 300 { // until the answer has come, at the latest
			time.Sleep(200 * time.Millisecond)
			if _, err := io.WriteString(conn, "A"); err != nil {
				return
			}
		}
	}()
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	r, err := readAnswer(bufio.NewReader(conn))
	if err != nil {
		t.Fatal(err)
	}
	e := r.wantError(t, http.StatusRequestTimeout, "ERR-1406")
	if took := time.Since(begun); took < 4*time.Second || !e.Retryable {
		t.Errorf("ended after %v", took)
	}
	if files := a.leftovers(); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

func TestUpload_ConcurrencyLimit(t *testing.T) {
	a := startAPI(t, func(c *api.Config, _ *api.Parts) { c.Places.Uploads = 1 })
	conn, err := net.Dial("tcp", a.address)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprintf(conn, "POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: text/csv\r\n"+
		"Content-Length: 20000000\r\n\r\n%s", a.token("owner"), telecom)
	waitFor(t, "the place to be taken", func() bool {
		return a.post("/upload", telecom).status == http.StatusServiceUnavailable
	})
	r := a.post("/upload", telecom)
	r.wantError(t, http.StatusServiceUnavailable, "ERR-1404")
	if r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	_ = conn.Close()
	waitFor(t, "the place", func() bool { return a.post("/upload", telecom).status == http.StatusOK })
}

// A body in chunks announces no length, so its bytes must be counted: few rows, none too long, too many bytes.
func TestBody_ChunkedTooLarge(t *testing.T) {
	a := startAPI(t, smallLimits)
	row := strings.Repeat("x", 2000) + ",1,29.85,29.85,Month-to-month\n"
	file := "customerID,tenure,MonthlyCharges,TotalCharges,Contract\n" + strings.Repeat(row, 1<<20/len(row)+1)
	in := io.MultiReader(strings.NewReader(file)) // of no length that the client can see
	a.do(http.MethodPost, "/upload", in, header("Content-Type", "text/csv")).
		wantError(t, http.StatusRequestEntityTooLarge, "ERR-1002")
	if files := a.leftovers(); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

// Large files yield their cores while a small one is received.
func TestUpload_SmallFilePreemptsBackground(t *testing.T) {
	background := engine.NewBackground(1)
	a := startAPI(t, func(_ *api.Config, p *api.Parts) { p.Background = background })
	conn, err := net.Dial("tcp", a.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: text/csv\r\n"+
		"Content-Length: %d\r\n\r\n%s", a.token("owner"), len(telecom), telecom[:10])
	waitFor(t, "an urgent upload", func() bool { return background.State().Urgent == 1 })
	_, _ = io.WriteString(conn, telecom[10:])
	r, err := readAnswer(bufio.NewReader(conn))
	if err != nil {
		t.Fatal(err)
	}
	r.want(t, http.StatusOK)
	if state := background.State(); state.Urgent != 0 {
		t.Errorf("%+v behind the answer", state)
	}
}
