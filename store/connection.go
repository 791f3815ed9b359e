package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A database can be away without refusing anything: its host or the way to it is gone, or it stands still. Three
// silences are bounded, so that a request is answered within 2 s: of a new connection, of one that was idle, and, of the
// host, to what was sent. The first two count for the breaker.
//
// The breaker lets a connect through, which may try several addresses: a URL can name a primary and its standbys, a
// name can stand for several hosts, and those that are away may be tried first. It has failed when none of them has
// said a word.

// guard lets a pool connect through the breaker and ask a connection that was idle before it is used. t is the pool's
// tracer.
func (b *breaker) guard(pc *pgxpool.Config, t tracer) {
	pc.ConnConfig.Tracer = connectGuard{t, b}
	pc.ConnConfig.DialFunc = dial
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

// prepare pings a connection that was idle. One that broke is let go, and the pool takes another, which says more; of one
// that is silent is an error for the caller, as another would be silent too.
func (b *breaker) prepare(ctx context.Context, conn *pgx.Conn) (good bool, err error) {
	if idle, _ := conn.PgConn().CustomData()[idleKey].(bool); !idle {
		return true, nil
	}
	v := noVerdict
	err = b.call(func() (verdict, error) {
		patience, cancel := context.WithTimeout(ctx, pingTimeout)
		defer cancel()
		err := conn.Ping(patience)
		switch {
		case err == nil:
			v = answered
		case pgconn.Timeout(err) && !gaveUp(ctx):
			v = failed
		}
		return v, err
	})
	var refused *refusedError
	switch {
	case err == nil:
		return true, nil
	case v == failed, ctx.Err() != nil:
		return false, fmt.Errorf("ping: %w", err)
	case errors.As(err, &refused):
		return true, err // it may be good again when the breaker lets calls through
	}
	return false, nil
}

// connectGuard asks the breaker before a connect and tells it what came of all its addresses. pgx has no other place
// around them all than its tracer.
type connectGuard struct {
	tracer
	breaker *breaker
}

var (
	_ pgx.ConnectTracer     = connectGuard{}
	_ pgxpool.AcquireTracer = connectGuard{}
)

// attempt is one connect, which dials one address after the other. It lies in their context.
type attempt struct {
	permit  permit
	refused error       // the breaker's
	spoken  atomic.Bool // one of the servers said something
}

type attemptKey struct{}

// TraceConnectStart implements [pgx.ConnectTracer]. A connect that is refused here fails when it dials.
func (g connectGuard) TraceConnectStart(ctx context.Context, _ pgx.TraceConnectStartData) context.Context {
	a := new(attempt)
	a.permit, a.refused = g.breaker.take()
	return context.WithValue(ctx, attemptKey{}, a)
}

// TraceConnectEnd implements [pgx.ConnectTracer].
func (g connectGuard) TraceConnectEnd(ctx context.Context, data pgx.TraceConnectEndData) {
	a, ok := ctx.Value(attemptKey{}).(*attempt)
	switch {
	case !ok || a.refused != nil:
	case data.Err == nil, a.spoken.Load():
		g.breaker.give(a.permit, answered)
	case gaveUp(ctx):
		g.breaker.give(a.permit, noVerdict)
	default:
		g.breaker.give(a.permit, failed)
	}
}

// dial connects like pgx does. A dial that belongs to no connect cancels a statement, and is nobody's sign of life.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	a, ok := ctx.Value(attemptKey{}).(*attempt)
	if !ok {
		a = new(attempt)
	}
	if a.refused != nil {
		return nil, a.refused
	}
	dialer := net.Dialer{KeepAlive: time.Minute, Timeout: dialTimeout, Control: boundSilence(silenceTimeout)}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &connection{
		Conn: conn, attempt: a,
		silence: time.AfterFunc(silenceTimeout, func() { _ = conn.Close() }), // ends the Read that waits
	}, nil
}

// connection notes the first thing that the server says, and lets an end of the stream be known as what it is. pgx
// passes io.ErrUnexpectedEOF on, which could as well be a customer's truncated file.
type connection struct {
	net.Conn
	attempt *attempt
	silence *time.Timer // ends the connection unless the server says something
}

func (c *connection) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.silence.Stop() {
		c.attempt.spoken.Store(true) // a proxy without a server behind it accepts, says nothing and closes
	}
	if errors.Is(err, io.EOF) {
		err = &net.OpError{Op: "read", Net: "postgresql", Err: io.ErrUnexpectedEOF}
	}
	return n, err
}

func (c *connection) Close() error {
	c.silence.Stop()
	return c.Conn.Close()
}
