package wire

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

const (
	gracefulCloseTimeout  = 2 * time.Second
	gracefulCloseBytesMax = 64 << 20
)

// GracefulListener accepts connections that [CloseGracefully] works on.
type GracefulListener struct{ net.Listener }

// Accept implements net.Listener.
func (l GracefulListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &gracefulConn{Conn: c}, nil
}

// gracefulConn is a connection with a lingering close: after [CloseGracefully] its Close first ends the write direction and
// discards what still arrives, for at most gracefulCloseTimeout. Closing with unread bytes makes the kernel reset the
// connection, and the reset can overtake the answer: a client that is still sending would see a connection error instead.
type gracefulConn struct {
	net.Conn
	graceful atomic.Bool
	ended    atomic.Bool // the client has ended its direction

	limited bool  // only allowed bytes may be read
	allowed int64 // used by the goroutine that reads
}

// errFraming means that a body has far more bytes of framing than of data.
var errFraming = errors.New("too much framing")

// Read implements net.Conn.
func (c *gracefulConn) Read(p []byte) (int, error) {
	if c.limited && c.allowed <= 0 {
		return 0, errFraming
	}
	n, err := c.Conn.Read(p)
	c.allowed -= int64(n)
	if err == io.EOF {
		c.ended.Store(true)
	}
	return n, err
}

// AllowBytes adds to the bytes that may be read from a connection before its reader gets an error; the first call sets the
// limit. It bounds what a chunked body has beside its data: extensions of chunks, which no other limit counts. Only the
// goroutine that reads may call it, and [AllowAll] when the body is over. Other connections than those of a
// [GracefulListener] are not changed.
func AllowBytes(c net.Conn, n int64) {
	if l, ok := c.(*gracefulConn); ok {
		if !l.limited {
			l.limited, l.allowed = true, 0
		}
		l.allowed += n
	}
}

// AllowAll ends the limit of [AllowBytes].
func AllowAll(c net.Conn) {
	if l, ok := c.(*gracefulConn); ok {
		l.limited = false
	}
}

// Below returns the connection that the listener below a [GracefulListener] has accepted.
func Below(c net.Conn) net.Conn {
	if g, ok := c.(*gracefulConn); ok {
		return g.Conn
	}
	return c
}

// ClientEnded reports whether the client has ended its direction of the connection and everything it sent has been read.
func ClientEnded(c net.Conn) bool {
	l, ok := c.(*gracefulConn)
	return ok && l.ended.Load()
}

// CloseGracefully makes the next Close of a connection a lingering one. It does not close it. Other connections than those
// of a [GracefulListener] are not changed.
func CloseGracefully(c net.Conn) {
	if l, ok := c.(*gracefulConn); ok {
		l.graceful.Store(true)
	}
}

// Close implements net.Conn.
func (c *gracefulConn) Close() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if ok && c.graceful.CompareAndSwap(true, false) && half.CloseWrite() == nil &&
		c.SetReadDeadline(time.Now().Add(gracefulCloseTimeout)) == nil {
		_, _ = io.CopyN(io.Discard, c.Conn, gracefulCloseBytesMax)
	}
	return c.Conn.Close()
}
