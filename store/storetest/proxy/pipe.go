package proxy

import (
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"
)

// conn is a client's connection and the one to the server that belongs to it.
type conn struct {
	proxy          *Proxy
	client, server net.Conn
	once           sync.Once
	closed         chan struct{}
}

func (c *conn) close() {
	c.once.Do(func() {
		_ = c.client.Close() // first, so that a reset is not preceded by what the pipes do when they end
		_ = c.server.Close()
		close(c.closed)
	})
}

// reset closes the connection so that the client sees ECONNRESET.
func (c *conn) reset() {
	if tcp, ok := c.client.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.close()
}

// resetLater resets the connection when the fault says so, if neither has ended by then.
func (c *conn) resetLater(a *active) {
	if a.ResetAfter == 0 {
		return
	}
	c.proxy.running.Go(func() {
		if c.wait(a, a.ResetAfter) {
			c.reset()
		}
	})
}

// wait returns false if the fault or the connection has ended before d has passed.
func (c *conn) wait(a *active, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-a.ended:
	case <-c.closed:
	}
	return false
}

func (c *conn) isClosed() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}

// pipe passes on what one side of a connection sends.
type pipe struct {
	*conn
	direction Direction
	to, from  net.Conn
	under     *active // fault of the last write
	sent      int     // bytes under it
}

// piece is what was read at once.
type piece struct {
	data []byte
	at   time.Time
	luck float64 // share of the jitter, from -1 to 1
}

const (
	piecesMax = 64 // on their way through a pipe
	pieceMax  = 32 << 10
)

// run passes on until the sender has ended or the connection is closed. Reading goes on while pieces wait for their
// time, so that a latency takes nothing off the throughput.
func (p *pipe) run() {
	pieces := make(chan piece, piecesMax)
	var readErr error
	p.proxy.running.Go(func() {
		defer close(pieces)
		readErr = p.read(pieces)
	})
	for next := range pieces {
		if !p.pass(next) {
			for range pieces { // what the receiver no longer takes is discarded, so that the sender is not blocked
			}
			break
		}
	}
	p.finish(readErr)
}

// read returns the error that ended the sender's data.
func (p *pipe) read(pieces chan<- piece) error {
	for {
		buffer := make([]byte, pieceMax)
		n, err := p.from.Read(buffer)
		if n > 0 {
			pieces <- piece{buffer[:n], time.Now(), 2*rand.Float64() - 1}
		}
		if err != nil {
			return err
		}
	}
}

// pass writes a piece under the fault of the moment; it returns false if the receiver takes no more.
func (p *pipe) pass(next piece) bool {
	for len(next.data) > 0 {
		a := p.proxy.fault(p.direction)
		if a != p.under {
			p.under, p.sent = a, 0
		}
		if a.Stall {
			select {
			case <-a.ended:
			case <-p.closed:
				return false
			}
			continue
		}
		due := next.at.Add(a.Latency + time.Duration(next.luck*float64(a.Jitter)))
		if !p.wait(a, time.Until(due)) && !p.isClosed() {
			continue // under the next fault
		}
		n := a.slice(len(next.data), p.sent)
		if n == 0 {
			p.close()
			return false
		}
		if _, err := p.to.Write(next.data[:n]); err != nil {
			return false
		}
		p.sent += n
		next.data = next.data[n:]
		p.wait(a, a.pause(n))
	}
	return true
}

// finish passes the end of one side's data, or the server's reset, on to the other side.
func (p *pipe) finish(err error) {
	if p.direction == ToClient && errors.Is(err, syscall.ECONNRESET) {
		p.reset()
		return
	}
	if half, ok := p.to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
