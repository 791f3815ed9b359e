package api

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/store"
)

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

func TestUploadLink_ExpiredIsNotSigned(t *testing.T) {
	var f *fault.Failure
	if err := (&server{}).answerLink(nil, nil, store.UploadLink{}); !errors.As(err, &f) || f.Code != fault.CodeWrongState {
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

func TestOutcome_WithoutMessage(t *testing.T) {
	f := outcome(store.Prediction{Status: store.Dead})
	if f.Code != fault.CodePredictionFailed || f.HTTPStatus() != 409 {
		t.Errorf("got %v", f)
	}
	f = outcome(store.Prediction{Status: store.Dead, Error: &store.Failure{
		Code:    "ERR-1009",
		Details: json.RawMessage("[1"),
	}})
	if f.Code != fault.CodeBadQuoting || f.Text() != fault.CodeBadQuoting.Message() {
		t.Errorf("got %v %q", f.Code, f.Text())
	}
	if got := warnings(json.RawMessage("{")); len(got) != 0 {
		t.Errorf("warnings %v", got)
	}
	if f := notReady(store.Prediction{Status: store.Completed}, ""); f.Code != fault.CodeObjectStore {
		t.Errorf("a completed prediction without a file: %v", f)
	}
}

func TestBodyFailures(t *testing.T) {
	for _, test := range []struct {
		err  error
		want fault.Code
	}{
		{io.ErrUnexpectedEOF, fault.CodeShortBody},
		{&net.OpError{Op: "read", Err: errors.New("reset")}, fault.CodeShortBody},
		{errors.New("x"), fault.CodeMalformedRequest},
	} {
		if got := bodyFailure(test.err); got.Code != test.want {
			t.Errorf("%v: %v", test.err, got.Code)
		}
	}
	b := &body{setDeadline: func(time.Time) error { return errors.New("closed") }}
	if _, err := b.Read(nil); storefault.CodeOf(err) != fault.CodeShortBody {
		t.Errorf("closed connection: %v", err)
	}
	if n, err := (eofReader{}).Read(nil); n != 0 || err != io.EOF {
		t.Errorf("%d, %v", n, err)
	}
}

func TestLookup(t *testing.T) {
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
