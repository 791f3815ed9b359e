package place

import "net"

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
	Request any
	ends    []func()
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.Meter.Add(n)
	return n, err
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.Meter.Add(n)
	return n, err
}

// Close implements net.Conn.
func (c *Conn) Close() error {
	defer c.Place.Leave()
	return c.Conn.Close()
}

// CloseWrite ends the direction to the client.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Conn.Close()
}

// Cut breaks the connection without waiting for anything. It is safe for concurrent use.
func (c *Conn) Cut() { cut(c.Conn) }

// below is a connection with TLS.
type below interface{ NetConn() net.Conn }

// cut closes what is below TLS, which would wait for its last message to be sent.
func cut(c net.Conn) {
	if encrypted, ok := c.(below); ok {
		c = encrypted.NetConn()
	}
	_ = c.Close()
}

// OnEnd adds what is called when the request on the connection has ended: its answer was sent, or the connection closed.
func (c *Conn) OnEnd(end func()) { c.ends = append(c.ends, end) }

// End calls what was added by OnEnd since the last End, the last first.
func (c *Conn) End() {
	c.Request = nil
	for len(c.ends) > 0 {
		last := len(c.ends) - 1
		end := c.ends[last]
		c.ends = c.ends[:last]
		end()
	}
}
