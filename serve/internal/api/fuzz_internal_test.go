package api

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"github.com/retainwise/millrace/serve/internal/auth"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/place"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/serve/internal/wire"
	"github.com/retainwise/millrace/store"
)

// FuzzToken expects of any token a refusal, and no panic: no fuzzer can sign.
func FuzzToken(f *testing.F) {
	v, err := auth.NewVerifier(context.Background(), auth.Config{JWKSURL: "http://127.0.0.1:1/", Issuer: "x"})
	if err != nil {
		f.Fatal(err)
	}
	v.Keys.LastFetch = time.Now().Add(time.Hour) // no fetches
	for _, seed := range []string{
		"", "a.b.c", "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.eyJzdWIiOiJ1IiwiZXhwIjoxfQ.c2ln",
		"eyJhbGciOiJub25lIn0.e30.", "eyJhIjp7ImEiOlsxLHsiYSI6MX1dfX0.W10.",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if subject, err := v.Subject(t.Context(), "Bearer "+token); err == nil {
			t.Errorf("%q was accepted as %q", token, subject)
		}
	})
}

// FuzzForm reads any body as a form: it ends in a file or a failure with a code of the request's, never in a panic.
func FuzzForm(f *testing.F) {
	f.Add("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\na,b\r\n--b--\r\n",
		"multipart/form-data; boundary=b")
	f.Add("--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nx\r\n--b\r\n\r\n\r\n--b",
		"multipart/form-data; boundary=b")
	f.Add("a,b\n", "text/csv")
	f.Fuzz(func(t *testing.T, text, contentType string) {
		conn, other := net.Pipe()
		defer func() { _, _ = conn.Close(), other.Close() }()
		var rc fasthttp.RequestCtx
		rc.Init2(conn, nil, false)
		rc.Request.Header.SetContentType(contentType)
		rc.Request.SetBodyStream(strings.NewReader(text), -1)
		r := &request{rc: &rc, route: &route{Fields: []string{"model"}}, ctx: t.Context(), places: place.NewTable(place.Config{}), blocks: &wire.SpoolBlocks{}}
		file, err := r.openFile(1 << 10)
		if err == nil {
			if _, err = io.Copy(io.Discard, file); err == nil {
				err = file.finish()
			}
		}
		if status := storefault.CodeOf(err).Status(); err != nil && status >= 500 {
			t.Errorf("%v answers %d", err, status)
		}
	})
}

// FuzzQuestion parses what callers write into headers and parameters.
func FuzzQuestion(f *testing.F) {
	f.Add("bytes=0-5", "gzip;q=0, zstd", "AQAAAAAAAAAAAAAAAAAAAAE", "/predictions/../x?y")
	f.Fuzz(func(t *testing.T, header, accept, cursor, target string) {
		if from, to, given, ok := parseRange(header, 100); given && ok && (from < 0 || to > 100 || from >= to) {
			t.Errorf("range %q gives %d to %d", header, from, to)
		}
		coding(accept)
		if c, err := ParseCursor(cursor); err == nil && c != nil && CursorText(c) != cursor {
			t.Errorf("cursor %q has a second spelling", cursor)
		}
		if c, err := parseRowCursor(uuid.UUID{}, store.RowQuery{}, cursor); err == nil && c != nil && c.Row < 0 {
			t.Errorf("cursor %q", cursor)
		}
		if wire.CheckTarget([]byte(target)) == nil {
			path, _, _ := strings.Cut(target, "?")
			if !strings.HasPrefix(path, "/") || strings.Contains(path, "..") && strings.Contains("/"+path+"/", "/../") {
				t.Errorf("target %q passed", target)
			}
		}
		fault.ParseCode(header)
		fileNameTwice(t, target)
	})
}

// fileNameTwice wants a cleaned name to be clean.
func fileNameTwice(t *testing.T, name string) {
	t.Helper()
	once := wire.CleanFilename(name)
	if twice := wire.CleanFilename(once); twice != once || len(once) > wire.FilenameBytesMax || strings.ContainsAny(once, "\r\n\\") {
		t.Errorf("%q becomes %q, then %q", name, once, twice)
	}
}
