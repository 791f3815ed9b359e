package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/store"
)

// secret stands for what must not be shown: an internal text, a customer's cell.
const secret = "SECRET-7b1f"

// TestExplain gives every kind of error its code, and lets nothing of its text through.
func TestExplain(t *testing.T) {
	wrap := func(err error) error { return fmt.Errorf("%s: %w", secret, err) }
	for _, test := range []struct {
		err  error
		want Code
	}{
		{ingest.ErrEmpty, CodeEmptyFile},
		{ingest.ErrHeaderUnreadable, CodeUnreadableHeader},
		{ingest.ErrNotText, CodeNotText},
		{ingest.ErrNotCSV, CodeInvalidFormat},
		{ingest.ErrTooManyColumns, CodeTooManyColumns},
		{ingest.ErrUnpackedTooLarge, CodeUnpackedTooLarge},
		{ingest.ErrDamagedArchive, CodeDamagedArchive},
		{&ingest.QuoteError{Line: 3}, CodeBadQuoting},
		{&ingest.RowTooLongError{Line: 3, Limit: 1 << 20}, CodeRowTooLong},
		{&ingest.TooLargeError{Unit: "rows", Limit: 5}, CodeTooLarge},
		{&ingest.MissingColumnsError{Columns: []ingest.MissingColumn{{Name: "a"}, {Name: "b"}}}, CodeMissingColumns},
		{&ingest.DuplicateColumnError{Name: "a"}, CodeUnreadableHeader},
		{engine.ErrAmbiguousHeader, CodeModelNotChosen},
		{store.ErrNotFound, CodePredictionNotFound},
		{store.ErrConflict, CodeWrongState},
		{store.ErrAccounting, CodeAccountingBroken},
		{store.ErrStorageFull, CodeStorageFull},
		{store.ErrObjectChanged, CodeObjectChanged},
		{context.DeadlineExceeded, CodeBusy},
		{context.Canceled, CodeShuttingDown},
		{errors.New("anything"), CodeInternal},
		{fail(CodeNotText, ""), CodeNotText},
	} {
		f := explain(wrap(test.err))
		if f.code != test.want {
			t.Errorf("%v: %v, want %v", test.err, f.code, test.want)
		}
		body, _ := errorPages{"/errors"}.body(f, "id", "/path", false)
		if strings.Contains(string(body), secret) || strings.Contains(f.text(), secret) {
			t.Errorf("%v: the answer has internal text: %s", test.err, body)
		}
	}
	if f := objectFailure(wrap(store.ErrNotFound)); f.code != CodeObjectStore {
		t.Errorf("an object that is gone: %v", f.code)
	}
	if f := explainAs(CodeDatabase, errors.New("x")); f.code != CodeDatabase {
		t.Errorf("unknown error of the database: %v", f.code)
	}
}

