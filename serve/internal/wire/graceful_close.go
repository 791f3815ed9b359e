package wire

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

// LingerListener hands out connections that can be closed gently.
type LingerListener struct{ net.Listener }

// Accept implements net.Listener.
func (l LingerListener) Accept() (net.Conn, error) {
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
	ended  atomic.Bool // the client has ended its direction
}

// Read implements net.Conn.
func (c *lingerConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == io.EOF {
		c.ended.Store(true)
	}
	return n, err
}

// ClientEnded says whether the client has ended its direction of the connection, and we have read up to there.
func ClientEnded(c net.Conn) bool {
	l, ok := c.(*lingerConn)
	return ok && l.ended.Load()
}

// Linger asks for a gentle close.
func Linger(c net.Conn) {
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
