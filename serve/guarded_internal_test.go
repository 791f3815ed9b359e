package serve

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/store"
)

// brokenObjects is an object store with a defect: whatever is called panics.
type brokenObjects struct{ store.Objects }

// A defect in what one request or part started fails that one, and nothing that it started is left.
func TestPanicsEndOneRequest(t *testing.T) {
	var caught *engine.PanicError
	closed := false
	source := closeNoting{strings.NewReader("a"), &closed}
	stream := piped(t.Context(), source, func(io.Writer, io.Reader) error { panic("change") })
	if _, err := io.ReadAll(stream); !errors.As(err, &caught) {
		t.Errorf("a changed download: %v", err)
	}
	if err := stream.Close(); err != nil || !closed {
		t.Errorf("close: %v, the source is closed: %v", err, closed)
	}

	w := newObjectWriter(t.Context(), brokenObjects{}, "key")
	for err := error(nil); err == nil; {
		err = w.write([]byte("bytes"))
	}
	_, err := w.close(nil)
	var stage *stageError
	if !errors.As(err, &caught) || !errors.As(err, &stage) || stage.stage != stagePanic {
		t.Errorf("a put: %v", err)
	}

	client := &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) { panic("keys") })}
	keys, err := newKeySet(t.Context(), "http://127.0.0.1/keys", client, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.key(t.Context(), "k1"); !errors.As(err, &caught) || !errors.Is(err, errKeysUnavailable) {
		t.Errorf("signing keys: %v", err)
	}

	synctest.Test(t, func(t *testing.T) {
		s := &server{Parts: Parts{Log: slog.New(slog.DiscardHandler)}} // without a store, renewing a key panics
		release := s.hold(t.Context(), &onceKey{RequestKey: &store.RequestKey{Lease: time.Second}})
		time.Sleep(time.Second)
		release()
	})
}

type closeNoting struct {
	io.Reader
	closed *bool
}

func (c closeNoting) Close() error {
	*c.closed = true
	return nil
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// heldObjects take what they are given and never finish a put by themselves.
type heldObjects struct{ store.Objects }

func (heldObjects) Put(ctx context.Context, _ string, r io.Reader) (store.ObjectInfo, error) {
	_, err := io.Copy(io.Discard, r)
	return store.ObjectInfo{}, err
}

// A sink that a step has left open is closed behind it: no put waits for bytes that never come.
func TestSinksAreClosedOnEveryPath(t *testing.T) {
	bundle, err := engine.OpenBaseline("telecom")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { // fails if a goroutine is left
		w := &worker{objects: heldObjects{}, metrics: NewMetrics()}
		out := w.newPartSink(t.Context(), &store.Claim{}, bundle)
		if err := out.WriteChunk(&engine.ScoredChunk{Result: []byte("a"), Rejects: []byte("b")}); err != nil {
			t.Fatal(err)
		}
		out.abandon()
		out.abandon() // what is closed stays so
		if _, err := out.close(nil); err != nil {
			t.Error(err)
		}
	})
}

func TestPatienceWithBodiesOfAnySize(t *testing.T) {
	before := time.Duration(0)
	for _, read := range []int64{0, 1, bodyRateMin, 1 << 30, 8 << 30, 9 << 30, 17 << 30, 1 << 50, math.MaxInt64} {
		patience := bodyPatience(read)
		if want := float64(bodyGrace) + float64(read)/bodyRateMin*float64(time.Second); patience < before ||
			read < 1<<40 && math.Abs(float64(patience)-want) > want/1e9+1 {
			t.Errorf("%d bytes: %v, want %v", read, patience, time.Duration(want))
		}
		before = patience
	}
}
