package database

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/retainwise/millrace/store/circuit"
)

// A proxy that has no server behind it accepts and closes: that is no answer.
func TestProxyWithoutAServerIsNoAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepting sync.WaitGroup
	defer accepting.Wait()
	defer func() { _ = l.Close() }()
	accepting.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	})
	var circuits circuit.Group
	b := circuits.NewBreaker(circuit.Database)
	pc, err := pgxpool.ParseConfig("postgres://u:p@" + l.Addr().String() + "/d?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	(&DB{breaker: b}).guard(pc, tracer{})
	pool, err := pgxpool.NewWithConfig(t.Context(), pc)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for calls := 0; circuits.Of(circuit.Database).State == circuit.Closed && calls < 10; calls++ {
		var refused *net.OpError
		if err := pool.Ping(t.Context()); !errors.As(err, &refused) {
			t.Errorf("ping: %v", err)
		}
	}
	if got := circuits.Of(circuit.Database); got.State != circuit.Open {
		t.Errorf("state %d, opened %d times", got.State, got.Opens)
	}
	var refused *circuit.OpenError
	if err := pool.Ping(t.Context()); !errors.As(err, &refused) {
		t.Errorf("refused: %v", err)
	}
}

// A pooler in transaction mode is named, with what to do, in an error at the start and once in the log.
func TestPoolerIsNamed(t *testing.T) {
	var log bytes.Buffer
	db := &DB{config: Config{Log: slog.New(slog.NewTextHandler(&log, nil))}}
	for state, pooled := range map[string]bool{"42P05": true, "26000": true, "42P01": false, "57014": false} {
		log.Reset()
		db.pooler = sync.Once{}
		err := &pgconn.PgError{Severity: "ERROR", Code: state, Message: "prepared statement"}
		for range 3 {
			if !db.onError(nil, err) {
				t.Errorf("%s: the connection is closed", state)
			}
		}
		for where, text := range map[string]string{"log": log.String(), "error": HideURL(err).Error()} {
			for _, word := range []string{"pooler", "default_query_exec_mode"} {
				if want := map[bool]int{true: 1}[pooled]; strings.Count(text, word) != want {
					t.Errorf("%s: the %s names %s %d times, want %d: %s", state, where, word, strings.Count(text, word), want, text)
				}
			}
		}
	}
}
