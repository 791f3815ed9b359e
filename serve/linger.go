package serve

import (
	"io"
	"net"
	"sync/atomic"
	"time"
)

const (
	lingerTime  = 2 * time.Second
	lingerBytes = 64 << 20
)

// lingerListener hands out connections that can be closed gently.
type lingerListener struct{ net.Listener }

// Accept implements net.Listener.
func (l lingerListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &lingerConn{Conn: c}, nil
}

// lingerConn is a connection that, if asked to, reads what is still arriving for a while before it closes. Closing with
// unread bytes makes the kernel reset the connection, and the reset can overtake the answer: a client that is still
// sending would see a broken connection instead of the reason.
type lingerConn struct {
	net.Conn
	gentle atomic.Bool
}

// linger asks for a gentle close.
func linger(c net.Conn) {
	if l, ok := c.(*lingerConn); ok {
		l.gentle.Store(true)
	}
}

// Close implements net.Conn.
func (c *lingerConn) Close() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if ok && c.gentle.CompareAndSwap(true, false) && half.CloseWrite() == nil &&
		c.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes)
	}
	return c.Conn.Close()
}
