package fault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

// secret stands for what must not be shown: an internal text, a customer's cell.
const secret = "SECRET-7b1f"

// TestExplainLocal gives every kind of error of a file or a model its code, and lets nothing of its text through.
func TestExplainLocal(t *testing.T) {
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
		{context.DeadlineExceeded, CodeBusy},
		{context.Canceled, CodeShuttingDown},
		{errors.New("anything"), CodeInternal},
		{Fail(CodeNotText, ""), CodeNotText},
	} {
		f := ExplainLocal(wrap(test.err))
		if f.Code != test.want {
			t.Errorf("%v: %v, want %v", test.err, f.Code, test.want)
		}
		body, _ := ErrorPages{"/errors"}.Body(f, "id", "/path", false)
		if strings.Contains(string(body), secret) || strings.Contains(f.Text(), secret) {
			t.Errorf("%v: the answer has internal text: %s", test.err, body)
		}
	}
}

func TestExplainLocal_MissingColumns(t *testing.T) {
	e := &ingest.MissingColumnsError{Columns: []ingest.MissingColumn{
		{Name: "a", Closest: "A\u202e\nx" + strings.Repeat("y", 200)}, {Name: "b"}, {Name: "c"},
	}}
	const want = "Missing required columns 'A', 'B' and 'C'. Please ensure your CSV contains these columns."
	f := ExplainLocal(e)
	if got := f.Text(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	first, nearest := f.Details["columns"].([]Details)[0], "A  x"+strings.Repeat("y", 76)+"…"
	if first["suggestion"] != nearest || f.Details["suggestion"] != nil {
		t.Errorf("details %v", f.Details)
	}
}

func TestTitleCase(t *testing.T) {
	for label, want := range map[string]string{
		"customerID": "Customer ID", "customer_id": "Customer ID", "Monthly charges": "Monthly Charges",
		"MonthlyCharges": "Monthly Charges", "tenure": "Tenure", "NPS score": "NPS Score", "id": "ID", "umsatz_größe": "Umsatz Größe",
		"": "", "_": "", "last_activity_days_ago": "Last Activity Days Ago", "顧客": "顧客",
	} {
		if got := titleCase(label); got != want {
			t.Errorf("%q: %q, want %q", label, got, want)
		}
	}
}

func TestCodes_EqualIngest(t *testing.T) {
	for reason := ingest.WrongFieldCount; reason <= ingest.WrittenNumber; reason++ {
		code, known := ParseCode(reason.Code())
		if code != 1600+Code(reason) {
			t.Errorf("reason %d is %v", reason, code)
		}
		if names := strings.Contains(" 1 2 3 4 5 6 8 9 10 11 12 13 14 51 52 53 54 55 56 57 ", fmt.Sprint(" ", int(reason), " ")); names && !known {
			t.Errorf("reason %d has no line in the table", reason)
		}
	}
}

func TestTable_Sorted(t *testing.T) {
	last := Code(0)
	for _, m := range Meanings {
		if m.Code <= last {
			t.Errorf("%v comes behind %v", m.Code, last)
		}
		last = m.Code
		if m.title == "" || m.Message == "" || m.advice == "" || !strings.HasSuffix(m.advice, ".") ||
			!strings.HasSuffix(m.Message, ".") && m.Code != CodeInvalidFormat { // its sentence was promised without one
			t.Errorf("%v: words are missing", m.Code)
		}
	}
	if got := Code(9999).Status(); got != 500 {
		t.Errorf("an unknown code answers %d", got)
	}
}

func TestSizeText(t *testing.T) {
	for bytes, want := range map[int64]string{
		50 << 20: "50 MB", 64 << 10: "64 KB", 1000: "1,000 bytes", 999: "999 bytes", 1234567: "1,234,567 bytes",
	} {
		if got := sizeText(bytes); got != want {
			t.Errorf("%d: %q", bytes, got)
		}
	}
}

func TestErrorBody_UnencodableDetails(t *testing.T) {
	f := Fail(CodeInvalidValue, "x").With(Details{"bad": func() {}})
	body, mediaType := ErrorPages{"/errors"}.Body(f, "id", "/", true)
	if mediaType != TypeJSON || !json.Valid(body) || !strings.Contains(string(body), "ERR-1302") {
		t.Errorf("%s %s", mediaType, body)
	}
}