func TestMissingColumnsInWords(t *testing.T) {
	e := &ingest.MissingColumnsError{Columns: []ingest.MissingColumn{
		{Name: "a", Closest: "A\u202e\nx" + strings.Repeat("y", 200)}, {Name: "b"}, {Name: "c"},
	}}
	const want = "Missing required columns 'A', 'B' and 'C'. Please ensure your CSV contains these columns."
	f := explain(e)
	if got := f.text(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	first, nearest := f.details["columns"].([]details)[0], "A  x"+strings.Repeat("y", 76)+"…"
	if first["suggestion"] != nearest || f.details["suggestion"] != nil {
		t.Errorf("details %v", f.details)
	}
}

func TestHeadings(t *testing.T) {
	for label, want := range map[string]string{
		"customerID": "Customer ID", "customer_id": "Customer ID", "Monthly charges": "Monthly Charges",
		"MonthlyCharges": "Monthly Charges", "tenure": "Tenure", "NPS score": "NPS Score", "id": "ID", "umsatz_größe": "Umsatz Größe",
		"": "", "_": "", "last_activity_days_ago": "Last Activity Days Ago", "顧客": "顧客",
	} {
		if got := heading(label); got != want {
			t.Errorf("%q: %q, want %q", label, got, want)
		}
	}
}

func TestCodesAreAsIngestSaysThem(t *testing.T) {
	for reason := ingest.WrongFieldCount; reason <= ingest.DuplicateIDScored; reason++ {
		code, known := parseCode(reason.Code())
		if code != 1600+Code(reason) {
			t.Errorf("reason %d is %v", reason, code)
		}
		if names := strings.Contains("1 2 3 4 5 6 8 9 10 11 51 52 53 54 55 ", fmt.Sprint(int(reason), " ")); names && !known {
			t.Errorf("reason %d has no line in the table", reason)
		}
	}
}

func TestTableIsInOrder(t *testing.T) {
	last := Code(0)
	for _, m := range meanings {
		if m.code <= last {
			t.Errorf("%v comes behind %v", m.code, last)
		}
		last = m.code
		if m.title == "" || m.message == "" || m.advice == "" || !strings.HasSuffix(m.advice, ".") ||
			!strings.HasSuffix(m.message, ".") && m.code != CodeInvalidFormat { // whose words were promised without one
			t.Errorf("%v: words are missing", m.code)
		}
	}
	if got := Code(9999).Status(); got != 500 {
		t.Errorf("an unknown code answers %d", got)
	}
}

func TestSizesInWords(t *testing.T) {
	for bytes, want := range map[int64]string{
		50 << 20: "50 MB", 64 << 10: "64 KB", 1000: "1,000 bytes", 999: "999 bytes", 1234567: "1,234,567 bytes",
	} {
		if got := sizeText(bytes); got != want {
			t.Errorf("%d: %q", bytes, got)
		}
	}
}

func TestErrorBodySurvivesStrangeDetails(t *testing.T) {
	f := fail(CodeInvalidValue, "x").with(details{"bad": func() {}})
	body, mediaType := errorPages{"/errors"}.body(f, "id", "/", true)
	if mediaType != typeJSON || !json.Valid(body) || !strings.Contains(string(body), "ERR-1302") {
		t.Errorf("%s %s", mediaType, body)
	}
}

func TestStagesAndEvents(t *testing.T) {
	rows := int64(10)
	for want, p := range map[string]store.Prediction{
		"reading":    {Status: store.Running},
		"scoring":    {Status: store.Running, RowCount: &rows, PartsTotal: 2, PartsDone: 1},
		"finalizing": {Status: store.Running, RowCount: &rows, PartsTotal: 2, PartsDone: 2},
		"":           {Status: store.Queued},
	} {
		got := ""
		if s := stage(p); s != nil {
			got = *s
		}
		if got != want {
			t.Errorf("stage %q, want %q", got, want)
		}
	}
	running := store.Prediction{Status: store.Running}
	for want, after := range map[string]store.Prediction{
		"": running, "progress": {Status: store.Running, Scored: 1}, "state": {Status: store.Queued},
		"done": {Status: store.Cancelled},
	} {
		if got := changed(running, after); got != want {
			t.Errorf("change %q, want %q", got, want)
		}
	}
}

func TestProgress(t *testing.T) {
	rows, start := int64(1000), time.Now()
	committed := start.Add(2 * time.Second)
	p := store.Prediction{
		Status: store.Running, RowCount: &rows, Scored: 240, Rejected: 10, StartedAt: &start, ProgressedAt: &committed,
	}
	for after, want := range map[time.Duration]float64{2 * time.Second: 6, 3 * time.Second: 5, 8 * time.Second: 0} {
		got := progressOf(p, start.Add(after))
		if got.Percent != 25 || *got.RowsPerSecond != 125 || *got.ETASeconds != want {
			t.Errorf("after %v: %v, %v, %v", after, got.Percent, *got.RowsPerSecond, *got.ETASeconds)
		}
	}
	if got := progressOf(p, start.Add(9*time.Second)); got.ETASeconds != nil || *got.RowsPerSecond != 125 {
		t.Errorf("what is late ends in %v", got.ETASeconds)
	}
	p.Scored = 990
	if got := progressOf(p, start.Add(time.Minute)); *got.ETASeconds != 0 {
		t.Errorf("the last step ends in %v", *got.ETASeconds)
	}
	if p := progressOf(store.Prediction{StartedAt: &start}, start); p.RowsPerSecond != nil || p.ETASeconds != nil {
		t.Error("a rate of nothing")
	}
}

func TestExpiredLinkIsNotSignedAgain(t *testing.T) {
	var f *failure
	if err := (&server{}).answerLink(nil, nil, store.UploadLink{}); !errors.As(err, &f) || f.code != CodeWrongState {
		t.Errorf("got %v", err)
	}
}

func TestETAOfQueued(t *testing.T) {
	rows := int64(1000)
	counted := store.Prediction{Status: store.Queued, RowCount: &rows}
	if got := etaOfQueued(counted, store.Ahead{Rows: 500, RowsPerSecond: 100}); got == nil || *got != 15 {
		t.Errorf("got %v", got)
	}
	for name, ahead := range map[string]store.Ahead{
		"no speed": {Rows: 500}, "not counted": {Rows: 500, Uncounted: 1, RowsPerSecond: 100},
	} {
		if got := etaOfQueued(counted, ahead); got != nil {
			t.Errorf("%s: %v", name, *got)
		}
	}
	if got := etaOfQueued(store.Prediction{}, store.Ahead{RowsPerSecond: 100}); got != nil {
		t.Errorf("own rows not counted: %v", *got)
	}
}

func TestOutcomeWithoutWords(t *testing.T) {
	f := outcome(store.Prediction{Status: store.Dead})
	if f.code != CodePredictionFailed || f.httpStatus() != 409 {
		t.Errorf("got %v", f)
	}
	f = outcome(store.Prediction{Status: store.Dead, Error: &store.Failure{
		Code:    "ERR-1009",
		Details: json.RawMessage("[1"),
	}})
	if f.code != CodeBadQuoting || f.text() != CodeBadQuoting.Message() {
		t.Errorf("got %v %q", f.code, f.text())
	}
	if got := warnings(json.RawMessage("{")); len(got) != 0 {
		t.Errorf("warnings %v", got)
	}
	if f := unreadyFor(store.Prediction{Status: store.Completed}, ""); f.code != CodeObjectStore {
		t.Errorf("a completed prediction without a file: %v", f)
	}
}

func TestBodyFailures(t *testing.T) {
	for _, test := range []struct {
		err  error
		want Code
	}{
		{io.ErrUnexpectedEOF, CodeShortBody},
		{&net.OpError{Op: "read", Err: errors.New("reset")}, CodeShortBody},
		{errors.New("x"), CodeMalformedRequest},
	} {
		if got := bodyFailure(test.err); got.code != test.want {
			t.Errorf("%v: %v", test.err, got.code)
		}
	}
	b := &body{setDeadline: func(time.Time) error { return errors.New("closed") }}
	if _, err := b.Read(nil); CodeOf(err) != CodeShortBody {
		t.Errorf("closed connection: %v", err)
	}
	if n, err := (eofReader{}).Read(nil); n != 0 || err != io.EOF {
		t.Errorf("%d, %v", n, err)
	}
}

func TestLogAllowsItsKeysOnly(t *testing.T) {
	var text strings.Builder
	log := NewLogger(&text, nil)
	log.Info("hello", "route", "/x", "filename", secret, "error", errors.New(strings.Repeat("e", 10_000)), "rows", 7,
		"stage", "a\r\nb\x1b\u2028c")
	log.WithGroup("g").Info("hello", "route", secret)
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(lines) != 2 || strings.Contains(text.String(), secret) || len(lines[0]) > 3000 {
		t.Fatalf("got %s", text.String())
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &line); err != nil {
		t.Fatal(err)
	}
	if line["route"] != "/x" || line["rows"] != 7.0 || line["msg"] != "hello" || line["stage"] != "a\r\nb\x1b\u2028c" {
		t.Errorf("got %v", line)
	}
	if strings.ContainsAny(lines[0], "\r\x1b\u2028") {
		t.Error("control characters reach the log")
	}
}

func TestPatterns(t *testing.T) {
	for _, test := range []struct {
		pattern, path, value string
		ok                   bool
	}{
		{"/a", "/a", "", true},
		{"/a", "/a/", "", false},
		{"/a/{id}", "/a/7", "7", true},
		{"/a/{id}", "/a/", "", false},
		{"/a/{id}", "/a/7/b", "", false},
		{"/a/{id}/b", "/a/7/b", "7", true},
		{"/a/{id}/b", "/a/b", "", false},
		{"/a/{id}/b", "/a//b", "", false},
		{"/a/{id}/b", "/a/7/c", "", false},
	} {
		if value, ok := matchPath(test.pattern, test.path); value != test.value || ok != test.ok {
			t.Errorf("%s against %s: %q, %v", test.path, test.pattern, value, ok)
		}
	}
}
