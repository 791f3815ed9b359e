package database

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/retainwise/millrace/store/circuit"
)

// A database can be unreachable without refusing anything: its host or the network is down, or its process is stopped.
// Three time-outs bound that, so that a request is answered within 2 s: of a new connection, of the ping of one that was
// idle, and of TCP acknowledgements for what was sent. The first two count for the breaker.
//
// The breaker lets a connect through, which may try several addresses: a URL can name a primary and its standbys, a
// name can stand for several hosts, and those that are down may be tried first. The connect has failed when none of them
// has sent anything.

// guard makes a pool connect through the breaker, ping a connection that was idle before it is used, and replace
// connections of an older era. t is the pool's tracer.
func (db *DB) guard(pc *pgxpool.Config, t tracer) {
	pc.ConnConfig.Tracer = connectGuard{t, db.breaker}
	pc.ConnConfig.DialFunc = db.dial
	pc.ConnConfig.OnPgError = db.onError
	pc.BeforeConnect = db.hosts.Arrange
	pc.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false } // prepare pings, through the breaker
	pc.PrepareConn = db.prepare
}

const (
	idleMax        = time.Second             // of a connection that is used without a ping
	dialTimeout    = 1500 * time.Millisecond // so that a request is answered within 2 s
	silenceTimeout = dialTimeout             // of a server that accepted a connection, and of its host at any time
	pingTimeout    = 800 * time.Millisecond  // a request may meet two connections that are silent
)

// prepare checks a connection before it is used: one of an older era, or one that broke, is closed, and the pool takes
// another. A ping that times out is an error for the caller, as it would on another connection, and begins a new era: a host
// that is gone closes nothing, and its standby may be up long before all connections to it have been tried.
func (db *DB) prepare(ctx context.Context, conn *pgx.Conn) (good bool, err error) {
	c := connectionOf(conn.PgConn())
	switch {
	case c.era != db.currentEra().number:
		return false, nil
	case time.Since(c.lastRead()) <= idleMax:
		return true, nil
	}
	v := circuit.NoVerdict
	err = db.breaker.Call(func() (circuit.Verdict, error) {
		pingCtx, cancel := context.WithTimeout(ctx, pingTimeout)
		defer cancel()
		err := conn.Ping(pingCtx)
		switch {
		case err == nil:
			v = circuit.Answered
		case pgconn.Timeout(err) && !circuit.CallerCancelled(ctx):
			v = circuit.Failed
			db.renew(c.era)
		}
		return v, err
	})
	var refused *circuit.OpenError
	switch {
	case err == nil:
		return true, nil
	case v == circuit.Failed, ctx.Err() != nil:
		return false, fmt.Errorf("ping: %w", err)
	case errors.As(err, &refused):
		return true, err // keep the connection: it may work when the circuit closes
	}
	return false, nil
}

// connectGuard acquires the breaker before a connect and reports the result over all its addresses: of pgx's hooks only
// the tracer is called around them all.
type connectGuard struct {
	tracer
	breaker *circuit.Breaker
}

var (
	_ pgx.ConnectTracer     = connectGuard{}
	_ pgxpool.AcquireTracer = connectGuard{}
)

// attempt is one connect, which dials one address after the other. It is in their context.
type attempt struct {
	permit   circuit.Permit
	refused  error       // the breaker's; nil: it let the connect through
	answered atomic.Bool // one of the servers sent something
}

type attemptKey struct{}

// TraceConnectStart implements [pgx.ConnectTracer]. A connect that is refused here fails when it dials.
func (g connectGuard) TraceConnectStart(ctx context.Context, _ pgx.TraceConnectStartData) context.Context {
	a := new(attempt)
	a.permit, a.refused = g.breaker.Acquire()
	return context.WithValue(ctx, attemptKey{}, a)
}

// TraceConnectEnd implements [pgx.ConnectTracer].
func (g connectGuard) TraceConnectEnd(ctx context.Context, data pgx.TraceConnectEndData) {
	a, ok := ctx.Value(attemptKey{}).(*attempt)
	switch {
	case !ok || a.refused != nil:
	case data.Err == nil, a.answered.Load():
		g.breaker.Release(a.permit, circuit.Answered)
	case circuit.CallerCancelled(ctx):
		g.breaker.Release(a.permit, circuit.NoVerdict)
	default:
		g.breaker.Release(a.permit, circuit.Failed)
	}
}

// dial connects like pgx does. A dial without an attempt in its context cancels a statement, and is no verdict.
func (db *DB) dial(ctx context.Context, network, address string) (net.Conn, error) {
	a, ok := ctx.Value(attemptKey{}).(*attempt)
	if !ok {
		a = new(attempt)
	}
	if a.refused != nil {
		return nil, a.refused
	}
	era := db.currentEra().number
	dialer := net.Dialer{KeepAlive: time.Minute, Timeout: dialTimeout, Control: setTCPUserTimeout(silenceTimeout)}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		if !circuit.CallerCancelled(ctx) {
			db.hosts.set(address, unreachable)
		}
		return nil, err
	}
	return &connection{
		Conn: conn, attempt: a, era: era,
		silence: time.AfterFunc(silenceTimeout, func() {
			db.hosts.set(address, unreachable)
			_ = conn.Close() // ends the Read that waits
		}),
	}, nil
}

// connection notes when the server last sent something, and returns an end of the stream as a network error: pgx passes
// io.ErrUnexpectedEOF on, which could as well be a customer's truncated file.
type connection struct {
	net.Conn
	attempt *attempt
	era     int64        // in which it was dialled
	read    atomic.Int64 // Unix time of the last Read that returned something, ns
	silence *time.Timer  // closes the connection unless the server sends something
}

// connectionOf returns the connection that dial made for pgx, which may have put TLS around it.
func connectionOf(conn *pgconn.PgConn) *connection {
	raw := conn.Conn()
	if t, ok := raw.(*tls.Conn); ok {
		raw = t.NetConn()
	}
	return raw.(*connection)
}

func (c *connection) lastRead() time.Time { return time.Unix(0, c.read.Load()) }

func (c *connection) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.read.Store(time.Now().UnixNano())
		if c.silence.Stop() {
			c.attempt.answered.Store(true) // a proxy without a server behind it accepts, sends nothing and closes
		}
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
