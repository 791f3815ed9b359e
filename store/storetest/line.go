package storetest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Line is an address on loopback that leads to a server, and can be cut and mended, or be silent for a while: what a
// network does to one.
type Line struct {
	network, server string
	address         string
	mu              sync.Mutex
	listener        net.Listener // nil while the line is cut
	open            map[net.Conn]bool
	speech          sync.RWMutex // held for reading by what passes, for writing while the line is silent
}

// NewLine leads to the server at an address of a network, such as "tcp" or "unix". It ends with the test.
func NewLine(t testing.TB, network, server string) *Line {
	t.Helper()
	l := &Line{network: network, server: server, address: "127.0.0.1:0", open: map[net.Conn]bool{}}
	l.Mend(t)
	t.Cleanup(l.Cut)
	return l
}

// Address is where the line begins, also after it was mended.
func (l *Line) Address() string { return l.address }

// Mend lets connections through again.
func (l *Line) Mend(t testing.TB) {
	t.Helper()
	listener, err := net.Listen("tcp", l.address)
	if err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	l.listener, l.address = listener, listener.Addr().String()
	l.mu.Unlock()
	go l.carry(listener) // ends when the listener is closed
}

func (l *Line) carry(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial(l.network, l.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		if !l.keep(listener, client, server) {
			_, _ = client.Close(), server.Close()
			return
		}
		go l.pipe(client, server)
		go l.pipe(server, client)
	}
}

// keep notes a connection that is to be broken with the line; false if the line was cut while it was made.
func (l *Line) keep(listener net.Listener, client, server net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listener != listener {
		return false
	}
	l.open[client], l.open[server] = true, true
	return true
}

func (l *Line) pipe(to, from net.Conn) {
	_, _ = io.Copy(speaker{l, to}, from)
	_ = to.Close()
}

type speaker struct {
	line *Line
	to   net.Conn
}

func (s speaker) Write(p []byte) (int, error) {
	s.line.speech.RLock()
	defer s.line.speech.RUnlock()
	return s.to.Write(p)
}

// Hush keeps back whatever either side says, on open connections and new ones, until speak is called.
func (l *Line) Hush(t testing.TB) (speak func()) {
	t.Helper()
	l.speech.Lock()
	speak = sync.OnceFunc(l.speech.Unlock)
	t.Cleanup(speak)
	return speak
}

// Cut refuses connections and breaks those that are open.
func (l *Line) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listener != nil {
		_ = l.listener.Close()
		l.listener = nil
	}
	for c := range l.open {
		_ = c.Close()
		delete(l.open, c)
	}
}
