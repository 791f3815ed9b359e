package proxy_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/retainwise/millrace/store/storetest/proxy"
)

// echo starts a server that sends back what it receives, and returns its Unix socket.
func echo(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "echo"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

func newProxy(t *testing.T, server string) *proxy.Proxy {
	t.Helper()
	p, err := proxy.New("127.0.0.1", "unix", server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func dial(t *testing.T, p *proxy.Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c
}

// alive reports whether a connection echoes a line.
func alive(c net.Conn) bool {
	if _, err := io.WriteString(c, "hello\n"); err != nil {
		return false
	}
	text, err := bufio.NewReader(c).ReadString('\n')
	return err == nil && text == "hello\n"
}

func TestProxy_CutAndRestore(t *testing.T) {
	p := newProxy(t, echo(t))
	before := dial(t, p)
	if !alive(before) {
		t.Fatal("no echo")
	}
	for range 2 {
		p.Cut()
	}
	if alive(before) {
		t.Error("an open connection survives the cut")
	}
	if c, err := net.Dial("tcp", p.Address()); err == nil {
		_ = c.Close()
		t.Error("a new connection is accepted")
	}
	for range 2 {
		if err := p.Restore(); err != nil {
			t.Fatal(err)
		}
	}
	if !alive(dial(t, p)) {
		t.Error("no echo after Restore")
	}
	if alive(before) {
		t.Error("an old connection came back")
	}
}

// TestProxy_CutWhileDialling cuts while connections are made: they do not survive that either.
func TestProxy_CutWhileDialling(t *testing.T) {
	server := echo(t)
	for round := range 200 {
		p := newProxy(t, server)
		var made sync.WaitGroup
		conns := make([]net.Conn, 4)
		for i := range conns {
			made.Go(func() { conns[i], _ = net.Dial("tcp", p.Address()) })
		}
		time.Sleep(time.Duration(round) * 2 * time.Microsecond) // somewhere in between
		p.Cut()
		made.Wait()
		for _, c := range conns {
			if c == nil {
				continue
			}
			_ = c.SetDeadline(time.Now().Add(time.Minute))
			if alive(c) {
				t.Error("a connection survives the cut")
			}
			_ = c.Close()
		}
	}
}

// TestProxy_Stall keeps what was sent on an open connection and on a new one, and delivers it after Restore.
func TestProxy_Stall(t *testing.T) {
	p := newProxy(t, echo(t))
	before := dial(t, p)
	if !alive(before) {
		t.Fatal("no echo")
	}
	p.Stall()
	conns := []net.Conn{before, dial(t, p)}
	for _, c := range conns {
		if _, err := io.WriteString(c, "hello\n"); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if n, err := c.Read(make([]byte, 9)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%d bytes through a stalled proxy (%v)", n, err)
		}
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	}
	if err := p.Restore(); err != nil {
		t.Fatal(err)
	}
	for _, c := range conns {
		if text, err := bufio.NewReader(c).ReadString('\n'); text != "hello\n" {
			t.Errorf("%q after Restore (%v)", text, err)
		}
	}
}

// TestProxy_Impair sends under each fault, in each direction. Times are only compared with the least that a fault takes.
func TestProxy_Impair(t *testing.T) {
	const size = 20_000
	for name, c := range map[string]struct {
		fault proxy.Fault
		least time.Duration
		bytes int // that come back; -1: the connection is reset
	}{
		"none":         {proxy.Fault{}, 0, size},
		"latency":      {proxy.Fault{Latency: 120 * time.Millisecond, Jitter: 20 * time.Millisecond}, 100 * time.Millisecond, size},
		"narrow":       {proxy.Fault{BytesPerSecond: 200_000}, 80 * time.Millisecond, size},
		"sliced":       {proxy.Fault{SliceBytes: 1000, SlicePause: 2 * time.Millisecond}, 38 * time.Millisecond, size},
		"broken off":   {proxy.Fault{BytesMax: 9000}, 0, 9000},
		"reset":        {proxy.Fault{Stall: true, ResetAfter: 30 * time.Millisecond}, 0, -1},
		"slice at end": {proxy.Fault{SliceBytes: 7, BytesMax: 700}, 0, 700},
	} {
		for _, d := range []proxy.Direction{proxy.ToServer, proxy.ToClient} {
			p := newProxy(t, echo(t))
			begin := time.Now()
			conn := dial(t, p)
			p.Impair(d, c.fault)
			sent := bytes.Repeat([]byte("0123456789"), size/10)
			if _, err := conn.Write(sent); err != nil {
				t.Fatal(err)
			}
			_ = conn.(*net.TCPConn).CloseWrite()
			got, err := io.ReadAll(conn)
			switch {
			case c.bytes < 0:
				if !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("%s: %v", name, err)
				}
			case len(got) > c.bytes || c.bytes == size && len(got) < size || !bytes.HasPrefix(sent, got):
				t.Errorf("%s: %d of %d bytes (%v)", name, len(got), c.bytes, err)
			case time.Since(begin) < c.least:
				t.Errorf("%s: after %v", name, time.Since(begin))
			}
		}
	}
}

// TestProxy_ClientDies closes connections in the middle of an answer that is under way: the fault still ends in time.
func TestProxy_ClientDies(t *testing.T) {
	p := newProxy(t, echo(t))
	for range 5 {
		p.Impair(proxy.ToClient, proxy.Fault{Latency: 50 * time.Millisecond})
		conn := dial(t, p)
		if _, err := conn.Write(make([]byte, 100_000)); err != nil {
			t.Fatal(err)
		}
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
		p.Impair(proxy.ToClient, proxy.Fault{})
		if !alive(dial(t, p)) {
			t.Error("no echo after the fault")
		}
	}
}

// TestProxy_Lead leads new connections to another server, and leaves open ones where they are.
func TestProxy_Lead(t *testing.T) {
	p := newProxy(t, filepath.Join(t.TempDir(), "nowhere"))
	if alive(dial(t, p)) {
		t.Fatal("an echo from nowhere")
	}
	p.Lead("unix", echo(t))
	before := dial(t, p)
	if !alive(before) {
		t.Error("a new connection has no echo")
	}
	p.Lead("unix", filepath.Join(t.TempDir(), "nowhere"))
	if !alive(before) {
		t.Error("an open connection was cut")
	}
	if alive(dial(t, p)) {
		t.Error("a new connection has the old server")
	}
}
