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
)

// TestDoubtfulFraming_Closes sends requests whose end could be read differently, each with another request behind it in the
// same bytes: that one must never be answered, whatever the route makes of the first.
func TestDoubtfulFraming_Closes(t *testing.T) {
	a := startAPI(t, nil)
	auth := "Authorization: " + a.token("owner") + "\r\n"
	doubts := map[string]string{
		"identity":               "Transfer-Encoding: identity\r\n\r\n",
		"Identity":               "Transfer-Encoding: Identity\r\n\r\n",
		"identity, chunked":      "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
		"chunked, identity":      "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
		"chunked twice":          "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
		"two encodings":          "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
		"empty encoding":         "Transfer-Encoding:\r\n\r\n",
		"unknown encoding":       "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"encoding with a tab":    "Transfer-Encoding:\tidentity\r\n\r\n",
		"encoding and length":    "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n",
		"identity and length":    "Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n",
		"two lengths":            "Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
		"list of lengths":        "Content-Length: 0, 0\r\n\r\n",
		"empty length":           "Content-Length:\r\n\r\n",
		"space in a name":        "X Y: z\r\n\r\n",
		"bracket in a name":      "X(Y): z\r\n\r\n",
		"quote in a name":        "\"X\": z\r\n\r\n",
		"letter beyond ASCII":    "X-\u00e9: z\r\n\r\n",
		"space before the colon": "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
		"folded":                 "X: a\r\n Transfer-Encoding: chunked\r\n\r\n",
		"bad chunk size":         "Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
		"LF in an extension":     "Transfer-Encoding: chunked\r\n\r\n0;a\nb\r\n\r\n",
		"length in a trailer":    "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n",
	}
	for name, doubt := range doubts {
		for _, start := range []string{
			"POST /upload HTTP/1.1\r\nHost: x\r\n" + auth + "Content-Type: text/csv\r\n", "POST /validate HTTP/1.1\r\nHost: x\r\n",
			"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n", "GET /health HTTP/1.1\r\nHost: x\r\n",
			"DELETE /nothing HTTP/1.1\r\nHost: x\r\n", "OPTIONS /upload HTTP/1.1\r\nHost: x\r\n",
		} {
			t.Run(name+" "+strings.Fields(start)[1], func(t *testing.T) {
				conn, err := net.Dial("tcp", a.address)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = conn.Close() }()
				_ = conn.SetDeadline(time.Now().Add(time.Minute))
				_, _ = io.WriteString(conn, start+doubt+"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
				_ = conn.(*net.TCPConn).CloseWrite()
				text, _ := io.ReadAll(conn)
				refused := bytes.HasPrefix(text, []byte("HTTP/1.1 4")) || strings.HasPrefix(start, "OPTIONS") // reads no body
				if n := bytes.Count(text, []byte("HTTP/1.1 ")); n != 1 || !refused {
					t.Errorf("%d answers: %.300s", n, text)
				}
			})
		}
	}
}

// TestChunkFraming_IsBounded: extensions and trailers are limited as everything else is, and what clients send passes.
func TestChunkFraming_IsBounded(t *testing.T) {
	a := startAPI(t, nil)
	post := "POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: " + a.token("owner") +
		"\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n"
	whole := fmt.Sprintf("%x\r\n%s\r\n", len(telecom), telecom)
	var bytewise, extended strings.Builder
	for i := range len(telecom) {
		fmt.Fprintf(&bytewise, "1\r\n%c\r\n", telecom[i])
		fmt.Fprintf(&extended, "1;%s\r\n%c\r\n", strings.Repeat("e", 2000), telecom[i])
	}
	for name, test := range map[string]struct {
		body   string
		status int
	}{
		"whole":              {whole + "0\r\n\r\n", 200},
		"byte by byte":       {bytewise.String() + "0\r\n\r\n", 200},
		"extension":          {strings.Replace(whole, "\r\n", ";a=b;c=\"d\"\r\n", 1) + "0;e\r\n\r\n", 200},
		"trailer":            {whole + "0\r\nX-Checksum: 1\r\n\r\n", 200},
		"extension of 1 MB":  {strings.Replace(whole, "\r\n", ";"+strings.Repeat("e", 1<<20)+"\r\n", 1) + "0\r\n\r\n", 400},
		"last one of 1 MB":   {whole + "0;" + strings.Repeat("e", 1<<20) + "\r\n\r\n", 400},
		"many extensions":    {extended.String() + "0\r\n\r\n", 400},
		"trailer of 1 MB":    {whole + "0\r\nX: " + strings.Repeat("t", 1<<20) + "\r\n\r\n", 400},
		"trailers of 100 kB": {whole + "0\r\n" + strings.Repeat("X: t\r\n", 20_000) + "\r\n", 400},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", a.address)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			in := bufio.NewReader(conn)
			for range 2 { // what is allowed begins anew with each request
				go func() { _, _ = io.WriteString(conn, post+test.body) }()
				r, err := readAnswer(in)
				if err != nil {
					t.Fatal(err)
				}
				if r.status != test.status {
					t.Fatalf("%d %s", r.status, r.body)
				}
				if test.status != 200 {
					if r.wantError(t, 400, "ERR-1314"); !r.closes {
						t.Error("the connection stays")
					}
					return
				}
			}
			// A body with a length has no framing to count.
			big := telecom + strings.Repeat("A-4,1,20,30,One year\n", 20_000)
			go func() {
				_, _ = fmt.Fprintf(conn, "%sContent-Length: %d\r\n\r\n%s",
					strings.TrimSuffix(post, "Transfer-Encoding: chunked\r\n\r\n"), len(big), big)
			}()
			r, err := readAnswer(in)
			if err != nil {
				t.Fatal(err)
			}
			r.want(t, http.StatusOK)
		})
	}
}
