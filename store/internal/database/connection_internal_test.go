package database

import (
	"errors"
	"net"
	"sync"
	"testing"

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
