package serve_test

import (
	"math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

const invalidName = "Filename contains invalid characters"

// rawForm has a file under a name as it is given, which mime/multipart would escape.
func rawForm(name string, content string) (body []byte, contentType string) {
	return []byte("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + name + "\"\r\n\r\n" + content +
		"\r\n--b--\r\n"), "multipart/form-data; boundary=b"
}

// TestC3InvalidNames sends names with path parts and strange characters to every route that takes a name.
func TestC3InvalidNames(t *testing.T) {
	a := startAPI(t, nil)
	for _, name := range []string{
		"../../etc/passwd.csv", `C:\x\evil.csv`, "folder/x.csv", "/x.csv", "./x.csv", "weird;name&$.csv", "a|b.csv",
		"<script>.csv", "=cmd.csv", "x%00.csv", "..%2f..%2fx.csv", "a\x00b.csv", "a\tb.csv", "a\u202eb.csv", "a\u200bb.csv",
		"a'b.csv", "a(1).csv", "a\xffb.csv", "a\u20acb.csv", "a:b.csv", "a*b.csv.gz", "a?b.csv.zst",
	} {
		var answers []answer
		for _, path := range []string{"/upload", "/score", "/validate", "/outcomes"} {
			answers = append(answers, a.post(path+"?filename="+url.QueryEscape(name), telecom))
			if utf8.ValidString(name) && !strings.Contains(name, "\x00") { // no name of a form: not readable or another one
				for _, written := range []string{name, strings.ReplaceAll(name, `\`, `\\`)} {
					body, contentType := rawForm(written, telecom)
					answers = append(answers, a.postForm(path, body, contentType))
				}
			}
		}
		for _, r := range answers {
			e := r.wantError(t, http.StatusBadRequest, "ERR-1001")
			e.wantText(t, invalidName)
			shown, _ := e.Error.Details["filename"].(string)
			if shown == "" || strings.ContainsFunc(shown, func(c rune) bool { return !unicode.IsPrint(c) }) {
				t.Errorf("%q is shown as %q", name, shown)
			}
		}
	}
	if files := a.leftovers(); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
	if log := a.log.String(); strings.Contains(log, "evil") || strings.Contains(log, "passwd") {
		t.Error("a name is in the log")
	}
}

// TestC3ValidNames expects names in any script unchanged, in NFC.
func TestC3ValidNames(t *testing.T) {
	a := startAPI(t, nil)
	for given, want := range map[string]string{
		"customers 2026-03_final.v2.csv": "customers 2026-03_final.v2.csv", "-rf.csv": "-rf.csv", ".csv": ".csv",
		"Zu\u0308rich.csv": "Zürich.csv", "кли́енты.csv": "кли́енты.csv", "ग्राहक.csv": "ग्राहक.csv", "顧客 2月.csv.gz": "顧客 2月.csv.gz",
		"عُملاء.csv": "عُملاء.csv", "ลูกค้า.CSV": "ลูกค้า.CSV", "at 10.00\u202fAM.csv": "at 10.00 AM.csv", "m².csv": "m².csv",
	} {
		body, contentType := form(t, given, []byte(telecom))
		for _, r := range []answer{
			a.postForm("/upload", body, contentType), a.post("/upload?filename="+url.QueryEscape(given), telecom),
		} {
			if got := r.want(t, http.StatusOK).object(t)["filename"]; got != want {
				t.Errorf("%q is kept as %q", given, got)
			}
		}
	}
}

// TestC3AnyName makes names of random characters: each is refused, or kept as one that is taken again unchanged and is a
// name of a file and nothing else.
func TestC3AnyName(t *testing.T) {
	a := startAPI(t, nil)
	random := rand.New(rand.NewPCG(3, 3))
	letters := []rune("ab1 -_.é\u0301й漢²/\\;<|%\"'\x00\x1f\u202e\u200d\u00a0€(=")
	taken := 0
	for range 300 {
		var name strings.Builder
		for range 1 + random.IntN(4) {
			name.WriteRune(letters[random.IntN(len(letters))])
		}
		name.WriteString(".csv")
		r := a.post("/validate?filename="+url.QueryEscape(name.String()), telecom)
		bad := strings.ContainsAny(name.String(), "/\\;<|%\"'\x00\x1f\u202e\u200d€(=")
		if bad {
			r.wantError(t, http.StatusBadRequest, "ERR-1001").wantText(t, invalidName)
			continue
		}
		r.want(t, http.StatusOK)
		taken++
	}
	if taken == 0 {
		t.Error("none was taken")
	}
}

// TestC3UploadLinks expects the same of names for links into the bucket.
func TestC3UploadLinks(t *testing.T) {
	a := startAPI(t, func(_ *api.Config, p *api.Parts) {
		var err error
		if p.Objects, err = objects.OpenS3(t.Context(), storetest.S3(t)); err != nil {
			t.Fatal(err)
		}
	})
	for name, text := range map[string]string{
		"../x.csv": invalidName, "a;b.csv": invalidName, "a.xlsx": "Invalid file format. Please upload a CSV file.",
	} {
		a.do(http.MethodPost, "/upload-links?bytes=10&filename="+url.QueryEscape(name), nil).
			wantError(t, http.StatusBadRequest, "ERR-1001").wantText(t, text)
	}
	a.do(http.MethodPost, "/upload-links?bytes=10&filename="+url.QueryEscape("顧客 1.csv"), nil).want(t, http.StatusCreated)
}

// The filenames of downloaded results and rejects can be uploaded.
func TestC3OwnNames(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	view := a.finished(bad)
	for _, link := range []string{"download", "rejects"} {
		r := a.get(view["links"].(map[string]any)[link].(string)).want(t, http.StatusOK)
		_, params, err := mime.ParseMediaType(r.header.Get("Content-Disposition"))
		if err != nil {
			t.Fatal(err)
		}
		a.post("/upload?filename="+url.QueryEscape(params["filename"]), telecom).want(t, http.StatusOK)
	}
}

// TestC10NoCSV sends other things under names of CSV files.
func TestC10NoCSV(t *testing.T) {
	a := startAPI(t, nil)
	for content, kind := range map[string]string{
		"<!DOCTYPE html>\n<html><body>x</body></html>":             "a web page",
		"\xef\xbb\xbf\n  <HTML xmlns:o=\"urn\"><table><tr><td>a":   "a web page",
		"<table border=\"1\"><tr><td>customerID</td></tr></table>": "a web page",
		"<?xml version=\"1.0\"?>\n<Workbook></Workbook>":           "an XML document",
		`{"customerID":"A-1","tenure":5}` + "\n":                   "JSON",
		"[\n  {\n    \"customerID\": \"A-1\"\n  }\n]\n":            "JSON",
		"[]":                       "JSON",
		"{\\rtf1\\ansi customers}": "a rich text document",
		"%PDF-1.7\n%\xe2\xe3":      "a PDF document",
		"\x89PNG\r\n\x1a\n":        "a picture",
		"PAR1\x15\x04":             "a Parquet file",
		"SQLite format 3\x00":      "a database",
		"BZh91AY":                  "packed with bzip2",
		"Rar!\x1a\x07\x01\x00":     "a RAR archive",
		string(gzipped(t, "<!doctype html><p>x</p>")): "a web page",
		string(gzipped(t, "%PDF-1.7\nx\ny")):          "a PDF document",
	} {
		for _, path := range []string{"/upload", "/score", "/validate", "/outcomes"} {
			e := a.post(path+"?filename=customers.csv", content).wantError(t, http.StatusBadRequest, "ERR-1003")
			e.wantText(t, "Only CSV files are allowed")
			if e.Error.Details["actual"] != kind {
				t.Errorf("%s of %.20q: details %v", path, content, e.Error.Details)
			}
		}
	}
	if files := a.leftovers(); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
	page := a.get("/errors/ERR-1003", header("Accept", "application/json")).object(t)
	if page["message"] != "Only CSV files are allowed" || page["status"] != 400.0 {
		t.Errorf("the page says %v", page)
	}
}
