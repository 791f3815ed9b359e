package api

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/store"
)

// A defect in what one request or part started fails that one, and nothing that it started is left.
func TestServer_PanicInGoroutineFailsOneRequest(t *testing.T) {
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

	synctest.Test(t, func(t *testing.T) {
		s := &server{Parts: Parts{Log: slog.New(slog.DiscardHandler)}} // without a store, renewing a key panics
		release := s.renewKey(t.Context(), &idempotencyKey{RequestKey: &store.RequestKey{Lease: time.Second}})
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
