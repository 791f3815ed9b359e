package place

import (
	"net"
	"sync/atomic"
)

// Listener accepts connections for which there is a place, and closes the others.
type Listener struct {
	net.Listener
	Pool *Pool
	// Caller names the caller that a connection counts for; empty: for none, because it comes from a proxy, whose requests
	// are counted one by one, see [Place.Assign].
	Caller func(net.Addr) string
	// Refusal is written to a connection that is closed for want of a place; nil: nothing.
	Refusal []byte
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		meter := &Meter{}
		pl, err := l.Pool.TakeAtOnce(l.Caller(c.RemoteAddr()), meter)
		if err == nil {
			boundUnsent(plain(c))
			conn := &Conn{Conn: c, Place: pl, Meter: meter}
			pl.OnLoss(func() {
				conn.Cut()
				pl.Leave()
			})
			return conn, nil
		}
		if _, encrypted := c.(below); !encrypted && l.Refusal != nil { // TLS would wait for the client
			_, _ = c.Write(l.Refusal) // into the empty buffer of a new socket: it does not block
		}
		cut(c)
	}
}

// Conn is a connection that holds a place until it is closed. OnEnd and End belong to the goroutine that serves it.
type Conn struct {
	net.Conn
	Place *Place
	Meter *Meter // of both directions
	// Request is the request that is under way; nil between two. It is for the server, as OnEnd is.
	Request   any
	ends      []func()
	answering atomic.Bool // something of an answer was written, and it has not ended
	broken    atomic.Bool // an answer could not be written to its end
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.Meter.Add(n)
	return n, err
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	c.answering.Store(true)
	n, err := c.Conn.Write(p)
	c.Meter.Add(n)
	if err != nil {
		c.broken.Store(true)
	}
	return n, err
}

// Close implements net.Conn. A connection whose client did not take an answer is reset.
func (c *Conn) Close() error {
	defer c.Place.Leave()
	if c.broken.Load() {
		c.forget()
	}
	return c.Conn.Close()
}

// forget makes the close of a connection a reset, so that the kernel drops what was not sent instead of keeping it for a client
// that does not read.
func (c *Conn) forget() {
	if tcp, ok := plain(c.Conn).(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// CloseWrite ends the direction to the client.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Conn.Close()
}

// Cut breaks the connection without waiting for anything. It is safe for concurrent use.
func (c *Conn) Cut() {
	if c.answering.Load() {
		c.forget()
	}
	cut(c.Conn)
}

// below is a connection with TLS.
type below interface{ NetConn() net.Conn }

// cut closes what is below TLS, which would wait for its last message to be sent.
func cut(c net.Conn) { _ = plain(c).Close() }

// plain returns what is below TLS, or the connection itself.
func plain(c net.Conn) net.Conn {
	if encrypted, ok := c.(below); ok {
		return encrypted.NetConn()
	}
	return c
}

// OnEnd adds what is called when the request on the connection has ended: its answer was sent, or the connection closed.
func (c *Conn) OnEnd(end func()) { c.ends = append(c.ends, end) }

// End calls what was added by OnEnd since the last End, the last first.
func (c *Conn) End() {
	c.Request = nil
	c.answering.Store(false)
	for len(c.ends) > 0 {
		last := len(c.ends) - 1
		end := c.ends[last]
		c.ends = c.ends[:last]
		end()
	}
}
