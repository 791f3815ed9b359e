// Package proxy is a TCP proxy that fails on command as a network does: it refuses, breaks, stalls, slows and slices
// connections to one server.
package proxy

import (
	"net"
	"sync"
	"time"
)

// restoreMax is how long [Proxy.Restore] tries to listen on its port again: another process may have it meanwhile.
const restoreMax = 10 * time.Second

// Proxy passes connections to a TCP address on to a server. Its methods may be called at the same time.
type Proxy struct {
	address string

	mu       sync.Mutex
	network  string // of server
	server   string
	listener net.Listener // nil while the proxy is cut
	conns    map[*conn]bool
	faults   [directions]*active

	running sync.WaitGroup
}

// New returns a proxy that listens on a free port of host and passes on to the server at an address of a network, "tcp"
// or "unix". [Proxy.Close] ends it.
func New(host, network, server string) (*Proxy, error) {
	p := &Proxy{network: network, server: server, address: net.JoinHostPort(host, "0"), conns: map[*conn]bool{}}
	for d := range p.faults {
		p.faults[d] = newActive(Fault{})
	}
	listener, err := net.Listen("tcp", p.address)
	if err != nil {
		return nil, err
	}
	p.address = listener.Addr().String()
	p.serve(listener)
	return p, nil
}

// Address returns the TCP address that the proxy listens on. It stays the same after [Proxy.Restore].
func (p *Proxy) Address() string { return p.address }

// Cut refuses new connections and closes the open ones until [Proxy.Restore].
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
	for c := range p.conns {
		c.close()
	}
}

// Lead passes new connections on to another server. Open ones stay where they are, as when a name or an address is given to
// another host.
func (p *Proxy) Lead(network, server string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.network, p.server = network, server
}

// Stall passes nothing on, in either direction, on open connections and new ones, until [Proxy.Restore]. Nothing is
// lost: what was sent meanwhile arrives then.
func (p *Proxy) Stall() {
	p.Impair(ToServer, Fault{Stall: true})
	p.Impair(ToClient, Fault{Stall: true})
}

// Restore ends what [Proxy.Cut], [Proxy.Stall] and [Proxy.Impair] began. It fails if the port is taken.
func (p *Proxy) Restore() error {
	p.Impair(ToServer, Fault{})
	p.Impair(ToClient, Fault{})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		return nil
	}
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		listener, err := net.Listen("tcp", p.address)
		if err == nil {
			p.serve(listener)
			return nil
		}
		if time.Since(begin) > restoreMax {
			return err
		}
	}
}

// Close cuts the proxy for good and waits until its goroutines have ended.
func (p *Proxy) Close() {
	p.Cut()
	p.running.Wait()
}

// serve accepts connections until the listener is closed. The caller holds the lock or has the only reference.
func (p *Proxy) serve(listener net.Listener) {
	p.listener = listener
	p.running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			p.running.Go(func() { p.connect(listener, client) })
		}
	})
}

// connect passes on what both sides send until both have ended.
func (p *Proxy) connect(listener net.Listener, client net.Conn) {
	p.mu.Lock()
	network, address := p.network, p.server
	p.mu.Unlock()
	server, err := net.Dial(network, address)
	if err != nil {
		_ = client.Close()
		return
	}
	c := &conn{proxy: p, client: client, server: server, closed: make(chan struct{})}
	defer c.close()
	if !p.add(listener, c) {
		return
	}
	defer p.remove(c)
	var both sync.WaitGroup
	both.Go(func() { (&pipe{conn: c, direction: ToServer, to: server, from: client}).run() })
	both.Go(func() { (&pipe{conn: c, direction: ToClient, to: client, from: server}).run() })
	both.Wait()
}

// add returns false if the proxy was cut while the connection was made.
func (p *Proxy) add(listener net.Listener, c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != listener {
		return false
	}
	p.conns[c] = true
	for _, a := range p.faults {
		c.resetLater(a)
	}
	return true
}

func (p *Proxy) remove(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}
