package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A database can be away without refusing anything: its host or the way to it is gone, or it stands still. Three
// silences are bounded, so that a request is answered within 2 s: of a new connection, of one that was idle, and, of the
// host, to what was sent. The first two count for the breaker.

// guard lets a pool connect through the breaker and ask a connection that was idle before it is used.
func (b *breaker) guard(pc *pgxpool.Config) {
	pc.ConnConfig.DialFunc = b.dial
	pc.ShouldPing = func(_ context.Context, p pgxpool.ShouldPingParams) bool {
		p.Conn.PgConn().CustomData()[idleKey] = p.IdleDuration > idleMax
		return false // prepare pings, and says what came of it
	}
	pc.PrepareConn = b.prepare
}

const (
	idleKey = "millrace idle" // of a connection's own data
	idleMax = time.Second
)

// prepare pings a connection that was idle. One that broke is let go, and the pool takes another; of one that is silent
// the caller is told, as another would be silent too.
func (b *breaker) prepare(ctx context.Context, conn *pgx.Conn) (good bool, err error) {
	if idle, _ := conn.PgConn().CustomData()[idleKey].(bool); !idle {
		return true, nil
	}
	silent := false
	err = b.call(func() (bool, error) {
		patience, cancel := context.WithTimeout(ctx, pingTimeout)
		defer cancel()
		err := conn.Ping(patience)
		silent = err != nil && pgconn.Timeout(err) && !gaveUp(ctx)
		return !silent, err
	})
	var refused *refusedError
	switch {
	case err == nil:
		return true, nil
	case silent, ctx.Err() != nil:
		return false, fmt.Errorf("ping: %w", err)
	case errors.As(err, &refused):
		return true, err // it may be good again when the breaker lets calls through
	}
	return false, nil
}

// dial connects like pgx does. Whether the database answered is known when it has said something.
func (b *breaker) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if !b.circuit.TryAcquirePermit() {
		return nil, &refusedError{b.dependency}
	}
	dialer := net.Dialer{KeepAlive: time.Minute, Timeout: dialTimeout, Control: boundSilence(silenceTimeout)}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		b.record(gaveUp(ctx))
		return nil, err
	}
	c := &connection{Conn: conn, breaker: b}
	c.silence = time.AfterFunc(silenceTimeout, func() {
		c.judged.Do(func() { b.record(false) })
		_ = conn.Close() // ends the Read that waits
	})
	return c, nil
}

// connection tells the breaker of the first thing that the server says, and lets an end of the stream be known as what
// it is. pgx passes io.ErrUnexpectedEOF on, which could as well be a customer's truncated file.
type connection struct {
	net.Conn
	breaker *breaker
	silence *time.Timer // ends the connection unless the server says something
	judged  sync.Once   // the breaker was told
}

// answered tells the breaker, once. The end of a connection that nobody waits for any more is no fault of the server.
func (c *connection) answered() {
	c.judged.Do(func() {
		c.silence.Stop()
		c.breaker.record(true)
	})
}

func (c *connection) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.answered()
	if errors.Is(err, io.EOF) {
		err = &net.OpError{Op: "read", Net: "postgresql", Err: io.ErrUnexpectedEOF}
	}
	return n, err
}

func (c *connection) Close() error {
	c.answered()
	return c.Conn.Close()
}
