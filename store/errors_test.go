package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
)

func TestUnavailable(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{io.ErrUnexpectedEOF, false}, // a customer's truncated file
		{context.Canceled, false},
		{os.ErrNotExist, false},
		{store.ErrLeaseLost, false},
		{store.ErrNotFound, false},
		{objects.ErrChanged, false},
		{&pgconn.PgError{Code: "23505"}, false},
		{&pgconn.PgError{Code: "22021"}, false},
		{context.DeadlineExceeded, true},
		{objects.ErrStorageFull, true},
		{objects.ErrInterrupted, true},
		{&net.OpError{Op: "read", Err: io.ErrUnexpectedEOF}, true},
		{&pgconn.PgError{Code: "53100"}, true},
		{&pgconn.PgError{Code: "57P01"}, true},
		{&pgconn.PgError{Code: "25P03"}, true},  // it waited for us in vain
		{&pgconn.PgError{Code: "25P02"}, false}, // we went on in a transaction that had failed
		{&pgconn.PgError{Code: "40001"}, true},
		{&pgconn.ConnectError{}, true},
	} {
		if got := store.Unavailable(c.err); got != c.want {
			t.Errorf("%v: %v", c.err, got)
		}
		if c.err == nil {
			continue
		}
		if got := store.Unavailable(fmt.Errorf("read part: %w", c.err)); got != c.want {
			t.Errorf("wrapped %v: %v", c.err, got)
		}
	}
}

// A server that stops in the middle of a query is an outage, whatever error the driver returns.
func TestUnavailable_ServerStops(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1000))
			_ = conn.Close()
		}
	}()
	_, err = store.Open(t.Context(), store.Config{URL: "postgres://u:p@" + l.Addr().String() + "/d?sslmode=disable"})
	var op *net.OpError
	if !errors.As(err, &op) || !store.Unavailable(err) {
		t.Errorf("%v", err)
	}
}
