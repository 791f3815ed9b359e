package place_test

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve/internal/place"
)

// unreadConn is a connection whose client has a small window and reads nothing, and the server's side of it.
func unreadConn(t *testing.T) (client net.Conn, server *place.Conn) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inner.Close() })
	l := &place.Listener{
		Listener: inner, Pool: place.NewPool(place.Kind{Max: 4, CallerMax: 4}), Caller: func(net.Addr) string { return "a" },
	}
	dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
	}}
	if client, err = dialer.DialContext(t.Context(), "tcp", inner.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return client, c.(*place.Conn)
}

// writeUntilFull writes until the kernel takes no more, and returns how much it took.
func writeUntilFull(t *testing.T, c net.Conn) (took int) {
	t.Helper()
	for piece := make([]byte, 64<<10); took < 16<<20; {
		_ = c.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		n, err := c.Write(piece)
		took += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return took
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("the kernel holds more than %d bytes", took)
	return took
}

func TestListener_BoundsUnsentBytes(t *testing.T) {
	_, server := unreadConn(t)
	defer func() { _ = server.Close() }()
	// The bound, one write behind it, and what the client's window took.
	if took := writeUntilFull(t, server); took > 320<<10 {
		t.Errorf("the kernel holds %d bytes for a client that does not read", took)
	} else {
		t.Logf("%d bytes", took)
	}
}

// A client whose answer was broken off is reset: the end of the connection is not taken for the end of the answer, and the kernel
// keeps nothing for it. One that is between two requests sees the end.
func TestConn_BrokenAnswerIsReset(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(*place.Conn)
		want error
	}{
		"a write that failed":  {func(c *place.Conn) { writeUntilFull(t, c); _ = c.Close() }, syscall.ECONNRESET},
		"a place that is lost": {func(c *place.Conn) { _, _ = c.Write([]byte("front")); c.Cut() }, syscall.ECONNRESET},
		"between two requests": {func(c *place.Conn) { _, _ = c.Write([]byte("whole")); c.End(); c.Cut() }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := unreadConn(t)
			test.end(server)
			if _, err := io.Copy(io.Discard, client); !errors.Is(err, test.want) {
				t.Errorf("the client saw %v, want %v", err, test.want)
			}
		})
	}
}
