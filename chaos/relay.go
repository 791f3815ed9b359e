package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
)

// relay leads connections on to a server. There is one on each side of toxiproxy. It dials TCP only, and the servers are on
// loopback or on a Unix socket only. And a relay reads on when the side that should be told has gone: toxiproxy waits five
// seconds for every packet that it cannot hand over when a fault ends, and lets nobody through meanwhile
// (https://github.com/Shopify/toxiproxy/issues/428).
type relay struct {
	address         string // where it listens
	network, server string

	listener net.Listener
}

// newRelay makes one that listens on a free port of a host.
func newRelay(host, network, server string) (*relay, error) {
	r := &relay{address: net.JoinHostPort(host, "0"), network: network, server: server}
	return r, r.open()
}

// open listens, after close again on the same port.
func (r *relay) open() (err error) {
	if r.listener, err = net.Listen("tcp", r.address); err != nil {
		return err
	}
	r.address = r.listener.Addr().String()
	go r.accept(r.listener) // ends when close closes the listener
	return nil
}

// close refuses connections; those that there are go on.
func (r *relay) close() { _ = r.listener.Close() }

func (r *relay) accept(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		go r.lead(client)
	}
}

// lead passes on what both sides say until both have ended.
func (r *relay) lead(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial(r.network, r.server)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	var both sync.WaitGroup
	both.Go(func() { pour(server, client, false) })
	both.Go(func() { pour(client, server, true) })
	both.Wait()
}

// pour passes on what one side says and how it ends, of a reset only if asked to. What the other does not take any more
// is thrown away.
func pour(to, from net.Conn, resets bool) {
	_, err := io.Copy(to, from)
	if tcp, ok := to.(*net.TCPConn); ok && resets && errors.Is(err, syscall.ECONNRESET) {
		_ = tcp.SetLinger(0)
		_ = to.Close()
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_, _ = io.Copy(io.Discard, from)
}
